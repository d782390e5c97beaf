// The hubs that wake workers up. The database holds the jobs: an event is only their id, or a publisher's message.

@description('Required. Name of the namespace.')
param name string

@description('Required. Azure region.')
param location string

@description('Required. Tags.')
param tags object

@description('Required. Partitions of each hub. They cannot be changed later.')
@minValue(16)
@maxValue(32)
param partitions int

@description('Required. Throughput units to begin with.')
param capacity int

@description('Required. Most throughput units.')
param maxCapacity int

@description('Required. Enabled, or Disabled where private endpoints are the only way in.')
param publicNetworkAccess string

// Urgent jobs have a hub of their own, so that they do not wait behind bulk.
var hubs = [
  'chat-jobs'
  'chat-jobs-priority'
]
var consumerGroup = 'llmproxy'
// Jobs are kept at least this long, so that none is gone while its event may still come again.
var retentionHours = 24

resource namespace 'Microsoft.EventHub/namespaces@2024-01-01' = {
  name: name
  location: location
  tags: tags
  sku: {
    name: 'Standard'
    tier: 'Standard'
    capacity: capacity
  }
  properties: {
    disableLocalAuth: true
    minimumTlsVersion: '1.2'
    isAutoInflateEnabled: maxCapacity > capacity
    maximumThroughputUnits: maxCapacity > capacity ? maxCapacity : 0
    publicNetworkAccess: publicNetworkAccess
  }
}

resource hub 'Microsoft.EventHub/namespaces/eventhubs@2024-01-01' = [
  for hubName in hubs: {
    parent: namespace
    name: hubName
    properties: {
      partitionCount: partitions
      retentionDescription: {
        cleanupPolicy: 'Delete'
        retentionTimeInHours: retentionHours
      }
    }
  }
]

resource group 'Microsoft.EventHub/namespaces/eventhubs/consumergroups@2024-01-01' = [
  for (hubName, index) in hubs: {
    parent: hub[index]
    name: consumerGroup
    properties: {}
  }
]

@description('Resource id.')
output id string = namespace.id

@description('Name of the namespace.')
output name string = namespace.name

@description('Host name of the namespace.')
output host string = '${namespace.name}.servicebus.windows.net'

@description('Name of the hub of jobs with priority 4 to 10.')
output jobsHub string = hubs[0]

@description('Name of the hub of jobs with priority 1 to 3.')
output priorityJobsHub string = hubs[1]
