#!/bin/sh
# After the resources: the proxy's own secrets are made in the vault where they are missing. They are never printed.
set -eu
exec "${PYTHON:-python3}" -m shared.deployment own-secrets --key-vault "$LLMPROXY_KEY_VAULT_URL"
