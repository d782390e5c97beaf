#!/bin/sh
# Before the resources: a vault of an earlier deployment that was deleted is taken back, since purge protection keeps
# its name. Needs Python and whoever is logged in with azd or az.
set -eu
deleted="$("${PYTHON:-python3}" -m shared.deployment vault-deleted \
  --subscription "$AZURE_SUBSCRIPTION_ID" --environment "$AZURE_ENV_NAME" --location "$AZURE_LOCATION")"
azd env set DEPLOY_RECOVER_KEY_VAULT "$deleted"
