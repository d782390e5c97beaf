"""The catalog moves between both kinds of store, and back, without a byte's difference."""

import argparse
from pathlib import Path

import pytest

from shared.transfer import command
from tests.contract.stores import DATABASE, cosmos, cosmos_store
from tests.emulators.cosmos_server import EMULATOR_KEY, CosmosServer
from tests.unit.access.worlds import ADMIN
from tests.unit.transfer.worlds import World


async def test_what_cosmos_takes_from_sqlite_it_exports_alike(tmp_path: Path) -> None:
    world = World(tmp_path / "one.db")
    await world.furnish()
    content = await world.export()
    await world.close()
    async with cosmos(tmp_path) as subject:
        other = World(tmp_path, subject.store)
        results = await other.take(content)
        assert {result.outcome for result in results.values()} == {"created"}
        assert await other.export() == content
        results = await other.take(content)
        assert {result.outcome for result in results.values()} == {"unchanged"}
        await other.ring.close()


async def test_a_key_that_was_deleted_comes_back_for_good_in_cosmos(tmp_path: Path) -> None:
    async with cosmos(tmp_path) as subject:
        world = World(tmp_path, subject.store)
        key = await world.furnish()
        content = await world.export()
        id = (await world.ring.authenticate(key)).key_id
        await world.keys.delete(ADMIN, id)
        assert (await world.take(content))[f"key {id}"].outcome == "created"
        subject.clock.advance(2 * 86_400)
        assert await world.export() == content
        await world.ring.close()


async def test_the_command_works_with_the_settings_of_the_app_in_azure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    world = World(tmp_path / "one.db")
    await world.furnish()
    source, target = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    source.write_bytes(await world.export())
    await world.close()
    async with CosmosServer() as server, cosmos_store(server):
        monkeypatch.setenv("LLMPROXY_MODE", "azure")
        monkeypatch.setenv("LLMPROXY_COSMOS_ENDPOINT", server.endpoint)
        monkeypatch.setenv("LLMPROXY_COSMOS_DATABASE", DATABASE)
        monkeypatch.setenv("LLMPROXY_COSMOS_EMULATOR_KEY", EMULATOR_KEY)
        monkeypatch.setenv("LLMPROXY_KEY_VAULT_URL", "https://unit.vault.azure.net")
        monkeypatch.setenv("EventHubs__fullyQualifiedNamespace", "unit.servicebus.windows.net")
        taken = argparse.Namespace(verb="import", file=str(source), dry_run=False, litellm=False, variable=[])
        assert await command.run(taken) == 0
        assert await command.run(argparse.Namespace(verb="export", file=str(target))) == 0
    assert target.read_bytes() == source.read_bytes()
    assert capfd.readouterr().err.splitlines()[-1] == "3 projects, 2 models, 1 groups, 1 keys"
