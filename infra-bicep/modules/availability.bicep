// Whether the app answers, seen from outside: Flex Consumption has no health check of its own.

@description('Required. Name of the test.')
param name string

@description('Required. Azure region of the Application Insights component.')
param location string

@description('Required. Tags.')
param tags object

@description('Required. Resource id of the Application Insights component that shows the results.')
param applicationInsightsId string

@description('Required. Address that has to answer 200.')
param url string

resource test 'Microsoft.Insights/webtests@2022-06-15' = {
  name: name
  location: location
  // The portal finds a component's tests by this tag.
  tags: union(tags, { 'hidden-link:${applicationInsightsId}': 'Resource' })
  kind: 'standard'
  properties: {
    SyntheticMonitorId: name
    Name: name
    Description: 'The proxy answers on /health.'
    Enabled: true
    Kind: 'standard'
    Frequency: 300
    Timeout: 30
    // A cold start may be slow, and one lost packet is no outage.
    RetryEnabled: true
    Locations: [
      { Id: 'emea-nl-ams-azr' }
      { Id: 'emea-gb-db3-azr' }
      { Id: 'us-va-ash-azr' }
      { Id: 'us-ca-sjc-azr' }
      { Id: 'apac-sg-sin-azr' }
    ]
    Request: {
      RequestUrl: url
      HttpVerb: 'GET'
      FollowRedirects: false
      ParseDependentRequests: false
    }
    ValidationRules: {
      ExpectedHttpStatusCode: 200
      IgnoreHttpStatusCode: false
      SSLCheck: true
      SSLCertRemainingLifetimeCheck: 7
    }
  }
}
