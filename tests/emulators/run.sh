#!/usr/bin/env bash
# Runs the contract of the document store against @vercel/cosmosdb-server, a Cosmos DB emulator from npm.
# VENV names a virtual environment with requirements-dev.txt (.venv). Says SKIPPED and why where Node or the package
# cannot be had; with EMULATOR_SUITE_REQUIRED=1 that is a failure. Arguments go to pytest.
set -euo pipefail
cd "$(dirname "$0")/../.."
python="${VENV:-.venv}/bin/python"
package="@vercel/cosmosdb-server"
version="1.0.1"
prefix=".bench/emulators"
command="$prefix/node_modules/.bin/cosmosdb-server"

skip() {
  echo "SKIPPED: tests/emulators: $1"
  [[ "${EMULATOR_SUITE_REQUIRED:-}" == 1 ]] && exit 1
  exit 0
}

[[ -x "$python" ]] || { echo "tests/emulators: $python is missing; VENV= names a virtual environment" >&2; exit 1; }
node --version >/dev/null 2>&1 || skip "Node is not installed"
installed="$(node -p "require('./$prefix/node_modules/$package/package.json').version" 2>/dev/null || true)"
if [[ "$installed" != "$version" ]]; then
  npm --version >/dev/null 2>&1 || skip "npm is not installed"
  mkdir -p "$prefix"
  npm install --no-save --no-audit --no-fund --loglevel=error --prefix "$prefix" "$package@$version" ||
    skip "npm cannot install $package $version"
fi

port="$("$python" -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')"
log="$(mktemp)"
node "$command" --no-ssl --host 127.0.0.1 --port "$port" >"$log" 2>&1 &
emulator=$!
trap 'kill "$emulator" 2>/dev/null || true; wait "$emulator" 2>/dev/null || true; rm -f "$log"' EXIT

for _ in $(seq 100); do
  grep -q "Ready to accept" "$log" && break
  kill -0 "$emulator" 2>/dev/null || break
  sleep 0.1
done
if ! grep -q "Ready to accept" "$log"; then
  cat "$log" >&2
  skip "$package does not start on $(node --version)"
fi

TEST_COSMOS_ENDPOINT="http://127.0.0.1:$port/" "$python" -m pytest tests/contract/test_document_store.py -rx "$@"
