// Who may do what: one table, each role on the one resource that it is needed for.

@description('Required. Object id of the app\'s identity.')
param appPrincipalId string

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

@description('Required. Name of the storage account.')
param storageName string

@description('Required. Name of the vault.')
param keyVaultName string

@description('Required. Name of the database account.')
param cosmosName string

@description('Required. Name of the Event Hubs namespace.')
param eventHubsName string

@description('Required. Name of the Application Insights component.')
param applicationInsightsName string

var roleIds = {
  'Cosmos DB Built-in Data Contributor': '00000000-0000-0000-0000-000000000002'
  'Event Hubs Data Receiver': 'a638d3c7-ab3a-418d-83e6-5f17a39d4fde'
  'Event Hubs Data Sender': '2b629674-e913-4c01-ae53-ef4638d8f975'
  'Key Vault Secrets Officer': 'b86a8fe4-44ce-4948-aee5-eccb2c155cd7'
  'Key Vault Secrets User': '4633458b-17de-408a-b874-0445c86b69e6'
  'Monitoring Metrics Publisher': '3913510d-42f4-4e42-8a64-420c390055eb'
  'Storage Blob Data Owner': 'b7e6dc6d-f1e8-4753-8033-0f276bb0955b'
  'Storage Queue Data Contributor': '974c5e8b-45b9-4653-ba55-5f855dd0fb88'
  'Storage Table Data Contributor': '0a9a7e1f-b9d0-4cc4-a60d-0319b160aaa3'
}

// `on` is a resource below, `to` a principal. What the app and its host do: see shared/adapters/roles.py. What the
// deployer does: the hooks make secrets that are missing, and `shared.catalog` reads and writes documents.
var roles = [
  { on: 'storage', to: 'app', role: 'Storage Blob Data Owner' }
  { on: 'storage', to: 'app', role: 'Storage Queue Data Contributor' }
  { on: 'storage', to: 'app', role: 'Storage Table Data Contributor' }
  { on: 'keyVault', to: 'app', role: 'Key Vault Secrets User' }
  { on: 'keyVault', to: 'deployer', role: 'Key Vault Secrets Officer' }
  { on: 'cosmos', to: 'app', role: 'Cosmos DB Built-in Data Contributor' }
  { on: 'cosmos', to: 'deployer', role: 'Cosmos DB Built-in Data Contributor' }
  { on: 'eventHubs', to: 'app', role: 'Event Hubs Data Receiver' }
  { on: 'eventHubs', to: 'app', role: 'Event Hubs Data Sender' }
  { on: 'applicationInsights', to: 'app', role: 'Monitoring Metrics Publisher' }
]
var publisherRole = 'Event Hubs Data Sender'
var principals = {
  app: { id: appPrincipalId, type: 'ServicePrincipal' }
  deployer: { id: deployerPrincipalId, type: deployerPrincipalType }
}

resource storage 'Microsoft.Storage/storageAccounts@2024-01-01' existing = {
  name: storageName
}

resource keyVault 'Microsoft.KeyVault/vaults@2024-11-01' existing = {
  name: keyVaultName
}

resource cosmos 'Microsoft.DocumentDB/databaseAccounts@2025-04-15' existing = {
  name: cosmosName
}

resource eventHubs 'Microsoft.EventHub/namespaces@2024-01-01' existing = {
  name: eventHubsName
}

resource applicationInsights 'Microsoft.Insights/components@2020-02-02' existing = {
  name: applicationInsightsName
}

resource storageRoles 'Microsoft.Authorization/roleAssignments@2022-04-01' = [
  for row in roles: if (row.on == 'storage' && !empty(principals[row.to].id)) {
    name: guid(storage.id, principals[row.to].id, roleIds[row.role])
    scope: storage
    properties: {
      roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roleIds[row.role])
      principalId: principals[row.to].id
      principalType: principals[row.to].type
    }
  }
]

resource keyVaultRoles 'Microsoft.Authorization/roleAssignments@2022-04-01' = [
  for row in roles: if (row.on == 'keyVault' && !empty(principals[row.to].id)) {
    name: guid(keyVault.id, principals[row.to].id, roleIds[row.role])
    scope: keyVault
    properties: {
      roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roleIds[row.role])
      principalId: principals[row.to].id
      principalType: principals[row.to].type
    }
  }
]

resource eventHubsRoles 'Microsoft.Authorization/roleAssignments@2022-04-01' = [
  for row in roles: if (row.on == 'eventHubs' && !empty(principals[row.to].id)) {
    name: guid(eventHubs.id, principals[row.to].id, roleIds[row.role])
    scope: eventHubs
    properties: {
      roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roleIds[row.role])
      principalId: principals[row.to].id
      principalType: principals[row.to].type
    }
  }
]

resource applicationInsightsRoles 'Microsoft.Authorization/roleAssignments@2022-04-01' = [
  for row in roles: if (row.on == 'applicationInsights' && !empty(principals[row.to].id)) {
    name: guid(applicationInsights.id, principals[row.to].id, roleIds[row.role])
    scope: applicationInsights
    properties: {
      roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roleIds[row.role])
      principalId: principals[row.to].id
      principalType: principals[row.to].type
    }
  }
]

// The database's data has roles of its own. One after the other: the account refuses two at once (412).
@batchSize(1)
resource cosmosRoles 'Microsoft.DocumentDB/databaseAccounts/sqlRoleAssignments@2025-04-15' = [
  for row in roles: if (row.on == 'cosmos' && !empty(principals[row.to].id)) {
    parent: cosmos
    name: guid(cosmos.id, principals[row.to].id, roleIds[row.role])
    properties: {
      roleDefinitionId: '${cosmos.id}/sqlRoleDefinitions/${roleIds[row.role]}'
      principalId: principals[row.to].id
      scope: cosmos.id
    }
  }
]

resource publisherRoles 'Microsoft.Authorization/roleAssignments@2022-04-01' = [
  for principalId in publisherPrincipalIds: {
    name: guid(eventHubs.id, principalId, roleIds[publisherRole])
    scope: eventHubs
    properties: {
      roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roleIds[publisherRole])
      principalId: principalId
      principalType: 'ServicePrincipal'
    }
  }
]
