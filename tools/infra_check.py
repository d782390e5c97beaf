"""`python -m tools.infra_check`: what can be said of the Bicep without Azure.

Every file is parsed, checkov looks for weak settings, and the compiler builds and lints with its warnings as errors.
Where checkov cannot be installed or no compiler is there, it says SKIPPED and why; with INFRA_CHECK_REQUIRED=1 that is
a failure. INFRA_VENV names checkov's virtual environment (.venv-infra).
"""

import json
import os
import re
import shutil
import subprocess
import sys
import venv
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from tools.bicep import read_folder

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "infra-bicep"
REQUIREMENTS = ROOT / "tools" / "infra_check.txt"
SAMPLE_ENVIRONMENT = {"AZURE_ENV_NAME": "check", "AZURE_LOCATION": "westeurope"}
"""What a parameters file cannot be built without."""
_DIAGNOSTIC = re.compile(r"\(\d+,\d+\) : (?:Warning|Error) ")


class Skipped(Exception):
    """A check that cannot run here; the message says why."""


class Failed(Exception):
    """The message says what is wrong, line by line."""


def parse(folder: Path = FOLDER) -> str:
    """Every file with the grammar. Returns what was seen; raises `Failed`."""
    templates = read_folder(folder)
    problems = [problem for template in templates.values() for problem in template.problems]
    if problems:
        raise Failed("\n".join(problems))
    resources = sum(len(template.of("resource")) for template in templates.values())
    return f"{len(templates)} files parsed, {resources} resources"


def checkov(folder: Path = FOLDER) -> str:
    """Checkov's policies. A file that it cannot parse, which it passes over by itself, is a failure here."""
    command = [str(_checkov()), "--directory", str(folder), "--framework", "bicep", "--skip-download"]
    # It goes through sets of names: with another seed each time it would see other things each time.
    done = _run([*command, "--output", "json"], env={"LOG_LEVEL": "ERROR", "PYTHONHASHSEED": "0"})
    try:
        report: Any = json.loads(done.stdout)
    except ValueError:
        raise Failed(f"checkov gave no report:\n{done.stderr[-2000:]}") from None
    wanted = sum(len(template.of("resource")) for template in read_folder(folder).values())
    return judge(report, done.stderr, wanted)


def judge(report: Any, errors: str, wanted: int) -> str:
    """What a report of checkov comes to; `wanted` is how many resources there are to see at least."""
    # Without any resource there is a summary alone.
    summary = report.get("summary", report)
    results = report.get("results", {})
    problems = [f"not parsed: {path}" for path in results.get("parsing_errors", [])]
    if summary["parsing_errors"] and not problems:
        problems.append(f"{summary['parsing_errors']} files not parsed")
    if summary["resource_count"] < wanted:
        problems.append(f"only {summary['resource_count']} of {wanted} resources seen")
    problems += [f"failed: {_check(one)} {one['check_name']}" for one in results.get("failed_checks", [])]
    problems += [line for line in errors.splitlines() if "[ERROR]" in line]
    skipped = results.get("skipped_checks", [])
    problems += [f"skipped without a reason: {_check(one)}" for one in skipped if not _reason(one)]
    if problems:
        raise Failed("\n".join(problems))
    lines = [f"  skipped {_check(one)}: {_reason(one)}" for one in skipped]
    head = f"{summary['passed']} passed, {len(skipped)} skipped, {summary['resource_count']} resources"
    return "\n".join([head, *lines])


def compile(folder: Path = FOLDER) -> str:
    """Builds and lints with the compiler, `bicep` or `az bicep`. Any warning is a failure."""
    bicep = _compiler()
    template, parameters = str(folder / "main.bicep"), str(folder / "main.bicepparam")
    commands: list[list[str]] = [
        bicep("build", template, "--stdout"),
        bicep("lint", template),
        bicep("build-params", parameters, "--stdout"),
    ]
    for command in commands:
        done = _run(command, env=SAMPLE_ENVIRONMENT)
        if done.returncode or _DIAGNOSTIC.search(done.stderr + done.stdout):
            raise Failed(f"{' '.join(command)}:\n{done.stderr[-4000:]}")
    return "built and linted without a warning"


def _checkov() -> Path:
    folder = Path(os.environ.get("INFRA_VENV", ROOT / ".venv-infra"))
    program, mark = folder / "bin" / "checkov", folder / ".installed"
    wanted = f"{sys.version}\n{REQUIREMENTS.read_text(encoding='utf-8')}"
    if program.exists() and mark.exists() and mark.read_text(encoding="utf-8") == wanted:
        return program
    try:
        venv.create(folder, clear=True, with_pip=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise Skipped(f"a virtual environment cannot be made ({error})") from None
    pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    done = _run([*pip, "-r", str(REQUIREMENTS)])
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise Skipped(f"checkov cannot be installed ({last})")
    mark.write_text(wanted, encoding="utf-8")
    return program


def _compiler() -> Callable[..., list[str]]:
    if shutil.which("bicep"):
        return lambda verb, file, *rest: ["bicep", verb, file, *rest]
    # `az bicep build` would download a compiler: `version` only says whether one is there.
    if shutil.which("az") and _run(["az", "bicep", "version"]).returncode == 0:
        return lambda verb, file, *rest: ["az", "bicep", verb, "--file", file, *rest]
    raise Skipped("neither bicep nor az bicep is installed")


def _run(command: Sequence[str], env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603 - commands of this file
        command, capture_output=True, text=True, cwd=ROOT, env={**os.environ, **(env or {})}, timeout=900
    )


def _check(one: Any) -> str:
    return f"{one['check_id']} {one['file_path'].lstrip('/')} {one['resource']}"


def _reason(one: Any) -> str:
    return str(one["check_result"].get("suppress_comment") or "").strip()


def main(checks: Sequence[Callable[[], str]] = (parse, checkov, compile)) -> int:
    required = os.environ.get("INFRA_CHECK_REQUIRED") == "1"
    worst = 0
    for check in checks:
        try:
            print(f"infra-check: {check.__name__}: {check()}", flush=True)
        except Skipped as reason:
            print(f"SKIPPED: infra-check: {check.__name__}: {reason}", flush=True)
            worst = max(worst, 1 if required else 0)
        except Failed as problem:
            print(f"FAILED: infra-check: {check.__name__}:\n{problem}", file=sys.stderr, flush=True)
            worst = 1
    return worst


if __name__ == "__main__":
    sys.exit(main())
