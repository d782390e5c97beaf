// Values come from the environment: `azd env set NAME VALUE`, or variables of the repository in a workflow. main.bicep
// says what each parameter means. The first two have to be set; what else is not set has main.bicep's default, which
// stands here again.
using 'main.bicep'

param environmentName = readEnvironmentVariable('AZURE_ENV_NAME')
param location = readEnvironmentVariable('AZURE_LOCATION')
param resourceGroupName = readEnvironmentVariable('AZURE_RESOURCE_GROUP', '')

// Who deploys: azd knows. Who publishes jobs without HTTP: object ids in a JSON list.
param deployerPrincipalId = readEnvironmentVariable('AZURE_PRINCIPAL_ID', '')
param deployerPrincipalType = readEnvironmentVariable('AZURE_PRINCIPAL_TYPE', 'User')
param publisherPrincipalIds = json(readEnvironmentVariable('DEPLOY_PUBLISHERS', '[]'))

// An Azure OpenAI account that is there already.
param openAiResourceGroup = readEnvironmentVariable('DEPLOY_OPENAI_RESOURCE_GROUP', '')
param openAiAccountName = readEnvironmentVariable('DEPLOY_OPENAI_ACCOUNT', '')

// The app. Its further settings: a JSON object of names and texts.
param corsOrigins = readEnvironmentVariable('DEPLOY_CORS_ORIGINS', '')
param extraAppSettings = json(readEnvironmentVariable('DEPLOY_APP_SETTINGS', '{}'))

// Sizes.
param instanceMemoryMB = int(readEnvironmentVariable('DEPLOY_INSTANCE_MEMORY_MB', '2048'))
param maximumInstanceCount = int(readEnvironmentVariable('DEPLOY_MAXIMUM_INSTANCES', '40'))
param alwaysReadyHttpInstances = int(readEnvironmentVariable('DEPLOY_ALWAYS_READY', '0'))
param httpConcurrency = int(readEnvironmentVariable('DEPLOY_HTTP_CONCURRENCY', '100'))
param cosmosCapacity = readEnvironmentVariable('DEPLOY_COSMOS_CAPACITY', 'serverless')
param cosmosMaxThroughput = int(readEnvironmentVariable('DEPLOY_COSMOS_THROUGHPUT', '1000'))
param cosmosBackupTier = readEnvironmentVariable('DEPLOY_COSMOS_BACKUP', 'Continuous7Days')
param eventHubPartitions = int(readEnvironmentVariable('DEPLOY_HUB_PARTITIONS', '16'))
param eventHubCapacity = int(readEnvironmentVariable('DEPLOY_HUB_CAPACITY', '1'))
param eventHubMaxCapacity = int(readEnvironmentVariable('DEPLOY_HUB_MAXIMUM_CAPACITY', '4'))
param logRetentionDays = int(readEnvironmentVariable('DEPLOY_LOG_DAYS', '30'))
param availabilityTest = bool(readEnvironmentVariable('DEPLOY_AVAILABILITY_TEST', 'true'))
param zoneRedundant = bool(readEnvironmentVariable('DEPLOY_ZONE_REDUNDANT', 'false'))

// A private network.
param privateNetwork = bool(readEnvironmentVariable('DEPLOY_PRIVATE_NETWORK', 'false'))

// Set by the hook before a deployment that finds the vault of an earlier one deleted.
param recoverKeyVault = bool(readEnvironmentVariable('DEPLOY_RECOVER_KEY_VAULT', 'false'))
