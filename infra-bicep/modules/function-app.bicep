// The app on Flex Consumption, and its settings: addresses and numbers, never a secret.

@description('Required. Name of the Function App.')
param name string

@description('Required. Name of its plan.')
param planName string

@description('Required. Azure region.')
param location string

@description('Required. Tags.')
param tags object

@description('Required. Name of the environment, shown in /health.')
param environmentName string

@description('Required. Resource id of the app\'s identity.')
param identityId string

@description('Required. Client id of the app\'s identity.')
param identityClientId string

@description('Required. Where telemetry is sent.')
param applicationInsightsConnectionString string

@description('Required. Address of the storage\'s blobs, with a slash at its end.')
param storageBlobEndpoint string

@description('Required. Address of the storage\'s queues.')
param storageQueueEndpoint string

@description('Required. Address of the storage\'s tables.')
param storageTableEndpoint string

@description('Required. Container that the package is deployed to.')
param deploymentContainer string

@description('Required. Address of the vault.')
param keyVaultUri string

@description('Required. Address of the database account.')
param cosmosEndpoint string

@description('Required. Name of the database.')
param cosmosDatabase string

@description('Required. Host name of the Event Hubs namespace.')
param eventHubsHost string

@description('Required. Hub of jobs with priority 4 to 10.')
param jobsHub string

@description('Required. Hub of jobs with priority 1 to 3.')
param priorityJobsHub string

@description('Required. Origins whose pages may call from a browser.')
param corsOrigins string

@description('Required. Further settings by name. They win over those below.')
param extraAppSettings object

@description('Required. Memory of an instance in MB.')
param instanceMemoryMB int

@description('Required. Most instances at once.')
param maximumInstanceCount int

@description('Required. Instances that always wait for HTTP requests.')
param alwaysReadyHttpInstances int

@description('Required. HTTP requests that one instance serves at once.')
param httpConcurrency int

@description('Required. Whether instances are spread over the zones of the region.')
param zoneRedundant bool

@description('Required. Resource id of the subnet that calls leave by. Empty: the Internet.')
param subnetId string

var settings = {
  // The host's own storage, hubs and telemetry, by identity instead of keys.
  AzureWebJobsStorage__blobServiceUri: storageBlobEndpoint
  AzureWebJobsStorage__queueServiceUri: storageQueueEndpoint
  AzureWebJobsStorage__tableServiceUri: storageTableEndpoint
  AzureWebJobsStorage__credential: 'managedidentity'
  AzureWebJobsStorage__clientId: identityClientId
  EventHubs__fullyQualifiedNamespace: eventHubsHost
  EventHubs__credential: 'managedidentity'
  EventHubs__clientId: identityClientId
  APPLICATIONINSIGHTS_CONNECTION_STRING: applicationInsightsConnectionString
  APPLICATIONINSIGHTS_AUTHENTICATION_STRING: 'ClientId=${identityClientId};Authorization=AAD'
  // The app answers / itself.
  AzureWebJobsDisableHomepage: 'true'
  AZURE_CLIENT_ID: identityClientId
  LLMPROXY_ENVIRONMENT: environmentName
  LLMPROXY_COSMOS_ENDPOINT: cosmosEndpoint
  LLMPROXY_COSMOS_DATABASE: cosmosDatabase
  LLMPROXY_KEY_VAULT_URL: keyVaultUri
  LLMPROXY_JOBS_HUB: jobsHub
  LLMPROXY_PRIORITY_JOBS_HUB: priorityJobsHub
  LLMPROXY_CORS_ORIGINS: corsOrigins
}

resource plan 'Microsoft.Web/serverfarms@2025-03-01' = {
  // checkov:skip=CKV_AZURE_225: a parameter decides, since not every region has zones
  name: planName
  location: location
  tags: tags
  kind: 'functionapp'
  sku: {
    name: 'FC1'
    tier: 'FlexConsumption'
  }
  properties: {
    reserved: true
    zoneRedundant: zoneRedundant
  }
}

resource app 'Microsoft.Web/sites@2025-03-01' = {
  // checkov:skip=CKV_AZURE_222: it is an API for clients on the Internet, each with a key
  // checkov:skip=CKV_AZURE_17: clients log in with keys or tokens, OpenAI's SDKs send no certificate
  // checkov:skip=CKV_AZURE_212: Flex Consumption scales by itself, always-ready instances are a parameter
  // checkov:skip=CKV_AZURE_213: Flex Consumption has no health check, an availability test calls /health instead
  name: name
  location: location
  tags: union(tags, { 'azd-service-name': 'api' })
  kind: 'functionapp,linux'
  identity: {
    type: 'UserAssigned'
    userAssignedIdentities: {
      '${identityId}': {}
    }
  }
  properties: {
    serverFarmId: plan.id
    httpsOnly: true
    clientAffinityEnabled: false
    publicNetworkAccess: 'Enabled'
    virtualNetworkSubnetId: empty(subnetId) ? null : subnetId
    siteConfig: {
      minTlsVersion: '1.2'
      scmMinTlsVersion: '1.2'
      ftpsState: 'Disabled'
      http20Enabled: true
      remoteDebuggingEnabled: false
    }
    functionAppConfig: {
      deployment: {
        storage: {
          type: 'blobContainer'
          value: '${storageBlobEndpoint}${deploymentContainer}'
          authentication: {
            type: 'UserAssignedIdentity'
            userAssignedIdentityResourceId: identityId
          }
        }
      }
      runtime: {
        name: 'python'
        version: '3.13'
      }
      scaleAndConcurrency: {
        instanceMemoryMB: instanceMemoryMB
        maximumInstanceCount: maximumInstanceCount
        alwaysReady: alwaysReadyHttpInstances == 0 ? [] : [{ name: 'http', instanceCount: alwaysReadyHttpInstances }]
        triggers: {
          http: {
            perInstanceConcurrency: httpConcurrency
          }
        }
      }
    }
  }
}

resource appSettings 'Microsoft.Web/sites/config@2025-03-01' = {
  // checkov:skip=CKV_AZURE_13: these are the app's settings, which the check takes for a whole site
  // checkov:skip=CKV_AZURE_63: these are the app's settings, which the check takes for a whole site
  // checkov:skip=CKV_AZURE_65: these are the app's settings, which the check takes for a whole site
  // checkov:skip=CKV_AZURE_66: these are the app's settings, which the check takes for a whole site
  // checkov:skip=CKV_AZURE_80: these are the app's settings, which the check takes for a whole site
  // checkov:skip=CKV_AZURE_88: these are the app's settings, which the check takes for a whole site
  // checkov:skip=CKV_AZURE_222: these are the app's settings, which the check takes for a whole site
  parent: app
  name: 'appsettings'
  properties: union(settings, extraAppSettings)
}

// Publishing with a user name and a password, which would be keys, is off.
resource publishingByFtp 'Microsoft.Web/sites/basicPublishingCredentialsPolicies@2025-03-01' = {
  parent: app
  name: 'ftp'
  properties: {
    allow: false
  }
}

resource publishingByPassword 'Microsoft.Web/sites/basicPublishingCredentialsPolicies@2025-03-01' = {
  parent: app
  name: 'scm'
  properties: {
    allow: false
  }
}

@description('Name of the Function App.')
output name string = app.name

@description('Address of the Function App, without a slash at its end.')
output uri string = 'https://${app.properties.defaultHostName}'
