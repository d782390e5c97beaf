#!/bin/sh
# After the code: the smoke test's model, and its key in the vault. They are never printed.
set -eu
exec "${PYTHON:-python3}" -m shared.deployment smoke-access \
  --url "$SERVICE_API_URI" --key-vault "$LLMPROXY_KEY_VAULT_URL"
