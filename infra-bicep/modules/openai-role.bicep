// Lets the app call an Azure OpenAI account that exists already: models with auth: managed_identity need no key.

@description('Required. Name of the account.')
param accountName string

@description('Required. Object id of the app\'s identity.')
param principalId string

// Cognitive Services OpenAI User
var roleId = '5e0bd9bd-7b93-4f28-af87-19fc36ad61bd'

resource account 'Microsoft.CognitiveServices/accounts@2025-06-01' existing = {
  name: accountName
}

resource assignment 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(account.id, principalId, roleId)
  scope: account
  properties: {
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roleId)
    principalId: principalId
    principalType: 'ServicePrincipal'
  }
}
