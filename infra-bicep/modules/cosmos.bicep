// The database: models, keys, projects, health, usage, audit, jobs. Everything that has to be remembered is here.

@description('Required. Name of the account.')
param name string

@description('Required. Azure region.')
param location string

@description('Required. Tags.')
param tags object

@description('Required. serverless or autoscale.')
param capacity string

@description('Required. Most request units per second of all containers together, with autoscale.')
param maxThroughput int

@description('Required. Continuous7Days or Continuous30Days.')
param backupTier string

@description('Required. Whether the data is spread over the zones of the region.')
param zoneRedundant bool

@description('Required. Enabled, or Disabled where private endpoints are the only way in.')
param publicNetworkAccess string

var databaseName = 'llmproxy'

// One entry for each container that the code declares. `lifetime` is empty where documents stay for ever; -1 lets
// each document set its own. Indexed is what queries ask for, and nothing else: a write pays for each path. `id` is
// always indexed. A composite index has the fields that are compared first and the one that orders last; it can be
// read from both ends.
var containers = [
  {
    name: 'models'
    partition: '/id'
    lifetime: {}
    included: [
      { path: '/projects/[]/?' }
    ]
    composite: []
  }
  {
    name: 'keys'
    partition: '/id'
    lifetime: { defaultTtl: -1 }
    included: [
      { path: '/updated_at/?' }
      { path: '/project/?' }
      { path: '/role/?' }
    ]
    composite: []
  }
  {
    name: 'projects'
    partition: '/id'
    lifetime: {}
    included: []
    composite: []
  }
  {
    name: 'health'
    partition: '/id'
    lifetime: { defaultTtl: 604800 }
    included: []
    composite: []
  }
  {
    name: 'counters'
    partition: '/id'
    lifetime: { defaultTtl: -1 }
    included: [
      { path: '/kind/?' }
      { path: '/day/?' }
      { path: '/project/?' }
      { path: '/key_id/?' }
      { path: '/user/?' }
      { path: '/model/?' }
    ]
    composite: []
  }
  {
    name: 'usage'
    partition: '/partition'
    lifetime: { defaultTtl: -1 }
    included: [
      { path: '/partition/?' }
      { path: '/sort_key/?' }
      { path: '/day/?' }
      { path: '/project/?' }
      { path: '/key_id/?' }
      { path: '/request_id/?' }
      { path: '/user/?' }
      { path: '/model/?' }
      { path: '/status/?' }
      { path: '/operation/?' }
    ]
    composite: [
      [
        { path: '/partition', order: 'ascending' }
        { path: '/sort_key', order: 'ascending' }
      ]
      [
        { path: '/day', order: 'ascending' }
        { path: '/sort_key', order: 'ascending' }
      ]
      [
        { path: '/project', order: 'ascending' }
        { path: '/sort_key', order: 'ascending' }
      ]
      [
        { path: '/key_id', order: 'ascending' }
        { path: '/sort_key', order: 'ascending' }
      ]
      [
        { path: '/request_id', order: 'ascending' }
        { path: '/sort_key', order: 'ascending' }
      ]
    ]
  }
  {
    name: 'audit'
    partition: '/day'
    lifetime: { defaultTtl: -1 }
    included: [
      { path: '/day/?' }
    ]
    composite: []
  }
  {
    name: 'jobs'
    partition: '/id'
    lifetime: { defaultTtl: -1 }
    included: [
      { path: '/project/?' }
      { path: '/operation/?' }
      { path: '/sort_key/?' }
      { path: '/status/?' }
      { path: '/queue/?' }
      { path: '/ready_key/?' }
      { path: '/sweep_key/?' }
      { path: '/wake_key/?' }
      { path: '/notice_key/?' }
      { path: '/ended_key/?' }
      { path: '/listed_until/?' }
    ]
    composite: [
      [
        { path: '/project', order: 'ascending' }
        { path: '/operation', order: 'ascending' }
        { path: '/sort_key', order: 'ascending' }
      ]
      [
        { path: '/project', order: 'ascending' }
        { path: '/operation', order: 'ascending' }
        { path: '/status', order: 'ascending' }
        { path: '/sort_key', order: 'ascending' }
      ]
      [
        { path: '/queue', order: 'ascending' }
        { path: '/ready_key', order: 'ascending' }
      ]
    ]
  }
  {
    name: 'job_payloads'
    partition: '/job'
    lifetime: { defaultTtl: -1 }
    included: [
      { path: '/job/?' }
    ]
    composite: []
  }
  {
    name: 'dead_letters'
    partition: '/day'
    lifetime: { defaultTtl: -1 }
    included: [
      { path: '/day/?' }
      { path: '/sort_key/?' }
    ]
    composite: [
      [
        { path: '/day', order: 'ascending' }
        { path: '/sort_key', order: 'ascending' }
      ]
    ]
  }
]

resource account 'Microsoft.DocumentDB/databaseAccounts@2025-04-15' = {
  // checkov:skip=CKV_AZURE_101: a parameter decides, private network or not
  // checkov:skip=CKV_AZURE_99: a parameter decides, private network or not
  name: name
  location: location
  tags: tags
  kind: 'GlobalDocumentDB'
  properties: {
    databaseAccountOfferType: 'Standard'
    locations: [
      {
        locationName: location
        failoverPriority: 0
        isZoneRedundant: zoneRedundant
      }
    ]
    capabilities: capacity == 'serverless' ? [{ name: 'EnableServerless' }] : []
    // An instance has to see what another wrote just now: the job that an event tells of, the lease that it lost, its
    // own write whose answer was lost. Session consistency holds within one process only, so a stale read would be
    // taken for the truth. Reads cost twice for it, writes no more; with one region they wait no longer either.
    consistencyPolicy: {
      defaultConsistencyLevel: 'Strong'
    }
    backupPolicy: {
      type: 'Continuous'
      continuousModeProperties: {
        tier: backupTier
      }
    }
    disableLocalAuth: true
    disableKeyBasedMetadataWriteAccess: true
    minimalTlsVersion: 'Tls12'
    publicNetworkAccess: publicNetworkAccess
  }
}

resource database 'Microsoft.DocumentDB/databaseAccounts/sqlDatabases@2025-04-15' = {
  parent: account
  name: databaseName
  properties: {
    resource: {
      id: databaseName
    }
    // All containers share what the database has: ten of their own would cost ten times the least.
    options: capacity == 'serverless' ? {} : { autoscaleSettings: { maxThroughput: maxThroughput } }
  }
}

// One after the other: the account takes few changes of its structure at once.
@batchSize(1)
resource container 'Microsoft.DocumentDB/databaseAccounts/sqlDatabases/containers@2025-04-15' = [
  for entry in containers: {
    parent: database
    name: entry.name
    properties: {
      resource: union(entry.lifetime, {
        id: entry.name
        partitionKey: {
          kind: 'Hash'
          version: 2
          paths: [entry.partition]
        }
        indexingPolicy: {
          indexingMode: 'consistent'
          automatic: true
          includedPaths: entry.included
          excludedPaths: [{ path: '/*' }]
          compositeIndexes: entry.composite
        }
      })
    }
  }
]

@description('Resource id.')
output id string = account.id

@description('Name of the account.')
output name string = account.name

@description('Address of the account.')
output endpoint string = account.properties.documentEndpoint

@description('Name of the database.')
output database string = database.name
