#!/usr/bin/env bash
# Runs tests/worker under Python 3.13 in a virtual environment of its own (.venv-worker; WORKER_VENV changes it).
# PYTHON313 names the interpreter where it is not found. Says SKIPPED and why where something is missing;
# with WORKER_SUITE_REQUIRED=1 that is a failure. Arguments go to pytest.
set -euo pipefail
cd "$(dirname "$0")/../.."
venv="${WORKER_VENV:-.venv-worker}"

skip() {
  echo "SKIPPED: tests/worker: $1"
  [[ "${WORKER_SUITE_REQUIRED:-}" == 1 ]] && exit 1
  exit 0
}

# A name on the PATH may be a shim of a version manager that leads nowhere: ask each candidate what it is.
find_python() {
  local candidate
  for candidate in "${PYTHON313:-}" python3.13 "${PYENV_ROOT:-$HOME/.pyenv}"/versions/3.13*/bin/python3.13 python3 python; do
    [[ -n "$candidate" ]] || continue
    if [[ "$("$candidate" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null)" == 3.13 ]]; then
      echo "$candidate"
      return
    fi
  done
  return 1
}

python="$(find_python)" || skip "Python 3.13 is not installed (PYTHON313= names it)"
wanted="$("$python" -c 'import sys; print(sys.version)' | cat - requirements.txt requirements-dev.txt tests/worker/requirements.txt)"
if [[ ! -x "$venv/bin/python" || "$wanted" != "$(cat "$venv/.installed" 2>/dev/null)" ]]; then
  "$python" -m venv --clear "$venv" || skip "$python cannot make a virtual environment"
  "$venv/bin/python" -m pip install --quiet --disable-pip-version-check -r tests/worker/requirements.txt ||
    skip "azure-functions-runtime and the requirements cannot be installed"
  printf '%s\n' "$wanted" >"$venv/.installed"
fi
exec "$venv/bin/python" -m pytest tests/worker "$@"
