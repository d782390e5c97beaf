"""The proxy's own secrets in a deployment's vault: made once, kept, never printed."""

import asyncio
from pathlib import Path

import pytest

from shared.access.admin_keys import SHORTEST
from shared.deployment.__main__ import main
from shared.deployment.own_secrets import NAMES
from shared.deployment.smoke_access import ADMIN_KEY, SMOKE_KEY
from shared.deployment.vault import DeployerVault, VaultProblem
from shared.secrets import PROXY_SECRETS
from tests.proxy import running_proxy
from tests.unit.deployment.vault import TOKEN, Azure, refused
from tests.upstreams.behaviours import HangUp

pytestmark = pytest.mark.usefixtures("logged_in")


async def own_secrets(azure: Azure, *more: str) -> int:
    return await asyncio.to_thread(main, ["own-secrets", "--key-vault", azure.url, "--wait", "0", *more])


def test_together_with_the_smoke_key_they_are_all_that_the_proxy_has() -> None:
    assert {*NAMES, SMOKE_KEY} == set(PROXY_SECRETS)
    assert ADMIN_KEY in NAMES


async def test_missing_secrets_are_made_long_and_different(
    azure: Azure, capsys: pytest.CaptureFixture[str]
) -> None:
    assert await own_secrets(azure) == 0
    assert set(azure.secrets) == set(NAMES)
    assert len(set(azure.secrets.values())) == len(NAMES)
    assert min(len(text) for text in azure.secrets.values()) >= SHORTEST
    printed = capsys.readouterr()
    assert ADMIN_KEY in printed.out
    for text in (*azure.secrets.values(), TOKEN):
        assert text not in printed.out + printed.err


async def test_what_is_there_is_kept(azure: Azure, capsys: pytest.CaptureFixture[str]) -> None:
    azure.secrets = {"llmproxy-admin-key": "the operator's own, of more than 32 characters"}
    assert await own_secrets(azure) == 0
    first = dict(azure.secrets)
    assert first["llmproxy-admin-key"].startswith("the operator's own")
    assert await own_secrets(azure) == 0
    assert azure.secrets == first
    assert capsys.readouterr().out.endswith("nothing was missing\n")


async def test_a_role_that_is_not_known_yet_is_waited_for(azure: Azure) -> None:
    azure.role_after = 2
    vault = DeployerVault(azure.url, patience=30, pause=0.01)
    assert await asyncio.to_thread(vault.get, ADMIN_KEY) is None
    assert azure.role_after == 0


async def test_a_deployer_without_the_role_is_told_so(
    azure: Azure, capsys: pytest.CaptureFixture[str]
) -> None:
    azure.role_after = 1000
    assert await own_secrets(azure) == 1
    assert capsys.readouterr().err.startswith("the vault refused the secret llmproxy-admin-key: status 403")


async def test_a_closed_network_is_not_waited_for(azure: Azure) -> None:
    azure.always(refused(403, "Forbidden", inner="ForbiddenByConnection"))
    vault = DeployerVault(azure.url, patience=3600, pause=0.01)
    with pytest.raises(VaultProblem, match="403"):
        await asyncio.to_thread(vault.get, ADMIN_KEY)
    assert len(azure.requests) == 1


async def test_a_secret_that_was_deleted_is_recovered_and_gets_a_new_text(azure: Azure) -> None:
    """Purge protection lets no one free its name."""
    azure.deleted = {ADMIN_KEY}
    vault = DeployerVault(azure.url, patience=30, pause=0.01)
    await asyncio.to_thread(vault.set, ADMIN_KEY, "a new text")
    assert azure.secrets == {ADMIN_KEY: "a new text"}


async def test_a_secret_that_cannot_be_recovered_is_named(
    azure: Azure, capsys: pytest.CaptureFixture[str]
) -> None:
    azure.deleted, azure.unrecoverable = {ADMIN_KEY}, True
    assert await own_secrets(azure) == 1
    assert capsys.readouterr().err.startswith(f"the secret {ADMIN_KEY} was deleted, and cannot be recovered")


async def rotate(azure: Azure, name: str) -> int:
    return await asyncio.to_thread(main, ["rotate", name, "--key-vault", azure.url, "--wait", "0"])


@pytest.mark.parametrize("name", NAMES)
async def test_rotation_keeps_the_text_before(
    azure: Azure, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    azure.secrets = {name: "the text before"}
    assert await rotate(azure, name) == 0
    assert azure.secrets[name + "-previous"] == "the text before"
    assert len(azure.secrets[name]) >= SHORTEST
    assert azure.written == [name + "-previous", name]
    printed = capsys.readouterr().out
    assert all(text not in printed for text in azure.secrets.values())


async def test_a_second_rotation_waits_until_the_first_is_over(
    azure: Azure, capsys: pytest.CaptureFixture[str]
) -> None:
    azure.secrets = {ADMIN_KEY: "current", f"{ADMIN_KEY}-previous": "someone may use this"}
    before = dict(azure.secrets)
    assert await rotate(azure, ADMIN_KEY) == 1
    assert azure.secrets == before
    assert "delete it when no one uses it" in capsys.readouterr().err


async def test_a_rotation_that_was_stopped_half_way_can_be_done_again(azure: Azure) -> None:
    azure.secrets = {ADMIN_KEY: "current", f"{ADMIN_KEY}-previous": "current"}
    assert await rotate(azure, ADMIN_KEY) == 0
    assert azure.secrets[f"{ADMIN_KEY}-previous"] == "current"
    assert azure.secrets[ADMIN_KEY] != "current"


async def test_both_administrators_keys_work_after_a_rotation(tmp_path: Path, azure: Azure) -> None:
    async with running_proxy(tmp_path / "local") as proxy:
        azure.secrets = {ADMIN_KEY: proxy.key}
        assert await rotate(azure, ADMIN_KEY) == 0
        for name, text in azure.secrets.items():
            proxy.add_secret(name, text)
        proxy.services.secrets.forget(ADMIN_KEY)
        proxy.services.secrets.forget(f"{ADMIN_KEY}-previous")
        for text in azure.secrets.values():
            assert (await proxy.call("GET", "/manage/keys", key=text)).status == 200


async def test_a_vault_that_hangs_up_is_named_in_one_line(
    azure: Azure, capsys: pytest.CaptureFixture[str]
) -> None:
    azure.always(HangUp())
    assert await own_secrets(azure) == 1
    said = capsys.readouterr().err
    assert said.startswith("the vault cannot be asked")
    assert len(said.splitlines()) == 1


@pytest.mark.parametrize(
    "address", ["https://vault.azure.net.evil.example", "https://proxy.example", "http://x.vault.azure.net"]
)
def test_a_token_goes_to_vaults_only(address: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["own-secrets", "--key-vault", address]) == 2
    assert "must" in capsys.readouterr().err


def test_each_cloud_has_a_vault_of_its_own() -> None:
    for host in ("one.vault.azure.net", "two.vault.azure.cn", "three.vault.usgovcloudapi.net"):
        DeployerVault(f"https://{host}/")
