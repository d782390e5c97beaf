#!/usr/bin/env bash
# Makes a virtual environment of Python 3.13 with Azure's runtime library (.venv-worker; WORKER_VENV changes it)
# and prints its interpreter. PYTHON313 names the Python where it is not found. With `package` it is one that has only
# what the package asks for, beside the library that Azure brings (.venv-package; PACKAGE_VENV changes it). Fails with
# the reason on standard error.
set -euo pipefail
cd "$(dirname "$0")/../.."
if [[ "${1:-}" == package ]]; then
  venv="${PACKAGE_VENV:-$PWD/.venv-package}"
  requirements=tests/worker/package_requirements.txt
  read_from=(requirements.txt "$requirements")
else
  venv="${WORKER_VENV:-$PWD/.venv-worker}"
  requirements=tests/worker/requirements.txt
  read_from=(requirements.txt requirements-dev.txt "$requirements")
fi

fail() {
  echo "$1" >&2
  exit 1
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

python="$(find_python)" || fail "Python 3.13 is not installed (PYTHON313= names it)"
wanted="$("$python" -c 'import sys; print(sys.version)' | cat - "${read_from[@]}")"
if [[ ! -x "$venv/bin/python" || "$wanted" != "$(cat "$venv/.installed" 2>/dev/null)" ]]; then
  # One that is of this Python is brought up to date; any other is made anew, and so is the package's: what is asked for
  # no more must not stay.
  [[ "${1:-}" != package && "$("$venv/bin/python" -c 'import sys; print(sys.version)' 2>/dev/null)" == "$("$python" -c 'import sys; print(sys.version)')" ]] ||
    "$python" -m venv --clear "$venv" >&2 || fail "$python cannot make a virtual environment"
  "$venv/bin/python" -m pip install --quiet --disable-pip-version-check -r "$requirements" >&2 ||
    fail "azure-functions-runtime and the requirements cannot be installed"
  printf '%s\n' "$wanted" >"$venv/.installed"
fi
echo "$venv/bin/python"
