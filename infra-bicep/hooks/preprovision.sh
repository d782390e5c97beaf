#!/bin/sh
# Before the resources: a vault of an earlier deployment that was deleted is taken back, since purge protection keeps
# its name. Needs Python and whoever is logged in with azd or az.
set -eu
: "${AZURE_SUBSCRIPTION_ID:?is not known yet: begin with azd up, which asks for it, or azd env set it}"
: "${AZURE_LOCATION:?is not known yet: begin with azd up, which asks for it, or azd env set it}"
# main.bicep names the group the same way.
group="${AZURE_RESOURCE_GROUP:-rg-llmproxy-$AZURE_ENV_NAME}"
deleted="$("${PYTHON:-python3}" -m shared.deployment vault-deleted --subscription "$AZURE_SUBSCRIPTION_ID" \
  --resource-group "$group" --environment "$AZURE_ENV_NAME" --location "$AZURE_LOCATION")"
azd env set DEPLOY_RECOVER_KEY_VAULT "$deleted"
