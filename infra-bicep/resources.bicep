// Everything in the resource group: one module for each service, and the roles that join them.

@description('Required. Name of the environment.')
param environmentName string

@description('Required. Azure region of everything.')
param location string

@description('Required. What makes names unique: 13 lower-case letters and digits.')
param suffix string

@description('Required. Tags of every resource.')
param tags object

@description('Required. Object id of who deploys, or empty.')
param deployerPrincipalId string

@description('Required. What the deployer is: User, Group or ServicePrincipal.')
@allowed([
  'User'
  'Group'
  'ServicePrincipal'
])
param deployerPrincipalType string

@description('Required. Object ids of the publishers without HTTP.')
param publisherPrincipalIds array

@description('Required. Origins whose pages may call from a browser.')
param corsOrigins string

@description('Required. Further settings of the app by name.')
param extraAppSettings object

@description('Required. Memory of an instance in MB.')
param instanceMemoryMB int

@description('Required. Most instances at once.')
param maximumInstanceCount int

@description('Required. Instances that always wait for HTTP requests.')
param alwaysReadyHttpInstances int

@description('Required. HTTP requests that one instance serves at once.')
param httpConcurrency int

@description('Required. serverless or autoscale.')
param cosmosCapacity string

@description('Required. Most request units per second with autoscale.')
param cosmosMaxThroughput int

@description('Required. Continuous7Days or Continuous30Days.')
param cosmosBackupTier string

@description('Required. Partitions of each hub.')
param eventHubPartitions int

@description('Required. Throughput units of the hubs to begin with.')
param eventHubCapacity int

@description('Required. Most throughput units of the hubs.')
param eventHubMaxCapacity int

@description('Required. Whether app, storage and database are spread over zones.')
param zoneRedundant bool

@description('Required. Days that logs are kept.')
param logRetentionDays int

@description('Required. Whether /health is called from outside.')
param availabilityTest bool

@description('Required. Whether the services are reached through private endpoints only.')
param privateNetwork bool

@description('Required. Addresses of the private network.')
param networkAddressPrefix string

@description('Required. Addresses that the app\'s instances use.')
param appSubnetPrefix string

@description('Required. Addresses of the private endpoints.')
param endpointSubnetPrefix string

@description('Required. Whether a deleted vault of the same name is taken back.')
param recoverKeyVault bool

// A storage account takes no hyphens and 24 characters, a vault 24: there the suffix alone tells them apart.
var label = toLower('${environmentName}-${suffix}')
var names = {
  identity: 'id-${label}'
  logs: 'log-${label}'
  applicationInsights: 'appi-${label}'
  storage: 'st${suffix}'
  keyVault: 'kv-${suffix}'
  cosmos: 'cosmos-${suffix}'
  eventHubs: 'evhns-${label}'
  plan: 'plan-${label}'
  functionApp: 'func-${label}'
  network: 'vnet-${label}'
  webTest: 'webtest-${label}'
}
// Who may ask the services: everyone with a token, or only who is inside the network and has one. Neither is named as
// the modules' parameter is: checkov takes the names of one file for those of another.
var networkAccess = privateNetwork ? 'Disabled' : 'Enabled'
var firewallAction = privateNetwork ? 'Deny' : 'Allow'
var appSubnetId = resourceId('Microsoft.Network/virtualNetworks/subnets', names.network, 'app')
var endpointSubnetId = resourceId('Microsoft.Network/virtualNetworks/subnets', names.network, 'endpoints')

module identity 'modules/identity.bicep' = {
  name: 'llmproxy-identity'
  params: {
    name: names.identity
    location: location
    tags: tags
  }
}

module monitoring 'modules/monitoring.bicep' = {
  name: 'llmproxy-monitoring'
  params: {
    workspaceName: names.logs
    applicationInsightsName: names.applicationInsights
    location: location
    tags: tags
    retentionDays: logRetentionDays
  }
}

module storage 'modules/storage.bicep' = {
  name: 'llmproxy-storage'
  params: {
    name: names.storage
    location: location
    tags: tags
    sku: zoneRedundant ? 'Standard_ZRS' : 'Standard_LRS'
    publicNetworkAccess: networkAccess
    defaultAction: firewallAction
  }
}

module keyVault 'modules/key-vault.bicep' = {
  name: 'llmproxy-key-vault'
  params: {
    name: names.keyVault
    location: location
    tags: tags
    publicNetworkAccess: networkAccess
    defaultAction: firewallAction
    recover: recoverKeyVault
  }
}

module cosmos 'modules/cosmos.bicep' = {
  name: 'llmproxy-cosmos'
  params: {
    name: names.cosmos
    location: location
    tags: tags
    capacity: cosmosCapacity
    maxThroughput: cosmosMaxThroughput
    backupTier: cosmosBackupTier
    zoneRedundant: zoneRedundant
    publicNetworkAccess: networkAccess
  }
}

