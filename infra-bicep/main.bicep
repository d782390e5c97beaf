// The whole system in a resource group of its own. No resource has a key that works: the app, its host and the
// publishers log in with Microsoft Entra identities.
//
// Whoever deploys needs, on the subscription, Contributor and Role Based Access Control Administrator (or Owner).
targetScope = 'subscription'

@description('Required. Name of the environment: part of all names, shown in /health. Letters, digits and hyphens.')
@minLength(1)
@maxLength(24)
param environmentName string

@description('Required. Azure region of everything. It must offer Flex Consumption, see az functionapp list-flexconsumption-locations.')
@minLength(1)
param location string

@description('Optional. Name of the resource group that is made. Empty: rg-llmproxy- and the name of the environment.')
param resourceGroupName string = ''

@description('Optional. Tags of every resource, beside azd-env-name.')
param tags object = {}

@description('Optional. Object id of the user or service principal that deploys. It may then write secrets into the vault, which the hooks need, and documents into the database, which backups need. Empty: nobody may.')
param deployerPrincipalId string = ''

@description('Optional. What the deployer is.')
@allowed([
  'User'
  'Group'
  'ServicePrincipal'
])
param deployerPrincipalType string = 'User'

@description('Optional. Object ids of managed identities or service principals that publish jobs straight to the hubs, without HTTP. They are trusted for every project.')
param publisherPrincipalIds array = []

@description('Optional. Resource group, in this subscription, of an existing Azure OpenAI account that the app may call with its own identity.')
param openAiResourceGroup string = ''

@description('Optional. Name of that account. Empty: no account.')
param openAiAccountName string = ''

@description('Optional. Origins whose pages may call from a browser, with commas between, or *. The app answers CORS, not the platform. Empty: none.')
param corsOrigins string = ''

@description('Optional. Further settings of the app by name, as its README lists them. Never a secret: those belong into the vault.')
param extraAppSettings object = {}

@description('Optional. Memory of an instance in MB: 2048 or 4096. 512 exists, and is too small: LiteLLM alone takes 170 beside the host, the Python worker and the requests.')
@minValue(512)
@maxValue(4096)
param instanceMemoryMB int = 2048

@description('Optional. Most instances of one function group at once, a bound of cost and of load on the providers. Some regions refuse less than 40.')
@minValue(1)
@maxValue(1000)
param maximumInstanceCount int = 40

@description('Optional. Instances that always wait for HTTP requests, and cost money while they do. 0: the first request after a pause waits for a cold start.')
@minValue(0)
@maxValue(100)
param alwaysReadyHttpInstances int = 0

@description('Optional. HTTP requests that one instance serves at once. Most of them wait for a provider.')
@minValue(1)
@maxValue(1000)
param httpConcurrency int = 100

@description('Optional. Capacity of the database: serverless is paid per request, autoscale per hour up to a limit. Chosen once.')
@allowed([
  'serverless'
  'autoscale'
])
param cosmosCapacity string = 'serverless'

@description('Optional. Most request units per second of all containers together, with autoscale.')
@minValue(1000)
@maxValue(1000000)
param cosmosMaxThroughput int = 1000

@description('Optional. How far back the database can be restored. Seven days cost nothing.')
@allowed([
  'Continuous7Days'
  'Continuous30Days'
])
param cosmosBackupTier string = 'Continuous7Days'

@description('Optional. Partitions of each hub: one instance reads from one or more. They cannot be changed later.')
@minValue(16)
@maxValue(32)
param eventHubPartitions int = 16

@description('Optional. Throughput units of the hubs to begin with.')
@minValue(1)
@maxValue(40)
param eventHubCapacity int = 1

@description('Optional. Most throughput units that the hubs grow to by themselves under load.')
@minValue(1)
@maxValue(40)
param eventHubMaxCapacity int = 4

@description('Optional. Spreads app, storage and database over the zones of the region, where it has them. Cannot be changed later.')
param zoneRedundant bool = false

@description('Optional. Days that the workspace keeps what it has. Up to 90 changes nothing for the log: Application Insights tables stay that long, without a charge.')
@minValue(30)
@maxValue(730)
param logRetentionDays int = 30

@description('Optional. Calls /health from five places every five minutes: Flex Consumption has no health check of its own.')
param availabilityTest bool = true

@description('Optional. Reaches storage, vault, database and hubs through private endpoints only. Clients still reach the app itself over the Internet. The hooks after the deployment then need a runner inside the network.')
param privateNetwork bool = false

