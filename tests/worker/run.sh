#!/usr/bin/env bash
# Runs this suite under Python 3.13 with Azure's own runtime library. Says SKIPPED and why where these cannot be
# had; with WORKER_SUITE_REQUIRED=1 that is a failure. Arguments go to pytest.
set -euo pipefail
cd "$(dirname "$0")/../.."

reason="$(mktemp)"
trap 'rm -f "$reason"' EXIT
if ! python="$(bash tests/worker/environment.sh 2>"$reason")"; then
  head -n -1 "$reason" >&2
  echo "SKIPPED: tests/worker: $(tail -n 1 "$reason")"
  [[ "${WORKER_SUITE_REQUIRED:-}" != 1 ]]
  exit
fi
"$python" -m pytest tests/worker "$@"