module eventHubs 'modules/event-hubs.bicep' = {
  name: 'llmproxy-event-hubs'
  params: {
    name: names.eventHubs
    location: location
    tags: tags
    partitions: eventHubPartitions
    capacity: eventHubCapacity
    maxCapacity: eventHubMaxCapacity
    publicNetworkAccess: networkAccess
  }
}

module roles 'modules/roles.bicep' = {
  name: 'llmproxy-roles'
  params: {
    appPrincipalId: identity.outputs.principalId
    deployerPrincipalId: deployerPrincipalId
    deployerPrincipalType: deployerPrincipalType
    publisherPrincipalIds: publisherPrincipalIds
    storageName: storage.outputs.name
    keyVaultName: keyVault.outputs.name
    cosmosName: cosmos.outputs.name
    eventHubsName: eventHubs.outputs.name
    applicationInsightsName: monitoring.outputs.applicationInsightsName
  }
}

module network 'modules/network.bicep' = if (privateNetwork) {
  name: 'llmproxy-network'
  params: {
    name: names.network
    location: location
    tags: tags
    addressPrefix: networkAddressPrefix
    appSubnetPrefix: appSubnetPrefix
    endpointSubnetPrefix: endpointSubnetPrefix
  }
}

module privateEndpoints 'modules/private-endpoints.bicep' = if (privateNetwork) {
  name: 'llmproxy-private-endpoints'
  params: {
    location: location
    tags: tags
    subnetId: endpointSubnetId
    endpoints: [
      {
        name: 'pe-${names.storage}-blob'
        service: storage.outputs.id
        group: 'blob'
      }
      {
        name: 'pe-${names.storage}-queue'
        service: storage.outputs.id
        group: 'queue'
      }
      {
        name: 'pe-${names.storage}-table'
        service: storage.outputs.id
        group: 'table'
      }
      {
        name: 'pe-${names.keyVault}'
        service: keyVault.outputs.id
        group: 'vault'
      }
      {
        name: 'pe-${names.cosmos}'
        service: cosmos.outputs.id
        group: 'Sql'
      }
      {
        name: 'pe-${names.eventHubs}'
        service: eventHubs.outputs.id
        group: 'namespace'
      }
    ]
  }
  dependsOn: [
    network
  ]
}

module functionApp 'modules/function-app.bicep' = {
  name: 'llmproxy-function-app'
  params: {
    name: names.functionApp
    planName: names.plan
    location: location
    tags: tags
    environmentName: environmentName
    identityId: identity.outputs.id
    identityClientId: identity.outputs.clientId
    applicationInsightsConnectionString: monitoring.outputs.applicationInsightsConnectionString
    storageBlobEndpoint: storage.outputs.blobEndpoint
    storageQueueEndpoint: storage.outputs.queueEndpoint
    storageTableEndpoint: storage.outputs.tableEndpoint
    deploymentContainer: storage.outputs.deploymentContainer
    keyVaultUri: keyVault.outputs.uri
    cosmosEndpoint: cosmos.outputs.endpoint
    cosmosDatabase: cosmos.outputs.database
    eventHubsHost: eventHubs.outputs.host
    jobsHub: eventHubs.outputs.jobsHub
    priorityJobsHub: eventHubs.outputs.priorityJobsHub
    corsOrigins: corsOrigins
    extraAppSettings: extraAppSettings
    instanceMemoryMB: instanceMemoryMB
    maximumInstanceCount: maximumInstanceCount
    alwaysReadyHttpInstances: alwaysReadyHttpInstances
    httpConcurrency: httpConcurrency
    zoneRedundant: zoneRedundant
    subnetId: privateNetwork ? appSubnetId : ''
  }
  // The host reads its storage and the hubs at once: without the roles and endpoints it would fail first.
  dependsOn: [
    roles
    privateEndpoints
  ]
}

module availability 'modules/availability.bicep' = if (availabilityTest) {
  name: 'llmproxy-availability'
  params: {
    name: names.webTest
    location: location
    tags: tags
    applicationInsightsId: monitoring.outputs.applicationInsightsId
    url: '${functionApp.outputs.uri}/health'
  }
}

@description('Name of the Function App.')
output functionAppName string = functionApp.outputs.name

@description('Address of the Function App, without a slash at its end.')
output functionAppUri string = functionApp.outputs.uri

@description('Name of the vault.')
output keyVaultName string = keyVault.outputs.name

@description('Address of the vault.')
output keyVaultUri string = keyVault.outputs.uri

@description('Address of the database account.')
output cosmosEndpoint string = cosmos.outputs.endpoint

@description('Name of the database.')
output cosmosDatabase string = cosmos.outputs.database

@description('Host name of the Event Hubs namespace.')
output eventHubsHost string = eventHubs.outputs.host

@description('Object id of the app\'s identity.')
output identityPrincipalId string = identity.outputs.principalId

@description('Client id of the app\'s identity.')
output identityClientId string = identity.outputs.clientId

@description('Name of the Application Insights component.')
output applicationInsightsName string = monitoring.outputs.applicationInsightsName
