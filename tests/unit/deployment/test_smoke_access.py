"""The smoke test's model and key in a real proxy, made through its own administration."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from shared import Json
from shared.deployment.__main__ import main
from shared.deployment.smoke_access import ADMIN_KEY, SMOKE_KEY, SmokeAccess
from shared.deployment.vault import DeployerVault
from shared.deployment.web import Server
from shared.settings import Settings
from shared.smoke import MODEL, PROJECT
from shared.smoke.__main__ import main as smoke
from tests.proxy import Proxy, running_proxy
from tests.unit.deployment.vault import Azure
from tests.unit.smoke.proxy import ProxyServer
from tests.upstreams.behaviours import Reply

pytestmark = pytest.mark.usefixtures("logged_in")


@pytest.fixture
async def proxy(tmp_path: Path, azure: Azure) -> AsyncIterator[Proxy]:
    async with running_proxy(tmp_path / "local") as running:
        azure.secrets[ADMIN_KEY] = running.key
        yield running


async def prepare(url: str, azure: Azure) -> int:
    arguments = ["smoke-access", "--url", url, "--key-vault", azure.url, "--wait", "0"]
    return await asyncio.to_thread(main, arguments)


async def keys_of(proxy: Proxy) -> list[Json]:
    reply = await proxy.call("GET", f"/manage/keys?project_id={PROJECT}")
    return list(reply.json()["data"])


async def test_the_key_serves_the_smoke_test_and_nothing_else(
    proxy: Proxy, azure: Azure, capsys: pytest.CaptureFixture[str]
) -> None:
    assert await prepare(proxy.url, azure) == 0
    key = azure.secrets[SMOKE_KEY]
    printed = capsys.readouterr()
    assert key not in printed.out + printed.err
    question = {"model": MODEL, "messages": [{"role": "user", "content": "Hello"}]}
    assert (await proxy.call("POST", "/v1/chat/completions", question, key=key)).status == 200
    listed = (await proxy.call("GET", "/v1/models", key=key)).json()["data"]
    assert [model["id"] for model in listed] == [MODEL]
    assert (await proxy.call("GET", "/manage/keys", key=key)).status == 403
    [made] = await keys_of(proxy)
    assert made["models"] == [MODEL]


async def test_the_smoke_test_passes_with_the_key_in_the_vault(
    tmp_path: Path, azure: Azure, capsys: pytest.CaptureFixture[str]
) -> None:
    async with running_proxy(tmp_path / "local", events=True) as running:
        azure.secrets[ADMIN_KEY] = running.key
        assert await prepare(running.url, azure) == 0
        arguments = ["--url", running.url, "--key-vault", azure.url]
        status = await asyncio.to_thread(smoke, arguments)
    assert (status, capsys.readouterr().err) == (0, "")


async def test_the_model_is_hidden_from_other_projects(proxy: Proxy, azure: Azure) -> None:
    assert await prepare(proxy.url, azure) == 0
    other = await proxy.add_key(project="team")
    assert (await proxy.call("GET", f"/v1/models/{MODEL}", key=other)).status == 404


async def test_a_second_time_there_is_nothing_to_do(
    proxy: Proxy, azure: Azure, capsys: pytest.CaptureFixture[str]
) -> None:
    assert await prepare(proxy.url, azure) == 0
    before = dict(azure.secrets), await keys_of(proxy)
    capsys.readouterr()
    assert await prepare(proxy.url, azure) == 0
    assert capsys.readouterr().out == "nothing was missing\n"
    assert (dict(azure.secrets), await keys_of(proxy)) == before
    assert azure.written == [SMOKE_KEY]


async def test_a_new_model_is_known_to_every_instance_before_the_key_is_tried(
    proxy: Proxy, azure: Azure
) -> None:
    pauses: list[float] = []
    access = SmokeAccess(Server(proxy.url), DeployerVault(azure.url), pause=pauses.append)
    await asyncio.to_thread(access.prepare)
    assert pauses == [Settings().catalog_max_age]
    await asyncio.to_thread(access.prepare)
    assert len(pauses) == 1


async def test_a_key_of_a_database_that_is_gone_is_replaced(proxy: Proxy, azure: Azure) -> None:
    azure.secrets[SMOKE_KEY] = "llmp_0123456789abcdef_" + "x" * 43
    assert await prepare(proxy.url, azure) == 0
    assert (await proxy.call("GET", f"/v1/models/{MODEL}", key=azure.secrets[SMOKE_KEY])).status == 200


async def test_a_key_whose_secret_was_lost_on_the_way_is_deleted(proxy: Proxy, azure: Azure) -> None:
    await proxy.add_key(project=PROJECT, name="smoke test")
    mine = await proxy.add_key(project=PROJECT, name="made by hand")
    assert await prepare(proxy.url, azure) == 0
    ids = {key["id"] for key in await keys_of(proxy)}
    assert len(ids) == 2
    assert {mine.split("_")[1], azure.secrets[SMOKE_KEY].split("_")[1]} == ids


async def test_a_model_that_someone_changed_is_put_right(
    proxy: Proxy, azure: Azure, capsys: pytest.CaptureFixture[str]
) -> None:
    assert await prepare(proxy.url, azure) == 0
    changed = await proxy.call("PATCH", f"/manage/models/{MODEL}", {"enabled": False, "private": False})
    assert changed.status == 200
    capsys.readouterr()
    assert await prepare(proxy.url, azure) == 0
    assert capsys.readouterr().out == f"put the model {MODEL} right: enabled, private\n"
    model = (await proxy.call("GET", f"/manage/models/{MODEL}")).json()
    assert (model["enabled"], model["private"]) == (True, True)


async def test_two_deployments_at_once_leave_a_key_that_works(proxy: Proxy, azure: Azure) -> None:
    first, second = await asyncio.gather(prepare(proxy.url, azure), prepare(proxy.url, azure))
    assert 0 in (first, second)
    assert await prepare(proxy.url, azure) == 0
    assert (await proxy.call("GET", f"/v1/models/{MODEL}", key=azure.secrets[SMOKE_KEY])).status == 200


async def test_without_the_administrators_key_it_says_so(
    proxy: Proxy, azure: Azure, capsys: pytest.CaptureFixture[str]
) -> None:
    azure.secrets.clear()
    assert await prepare(proxy.url, azure) == 1
    assert capsys.readouterr().err == f"the secret {ADMIN_KEY} is missing\n"


async def test_a_proxy_that_knows_another_administrator_is_named(
    proxy: Proxy, azure: Azure, capsys: pytest.CaptureFixture[str]
) -> None:
    azure.secrets[ADMIN_KEY] = "another administrator's key, of a vault elsewhere"
    assert await prepare(proxy.url, azure) == 1
    said = capsys.readouterr().err
    assert said.startswith("the proxy does not serve its administrator: status 401")
    assert azure.secrets[ADMIN_KEY] not in said


async def test_a_host_without_the_app_is_not_taken_for_one_without_the_model(
    azure: Azure, capsys: pytest.CaptureFixture[str]
) -> None:
    azure.secrets[ADMIN_KEY] = "k" * 40
    async with ProxyServer() as host:
        host.always(Reply(b"", 404))
        assert await prepare(host.url, azure) == 1
        assert {request.method for request in host.requests} == {"GET"}
    assert "status 404" in capsys.readouterr().err