@description('Optional. Addresses of that network.')
param networkAddressPrefix string = '10.80.0.0/22'

@description('Optional. Addresses that the app\'s instances use, among those of the network: a /27 or larger.')
param appSubnetPrefix string = '10.80.0.0/24'

@description('Optional. Addresses of the private endpoints, among those of the network.')
param endpointSubnetPrefix string = '10.80.1.0/24'

@description('Optional. Takes back a vault that was deleted with an earlier deployment of the same name: its purge protection keeps the name.')
param recoverKeyVault bool = false

// Every name of a resource is made of these two: the environment's name and what makes it unique in the world.
var groupName = empty(resourceGroupName) ? 'rg-llmproxy-${environmentName}' : resourceGroupName
var suffix = toLower(uniqueString(subscription().id, groupName, environmentName, location))
var allTags = union(tags, { 'azd-env-name': environmentName })

resource resourceGroupOfAll 'Microsoft.Resources/resourceGroups@2024-03-01' = {
  name: groupName
  location: location
  tags: allTags
}

module resources 'resources.bicep' = {
  name: 'llmproxy-resources'
  scope: resourceGroupOfAll
  params: {
    environmentName: environmentName
    location: location
    suffix: suffix
    tags: allTags
    deployerPrincipalId: deployerPrincipalId
    deployerPrincipalType: deployerPrincipalType
    publisherPrincipalIds: publisherPrincipalIds
    corsOrigins: corsOrigins
    extraAppSettings: extraAppSettings
    instanceMemoryMB: instanceMemoryMB
    maximumInstanceCount: maximumInstanceCount
    alwaysReadyHttpInstances: alwaysReadyHttpInstances
    httpConcurrency: httpConcurrency
    cosmosCapacity: cosmosCapacity
    cosmosMaxThroughput: cosmosMaxThroughput
    cosmosBackupTier: cosmosBackupTier
    eventHubPartitions: eventHubPartitions
    eventHubCapacity: eventHubCapacity
    eventHubMaxCapacity: eventHubMaxCapacity
    zoneRedundant: zoneRedundant
    logRetentionDays: logRetentionDays
    availabilityTest: availabilityTest
    privateNetwork: privateNetwork
    networkAddressPrefix: networkAddressPrefix
    appSubnetPrefix: appSubnetPrefix
    endpointSubnetPrefix: endpointSubnetPrefix
    recoverKeyVault: recoverKeyVault
  }
}

module openAiRole 'modules/openai-role.bicep' = if (!empty(openAiAccountName)) {
  name: 'llmproxy-openai-role-${suffix}'
  scope: resourceGroup(empty(openAiResourceGroup) ? groupName : openAiResourceGroup)
  params: {
    accountName: openAiAccountName
    principalId: resources.outputs.identityPrincipalId
  }
}

@description('Name of the resource group.')
output AZURE_RESOURCE_GROUP string = resourceGroupOfAll.name

@description('Name of the Function App, which the code is deployed to.')
output SERVICE_API_NAME string = resources.outputs.functionAppName

@description('Address of the proxy: clients put /v1 behind it.')
output SERVICE_API_URI string = resources.outputs.functionAppUri

@description('Name of the vault, for az keyvault.')
output AZURE_KEY_VAULT_NAME string = resources.outputs.keyVaultName

@description('Address of the vault, as the app\'s setting of that name.')
output LLMPROXY_KEY_VAULT_URL string = resources.outputs.keyVaultUri

@description('Address of the database account, as the app\'s setting of that name.')
output LLMPROXY_COSMOS_ENDPOINT string = resources.outputs.cosmosEndpoint

@description('Name of the database, as the app\'s setting of that name.')
output LLMPROXY_COSMOS_DATABASE string = resources.outputs.cosmosDatabase

@description('Host name of the Event Hubs namespace, which publishers without HTTP send to.')
output EVENT_HUBS_NAMESPACE string = resources.outputs.eventHubsHost

@description('Object id of the app\'s identity, to give it roles elsewhere.')
output IDENTITY_PRINCIPAL_ID string = resources.outputs.identityPrincipalId

@description('Client id of the app\'s identity.')
output IDENTITY_CLIENT_ID string = resources.outputs.identityClientId

@description('Name of the Application Insights component, where the logs are.')
output APPLICATION_INSIGHTS_NAME string = resources.outputs.applicationInsightsName
