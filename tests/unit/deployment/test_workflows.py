"""The workflows: pinned, with few permissions, without a stored credential; and what the deployment does."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from shared.smoke.__main__ import _parser

ROOT = Path(__file__).resolve().parents[3]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
PINNED = re.compile(r"[\w.-]+/[\w./-]+@[0-9a-f]{40}")
COMMENTED = re.compile(r"uses: \S+@[0-9a-f]{40} # v\d+\.\d+\.\d+$")


def load(path: Path) -> dict[Any, Any]:
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert isinstance(content, dict)
    return content


def jobs(path: Path) -> dict[str, dict[str, Any]]:
    found = load(path)["jobs"]
    assert isinstance(found, dict)
    return found


def steps(path: Path) -> Iterator[dict[str, Any]]:
    for job in jobs(path).values():
        yield from job["steps"]


DEPLOY = ROOT / ".github" / "workflows" / "deploy.yml"
by_name = pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)


@by_name
def test_every_action_is_pinned_by_its_commit_and_says_its_version(path: Path) -> None:
    for step in steps(path):
        if "uses" in step:
            assert PINNED.fullmatch(step["uses"]), step["uses"]
    for line in path.read_text(encoding="utf-8").splitlines():
        if "uses: " in line:
            assert COMMENTED.search(line), line


def test_an_action_has_one_version_in_all_workflows() -> None:
    versions: dict[str, set[str]] = {}
    for path in WORKFLOWS:
        for step in steps(path):
            if "uses" in step:
                name, _, commit = step["uses"].partition("@")
                versions.setdefault(name, set()).add(commit)
    assert {name: len(commits) for name, commits in versions.items() if len(commits) > 1} == {}


@by_name
def test_no_workflow_has_more_permissions_than_it_needs(path: Path) -> None:
    assert load(path)["permissions"] in ({}, {"contents": "read"})
    for name, job in jobs(path).items():
        granted = {key for key, value in job.get("permissions", {}).items() if value == "write"}
        allowed = {("deploy.yml", "what-if"): {"id-token"}, ("deploy.yml", "deploy"): {"id-token"}}
        allowed[("deploy.yml", "comment")] = {"pull-requests"}
        assert granted <= allowed.get((path.name, name), set()), name


@by_name
def test_no_credential_is_stored(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert "secrets." not in text
    assert "secrets[" not in text
    assert "toJSON(secrets)" not in text
    assert "client-secret" not in text.lower()
    assert "creds:" not in text


@by_name
def test_no_text_of_a_pull_request_becomes_part_of_a_script(path: Path) -> None:
    for step in steps(path):
        assert "${{" not in step.get("run", ""), step


@by_name
def test_a_checkout_leaves_no_token_behind(path: Path) -> None:
    for step in steps(path):
        if step.get("uses", "").startswith("actions/checkout@"):
            assert step["with"]["persist-credentials"] is False


@by_name
def test_every_job_ends_some_time(path: Path) -> None:
    assert all(job["timeout-minutes"] <= 60 for job in jobs(path).values())


def test_only_what_ci_found_good_on_main_is_deployed() -> None:
    workflow = load(DEPLOY)
    # YAML 1.1 reads the key `on` as true.
    trigger = workflow[True]["workflow_run"]
    assert trigger == {"workflows": ["CI"], "types": ["completed"], "branches": ["main"]}
    assert load(ROOT / ".github" / "workflows" / "ci.yml")["name"] == "CI"
    deploy = workflow["jobs"]["deploy"]
    for condition in (
        "workflow_run.conclusion == 'success'",
        "workflow_run.event == 'push'",
        "head_repository.full_name == github.repository",
    ):
        assert condition in deploy["if"]
    assert deploy["steps"][0]["with"]["ref"] == "${{ github.event.workflow_run.head_sha }}"
    assert deploy["concurrency"] == {"group": "deploy-production", "cancel-in-progress": False}
    assert deploy["environment"] == "production"


def test_a_fork_gets_no_token() -> None:
    what_if = jobs(DEPLOY)["what-if"]
    assert "head.repo.full_name == github.repository" in what_if["if"]
    assert what_if["environment"] == "what-if"
    commands = " ".join(step.get("run", "") for step in what_if["steps"])
    assert "what-if" in commands
    for word in ("azd ", "python", "make ", "deployment sub create"):
        assert word not in commands, "a pull request's own code must not run beside a token"


def test_the_package_is_what_is_deployed_and_the_smoke_test_comes_last() -> None:
    commands = [step["run"] for step in jobs(DEPLOY)["deploy"]["steps"] if "run" in step]
    package, deploy = commands.index("make package"), len(commands) - 2
    assert package < deploy
    assert "--from-package dist/llm-proxy.zip" in commands[deploy]
    assert "STARTED_AFTER" in commands[deploy - 1]
    words = re.sub(r"\$\([^)]*(?:\([^)]*\)[^)]*)*\)", "X", commands[-1].replace("\\\n", " ")).replace('"', "")
    assert words.split()[:3] == ["python", "-m", "shared.smoke"]
    chosen = _parser().parse_args(words.replace("$STARTED_AFTER", "1").split()[3:])
    assert chosen.wait >= 60
    assert chosen.started_after == 1
    assert chosen.key_file is None


def test_what_the_workflow_asks_of_azd_is_an_output_of_the_template() -> None:
    template = (ROOT / "infra-bicep" / "main.bicep").read_text(encoding="utf-8")
    outputs = set(re.findall(r"^output (\w+) ", template, re.MULTILINE))
    asked = set(re.findall(r"azd env get-value (\w+)", DEPLOY.read_text(encoding="utf-8")))
    assert asked
    assert asked <= outputs


@pytest.mark.parametrize("job", ["what-if", "deploy"])
def test_every_variable_of_the_template_comes_from_the_repository(job: str) -> None:
    """Without one, the workflow would make a second system beside the one that a machine has made."""
    parameters = (ROOT / "infra-bicep" / "main.bicepparam").read_text(encoding="utf-8")
    read = set(re.findall(r"readEnvironmentVariable\('(AZURE_\w+)'", parameters))
    environment = jobs(DEPLOY)[job]["env"]
    # azd knows who has logged in; what a principal gets is no part of what would change.
    for name in read - {"AZURE_PRINCIPAL_ID", "AZURE_PRINCIPAL_TYPE"}:
        assert environment[name] == f"${{{{ vars.{name} }}}}"
    assert environment["AZURE_PRINCIPAL_TYPE"] == "ServicePrincipal"


@pytest.mark.skipif(shutil.which("jq") is None, reason="jq is not installed")
def test_variables_of_the_repository_reach_the_template(tmp_path: Path) -> None:
    scripts = {step["run"] for step in steps(DEPLOY) if "VARIABLES" in step.get("env", {})}
    [script] = scripts
    variables = {"DEPLOY_ALWAYS_READY": "1", "DEPLOY_PUBLISHERS": '["a",\n"b"]', "AZURE_LOCATION": "x"}
    file = tmp_path / "environment"
    subprocess.run(
        ["bash", "-e", "-c", script],
        env={"PATH": "/usr/bin:/bin", "VARIABLES": json.dumps(variables), "GITHUB_ENV": str(file)},
        check=True,
    )
    assert file.read_text(encoding="utf-8") == 'DEPLOY_ALWAYS_READY=1\nDEPLOY_PUBLISHERS=["a", "b"]\n'
