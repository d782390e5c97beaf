// One private endpoint for each service, under the name that clients use anyway.

@description('Required. Azure region.')
param location string

@description('Required. Tags.')
param tags object

@description('Required. Resource id of the subnet that the endpoints are in.')
param subnetId string

@description('Required. What gets an endpoint: `name`, `service` (a resource id) and `group`, the part of the service.')
param endpoints array

// The zone of each group of a service; the network module makes them.
var zones = {
  blob: 'privatelink.blob.${environment().suffixes.storage}'
  queue: 'privatelink.queue.${environment().suffixes.storage}'
  table: 'privatelink.table.${environment().suffixes.storage}'
  vault: 'privatelink.vaultcore.azure.net'
  Sql: 'privatelink.documents.azure.com'
  namespace: 'privatelink.servicebus.windows.net'
}

// One after the other: three are of one storage account, which takes one change at a time.
@batchSize(1)
resource endpoint 'Microsoft.Network/privateEndpoints@2024-05-01' = [
  for entry in endpoints: {
    name: entry.name
    location: location
    tags: tags
    properties: {
      subnet: {
        id: subnetId
      }
      privateLinkServiceConnections: [
        {
          name: entry.name
          properties: {
            privateLinkServiceId: entry.service
            groupIds: [entry.group]
          }
        }
      ]
    }
  }
]

resource zoneGroup 'Microsoft.Network/privateEndpoints/privateDnsZoneGroups@2024-05-01' = [
  for (entry, index) in endpoints: {
    parent: endpoint[index]
    name: 'default'
    properties: {
      privateDnsZoneConfigs: [
        {
          name: 'default'
          properties: {
            privateDnsZoneId: resourceId('Microsoft.Network/privateDnsZones', zones[entry.group])
          }
        }
      ]
    }
  }
]
