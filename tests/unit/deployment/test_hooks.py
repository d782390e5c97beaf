"""azure.yaml and its hooks, run by a real shell with programs that write down how they were called."""

import os
import re
import subprocess
from pathlib import Path

import pytest
import yaml

from shared.deployment.__main__ import _parser
from tests.unit.deployment.conftest import command

ROOT = Path(__file__).resolve().parents[3]
HOOKS = ROOT / "infra-bicep" / "hooks"
BICEP = ROOT / "infra-bicep"
ENVIRONMENT = {
    "AZURE_SUBSCRIPTION_ID": "subscription",
    "AZURE_ENV_NAME": "dev",
    "AZURE_LOCATION": "westeurope",
    "LLMPROXY_KEY_VAULT_URL": "https://kv-1.vault.azure.net/",
    "SERVICE_API_URI": "https://func-1.azurewebsites.net",
}


def run(hook: str, folder: Path, python: str, **more: str) -> tuple[int, list[str], list[str]]:
    """The hook's status, how it called Python (after `-m shared.deployment`), and how azd."""
    command(folder, "python3", f"""printf '%s\\n' "$@" > "{folder}/python"; {python}""")
    command(folder, "azd", f"""printf '%s\\n' "$@" > "{folder}/azd.called" """)
    environment = {**ENVIRONMENT, **more, "PATH": f"{folder}{os.pathsep}/usr/bin{os.pathsep}/bin"}
    done = subprocess.run(["sh", str(HOOKS / hook)], cwd=ROOT, env=environment, capture_output=True)
    called = (folder / "python").read_text().splitlines()
    assert called[:2] == ["-m", "shared.deployment"]
    azd = folder / "azd.called"
    return done.returncode, called[2:], azd.read_text().splitlines() if azd.exists() else []


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "bin"
    made.mkdir()
    return made


@pytest.mark.parametrize("answer", ["true", "false"])
def test_a_deleted_vault_is_taken_back_through_the_templates_parameter(folder: Path, answer: str) -> None:
    status, called, azd = run("preprovision.sh", folder, f"echo {answer}")
    assert status == 0
    chosen = _parser().parse_args(called)
    assert (chosen.command, chosen.environment, chosen.location) == ("vault-deleted", "dev", "westeurope")
    assert chosen.resource_group == "rg-llmproxy-dev"
    assert azd == ["env", "set", "DEPLOY_RECOVER_KEY_VAULT", answer]
    parameters = (BICEP / "main.bicepparam").read_text(encoding="utf-8")
    assert re.search(r"param recoverKeyVault = .*'DEPLOY_RECOVER_KEY_VAULT'", parameters)


def test_the_group_is_named_as_the_template_names_it(folder: Path) -> None:
    template = (BICEP / "main.bicep").read_text(encoding="utf-8")
    assert "empty(resourceGroupName) ? 'rg-llmproxy-${environmentName}' : resourceGroupName" in template
    for named, group in (("", "rg-llmproxy-dev"), ("rg-mine", "rg-mine")):
        _, called, _ = run("preprovision.sh", folder, "echo false", AZURE_RESOURCE_GROUP=named)
        assert _parser().parse_args(called).resource_group == group


@pytest.mark.parametrize("name", ["AZURE_SUBSCRIPTION_ID", "AZURE_LOCATION"])
def test_what_azd_has_not_asked_for_yet_is_named(name: str) -> None:
    """`azd up` asks before its hooks run, `azd provision` after them."""
    done = subprocess.run(
        ["sh", str(HOOKS / "preprovision.sh")],
        cwd=ROOT,
        env={**{key: value for key, value in ENVIRONMENT.items() if key != name}, "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
    )
    assert done.returncode != 0
    assert f"{name}: is not known yet: begin with azd up" in done.stderr


def test_a_question_without_an_answer_stops_the_deployment(folder: Path) -> None:
    status, _, azd = run("preprovision.sh", folder, "exit 1")
    assert status != 0
    assert azd == []


def test_secrets_are_made_after_the_resources(folder: Path) -> None:
    status, called, _ = run("postprovision.sh", folder, "exit 0")
    chosen = _parser().parse_args(called)
    assert (status, chosen.command, chosen.key_vault) == (
        0,
        "own-secrets",
        ENVIRONMENT["LLMPROXY_KEY_VAULT_URL"],
    )


def test_the_smoke_tests_access_is_made_after_the_code(folder: Path) -> None:
    status, called, _ = run("postdeploy.sh", folder, "exit 3")
    chosen = _parser().parse_args(called)
    assert status == 3
    assert (chosen.command, chosen.url) == ("smoke-access", ENVIRONMENT["SERVICE_API_URI"])


def test_azd_finds_every_file_that_it_is_told_of() -> None:
    project = yaml.safe_load((ROOT / "azure.yaml").read_text(encoding="utf-8"))
    infra = project["infra"]
    assert (ROOT / infra["path"] / f"{infra['module']}.bicepparam").is_file()
    assert set(project["hooks"]) == {"preprovision", "postprovision", "postdeploy"}
    for hook in project["hooks"].values():
        assert os.access(ROOT / hook["run"], os.X_OK), hook
    service = project["services"]["api"]
    assert (service["language"], service["host"]) == ("python", "function")
    # The package holds no dependencies, so Azure has to install them.
    assert service["remoteBuild"] is True


def test_the_template_marks_the_app_for_azd() -> None:
    """azd finds what to deploy to by this tag, and by the name of the service in azure.yaml."""
    text = "\n".join(path.read_text(encoding="utf-8") for path in BICEP.rglob("*.bicep"))
    assert re.search(r"'azd-service-name': 'api'", text)
    assert "'azd-env-name'" in text


def test_the_hooks_know_only_variables_that_azd_has() -> None:
    outputs = set(re.findall(r"^output (\w+) ", (BICEP / "main.bicep").read_text(encoding="utf-8"), re.M))
    known = outputs | {"AZURE_SUBSCRIPTION_ID", "AZURE_ENV_NAME", "AZURE_LOCATION", "group"}
    for hook in HOOKS.glob("*.sh"):
        used = set(re.findall(r'"\$(?!\(|deleted)(\w+)"', hook.read_text(encoding="utf-8")))
        assert used
        assert used <= known, hook.name
