"""A deleted vault of this environment, found by its tag."""

import asyncio

import pytest

from shared.deployment.__main__ import main
from tests.unit.deployment.vault import Azure, deleted_vault, refused

pytestmark = pytest.mark.usefixtures("logged_in")


ARGUMENTS = "--subscription s --resource-group RG-dev --environment dev --location westeurope".split()


async def vault_deleted(azure: Azure) -> int:
    return await asyncio.to_thread(main, ["vault-deleted", *ARGUMENTS, "--management", azure.url])


@pytest.mark.parametrize(
    ("vaults", "answer"),
    [
        ([], "false"),
        ([[deleted_vault("kv-1", "dev", "West Europe")]], "true"),
        (
            [[deleted_vault("kv-1", "dev", "northeurope"), deleted_vault("kv-2", "test", "westeurope")]],
            "false",
        ),
        # The name of another group's vault would be another: taking it back by ours would fail.
        ([[deleted_vault("kv-1", "dev", "westeurope", "rg-dev-before")]], "false"),
        ([[{"name": "kv-3"}, {"name": "kv-4", "properties": {"tags": None}}]], "false"),
        (
            [[deleted_vault("kv-1", "test", "westeurope")], [deleted_vault("kv-2", "dev", "westeurope")]],
            "true",
        ),
    ],
)
async def test_only_a_vault_of_this_environment_in_this_region_is_found(
    azure: Azure, capsys: pytest.CaptureFixture[str], vaults: list[list[dict[str, object]]], answer: str
) -> None:
    azure.vaults = vaults
    assert await vault_deleted(azure) == 0
    assert capsys.readouterr().out == f"{answer}\n"


async def test_whoever_may_not_list_them_is_told_so(azure: Azure, capsys: pytest.CaptureFixture[str]) -> None:
    azure.always(refused(403, "AuthorizationFailed"))
    assert await vault_deleted(azure) == 1
    assert capsys.readouterr().err.startswith("the deleted vaults cannot be listed: status 403")


def test_a_token_goes_to_azure_only(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["vault-deleted", *ARGUMENTS, "--management", "https://management.azure.com.example"]) == 2
    assert "must be the address of Azure's management" in capsys.readouterr().err
