"""What every SecretStore promises: the local file, Key Vault over HTTPS, and the cache before each."""

import asyncio
import json
import logging
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Protocol

import pytest
from azure.core.credentials import AccessToken, AccessTokenInfo, TokenRequestOptions

from shared.adapters.azure_identity import AzureIdentity
from shared.adapters.key_vault import KeyVaultSecrets
from shared.adapters.local_secrets import LocalSecrets
from shared.clock import ManualClock
from shared.errors import SecretError, SecretNotFound, SecretsUnavailable
from shared.ports import SecretStore
from shared.secrets import PROXY_SECRETS, CachedSecrets
from tests.emulators.key_vault_server import TENANT, KeyVaultServer, key_vault_server


class FakeIdentity:
    """A credential that records what it was asked for."""

    def __init__(self, token: str = "token-of-the-app") -> None:
        self.token = token
        self.asked: list[tuple[tuple[str, ...], str | None]] = []
        self.closed = 0

    async def get_token(self, *scopes: str, tenant_id: str | None = None, **options: Any) -> AccessToken:
        self.asked.append((scopes, tenant_id))
        return AccessToken(self.token, int(time.time()) + 3600)

    async def get_token_info(
        self, *scopes: str, options: TokenRequestOptions | None = None
    ) -> AccessTokenInfo:
        self.asked.append((scopes, (options or {}).get("tenant_id")))
        return AccessTokenInfo(self.token, int(time.time()) + 3600)

    async def close(self) -> None:
        self.closed += 1


class Vault(Protocol):
    """A store under test, and the way to change what it holds."""

    store: SecretStore

    def put(self, name: str, text: str) -> None: ...

    def remove(self, name: str) -> None: ...

    def break_down(self) -> None: ...


class LocalVault:
    def __init__(self, path: Path) -> None:
        self.path = path
        self.texts: dict[str, str] = {}
        self.store: SecretStore = LocalSecrets(path)

    def put(self, name: str, text: str) -> None:
        self.texts[name] = text
        self.path.write_text(json.dumps(self.texts))

    def remove(self, name: str) -> None:
        del self.texts[name]
        self.path.write_text(json.dumps(self.texts))

    def break_down(self) -> None:
        self.path.write_text('{"broken": "not-to-be-shown')


class RemoteVault:
    def __init__(self, server: KeyVaultServer) -> None:
        self.server = server
        self.store: SecretStore = key_vault(server, FakeIdentity())

    def put(self, name: str, text: str) -> None:
        self.server.texts[name] = text

    def remove(self, name: str) -> None:
        del self.server.texts[name]

    def break_down(self) -> None:
        self.server.faults.extend([(503, {}, {"error": {"code": "Busy", "message": "not-to-be-shown"}})] * 10)


class CachedVault:
    """The cache before a vault, with an age that is over at once: it may add nothing but memory."""

    def __init__(self, vault: Vault) -> None:
        self.vault = vault
        self.clock = ManualClock()
        self.store: SecretStore = CachedSecrets(vault.store, self.clock, max_age=1)

    def put(self, name: str, text: str) -> None:
        self.vault.put(name, text)
        self.clock.advance(1)

    def remove(self, name: str) -> None:
        self.vault.remove(name)
        self.clock.advance(1)

    def break_down(self) -> None:
        self.vault.break_down()


def key_vault(server: KeyVaultServer, credential: FakeIdentity, **options: Any) -> KeyVaultSecrets:
    return KeyVaultSecrets(
        server.url,
        credential,
        deadline=options.pop("deadline", 10.0),
        client_options={
            "connection_verify": str(server.certificate_authority),
            "verify_challenge_resource": False,  # the challenge names vault.azure.net, the server is here
            "retry_backoff_factor": 0,
            **options,
        },
    )


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[KeyVaultServer]:
    async with key_vault_server(tmp_path) as running:
        yield running


@pytest.fixture(params=["local file", "key vault", "cached local file", "cached key vault"])
async def vault(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Vault]:
    async with AsyncExitStack() as stack:
        if request.param.endswith("key vault"):
            vault: Vault = RemoteVault(await stack.enter_async_context(key_vault_server(tmp_path)))
        else:
            vault = LocalVault(tmp_path / "secrets.json")
        if request.param.startswith("cached"):
            vault = CachedVault(vault)
        stack.push_async_callback(vault.store.close)
        yield vault


# Every store


async def test_a_secret_is_read_by_its_name(vault: Vault) -> None:
    vault.put("OPENAI-API-KEY", "text-one")
    vault.put("other", "text-two")
    assert await vault.store.get("OPENAI-API-KEY") == "text-one"
    assert await vault.store.get("other") == "text-two"


async def test_a_secret_that_does_not_exist_is_not_found(vault: Vault) -> None:
    with pytest.raises(SecretNotFound, match="absent"):
        await vault.store.get("absent")


@pytest.mark.parametrize("name", ["", "../other", "a/b", "other?x=1", "other/", "a b"])
async def test_a_name_that_no_vault_can_have_is_not_found(vault: Vault, name: str) -> None:
    vault.put("other", "text")
    with pytest.raises(SecretNotFound):
        await vault.store.get(name)


async def test_a_new_secret_is_seen_though_it_was_missing_before(vault: Vault) -> None:
    with pytest.raises(SecretNotFound):
        await vault.store.get("late")
    vault.put("late", "text")
    assert await vault.store.get("late") == "text"


async def test_a_changed_secret_is_seen(vault: Vault) -> None:
    vault.put("changing", "one")
    assert await vault.store.get("changing") == "one"
    vault.put("changing", "two")
    assert await vault.store.get("changing") == "two"


async def test_a_removed_secret_is_not_found(vault: Vault) -> None:
    vault.put("gone", "text")
    await vault.store.get("gone")
    vault.remove("gone")
    async with asyncio.timeout(5):
        while await found(
            vault.store, "gone"
        ):  # a cache may answer once more while it asks in the background
            await asyncio.sleep(0)


async def found(store: SecretStore, name: str) -> bool:
    try:
        await store.get(name)
    except SecretNotFound:
        return False
    return True


@pytest.mark.parametrize("text", ["", "  \n"])
async def test_an_empty_secret_is_no_secret(vault: Vault, text: str) -> None:
    vault.put("blank", text)
    with pytest.raises(SecretNotFound, match="blank is empty"):
        await vault.store.get("blank")


async def test_a_line_end_after_a_secret_is_not_part_of_it(vault: Vault) -> None:
    vault.put("piped", "text\r\n")
    assert await vault.store.get("piped") == "text"


async def test_a_text_of_any_script_and_many_lines_comes_back_as_it_was(vault: Vault) -> None:
    text = '{\n  "private_key": "-----BEGIN…-----\\nß漢字🙂"\n}'
    vault.put("account", text)
    assert await vault.store.get("account") == text


async def test_a_vault_that_is_broken_is_unavailable_and_shows_nothing_of_what_it_said(vault: Vault) -> None:
    vault.break_down()
    with pytest.raises(SecretsUnavailable) as refused:
        await vault.store.get("any")
    assert "not-to-be-shown" not in str(refused.value)
    assert refused.value.__cause__ is None
    assert refused.value.__suppress_context__ or refused.value.__context__ is None


# Key Vault


async def test_the_token_is_asked_for_as_the_challenge_says_and_once(server: KeyVaultServer) -> None:
    server.texts["A"] = "text"
    identity = FakeIdentity()
    secrets = key_vault(server, identity)
    assert await secrets.get("A") == "text"
    assert await secrets.get("A") == "text"
    assert identity.asked == [(("https://vault.azure.net/.default",), TENANT)]
    assert server.challenges == 1
    await secrets.close()


async def test_a_vault_with_another_name_than_its_challenge_gets_no_token(server: KeyVaultServer) -> None:
    identity = FakeIdentity()
    secrets = key_vault(server, identity, verify_challenge_resource=True)
    with pytest.raises(SecretsUnavailable):
        await secrets.get("A")
    assert identity.asked == []
    await secrets.close()


async def test_a_certificate_of_an_unknown_authority_is_refused(server: KeyVaultServer) -> None:
    server.texts["A"] = "text"
    identity = FakeIdentity()
    secrets = key_vault(server, identity, connection_verify=True, retry_total=0)
    with pytest.raises(SecretsUnavailable, match="cannot be reached"):
        await secrets.get("A")
    assert identity.asked == []
    await secrets.close()


async def test_a_disabled_secret_counts_as_absent(server: KeyVaultServer) -> None:
    server.texts["A"] = "text"
    server.disabled.add("A")
    secrets = key_vault(server, FakeIdentity())
    with pytest.raises(SecretNotFound, match="A is disabled"):
        await secrets.get("A")
    await secrets.close()


async def test_a_vault_that_refuses_our_identity_is_unavailable_and_says_why(server: KeyVaultServer) -> None:
    server.forbidden.add("A")
    secrets = key_vault(server, FakeIdentity())
    with pytest.raises(SecretsUnavailable, match=r"does not let .* read A \(ForbiddenByRbac\)"):
        await secrets.get("A")
    await secrets.close()


async def test_a_token_that_the_vault_refuses_is_unavailable(server: KeyVaultServer) -> None:
    secrets = key_vault(server, FakeIdentity("token-of-another"))
    with pytest.raises(SecretsUnavailable, match="does not let") as refused:
        await secrets.get("A")
    assert "token-of-another" not in str(refused.value)
    await secrets.close()


@pytest.mark.parametrize("status", [429, 500, 502, 503])
async def test_a_short_trouble_of_the_vault_is_not_noticed(server: KeyVaultServer, status: int) -> None:
    server.texts["A"] = "text"
    server.faults.append((status, {}, {"error": {"code": "Busy", "message": "later"}}))
    secrets = key_vault(server, FakeIdentity())
    assert await secrets.get("A") == "text"
    assert server.asked == ["A", "A"]
    await secrets.close()


async def test_a_vault_in_trouble_is_asked_three_times_at_most(server: KeyVaultServer) -> None:
    server.faults.extend([(503, {}, {"error": {"code": "Busy", "message": "later"}})] * 10)
    secrets = key_vault(server, FakeIdentity())
    with pytest.raises(SecretsUnavailable, match="answered 503 for A"):
        await secrets.get("A")
    assert server.asked == ["A"] * 3
    await secrets.close()


@pytest.mark.parametrize("body", [{"error": {"code": "Moved on", "message": "m"}}, {"strange": "shape"}, {}])
async def test_an_answer_of_an_unknown_shape_is_unavailable(
    server: KeyVaultServer, body: dict[str, Any]
) -> None:
    server.faults.append((418, {}, body))
    secrets = key_vault(server, FakeIdentity())
    with pytest.raises(SecretsUnavailable, match="answered 418 for A"):
        await secrets.get("A")
    await secrets.close()


async def test_a_vault_that_says_nothing_is_given_up_at_the_deadline(server: KeyVaultServer) -> None:
    server.silent = True
    secrets = key_vault(server, FakeIdentity(), deadline=0.3)
    with pytest.raises(SecretsUnavailable, match="did not answer in time"):
        await secrets.get("A")
    await secrets.close()


async def test_a_long_pause_that_the_vault_asks_for_ends_at_the_deadline(server: KeyVaultServer) -> None:
    server.faults.append((429, {"Retry-After": "60"}, {"error": {"code": "Throttled", "message": "later"}}))
    secrets = key_vault(server, FakeIdentity(), deadline=0.3)
    with pytest.raises(SecretsUnavailable, match="did not answer in time"):
        await secrets.get("A")
    await secrets.close()


async def test_a_vault_that_is_not_there_is_unavailable(tmp_path: Path) -> None:
    async with key_vault_server(tmp_path) as stopped:
        pass
    secrets = key_vault(stopped, FakeIdentity(), retry_total=0)
    with pytest.raises(SecretsUnavailable, match="cannot be reached"):
        await secrets.get("A")
    await secrets.close()


async def test_an_identity_that_fails_makes_the_vault_unavailable_without_its_words(
    server: KeyVaultServer,
) -> None:
    class Failing(FakeIdentity):
        async def get_token_info(
            self, *scopes: str, options: TokenRequestOptions | None = None
        ) -> AccessTokenInfo:
            raise RuntimeError("client_secret=not-to-be-shown")

    secrets = key_vault(server, Failing())
    with pytest.raises(SecretsUnavailable, match="RuntimeError") as refused:
        await secrets.get("A")
    assert "not-to-be-shown" not in str(refused.value)
    await secrets.close()


async def test_many_first_requests_share_one_client(server: KeyVaultServer) -> None:
    server.texts.update({f"S{number}": "text" for number in range(8)})
    secrets = key_vault(server, FakeIdentity())
    assert await asyncio.gather(*(secrets.get(name) for name in server.texts)) == ["text"] * 8
    await secrets.close()  # an unclosed second client would be reported by the warnings that are errors here


async def test_a_request_that_leaves_is_no_error_of_the_vault(server: KeyVaultServer) -> None:
    server.silent = True
    secrets = key_vault(server, FakeIdentity())
    waiting = asyncio.create_task(secrets.get("A"))
    async with asyncio.timeout(5):
        while not server.asked:
            await asyncio.sleep(0.01)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    await secrets.close()


async def test_no_secret_and_no_token_is_logged(
    server: KeyVaultServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    server.texts["A"] = "text-not-to-be-shown"
    server.forbidden.add("B")
    secrets = CachedSecrets(key_vault(server, FakeIdentity()), ManualClock())
    await secrets.get("A")
    for name in ("B", "C"):
        with pytest.raises(SecretError):
            await secrets.get(name)
    await secrets.close()
    assert caplog.records
    written = "\n".join(f"{record.getMessage()} {record.args} {record.exc_text}" for record in caplog.records)
    assert "text-not-to-be-shown" not in written
    assert "token-of-the-app" not in written


async def test_a_vault_is_read_with_the_app_identity(server: KeyVaultServer) -> None:
    server.texts["A"] = "text"
    fake = FakeIdentity()
    identity = AzureIdentity(build=lambda client_id: fake)
    secrets = KeyVaultSecrets(
        server.url,
        identity.credential(),
        client_options={
            "connection_verify": str(server.certificate_authority),
            "verify_challenge_resource": False,
        },
    )
    assert await secrets.get("A") == "text"
    await secrets.close()
    assert fake.closed == 0
    await identity.close()
    assert fake.closed == 1


# The local file


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / ".local" / "secrets.json"


async def test_the_first_start_makes_the_proxys_secrets(path: Path) -> None:
    secrets = LocalSecrets(path)
    assert secrets.ensure(PROXY_SECRETS) == PROXY_SECRETS
    texts = [await secrets.get(name) for name in PROXY_SECRETS]
    assert len(set(texts)) == len(PROXY_SECRETS)
    assert all(len(text) >= 43 for text in texts)  # 32 bytes in base64


async def test_a_second_start_keeps_them(path: Path) -> None:
    LocalSecrets(path).ensure(PROXY_SECRETS)
    before = path.read_bytes()
    assert LocalSecrets(path).ensure(PROXY_SECRETS) == ()
    assert path.read_bytes() == before


async def test_what_the_owner_wrote_is_kept(path: Path) -> None:
    path.parent.mkdir()
    path.write_text('{"OPENAI_API_KEY": "mine", "llmproxy-admin-key": "chosen"}')
    secrets = LocalSecrets(path)
    assert "llmproxy-admin-key" not in secrets.ensure(PROXY_SECRETS)
    assert await secrets.get("OPENAI-API-KEY") == "mine"
    assert await secrets.get("llmproxy-admin-key") == "chosen"
    assert json.loads(path.read_text())["OPENAI_API_KEY"] == "mine"


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such modes")
async def test_only_the_owner_may_read_the_file(path: Path) -> None:
    before = os.umask(0)
    try:
        LocalSecrets(path).ensure(PROXY_SECRETS)
    finally:
        os.umask(before)
    assert path.stat().st_mode & 0o777 == 0o600
    assert [entry.name for entry in path.parent.iterdir() if entry.stat().st_mode & 0o077] == []


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such modes")
async def test_a_file_that_others_may_read_is_closed_to_them(path: Path) -> None:
    path.parent.mkdir()
    path.write_text('{"A": "text"}')
    path.chmod(0o644)
    assert await LocalSecrets(path).get("A") == "text"
    assert path.stat().st_mode & 0o777 == 0o600


async def test_an_owner_may_write_names_with_underscores_and_in_any_case(path: Path) -> None:
    path.parent.mkdir()
    path.write_text('{"my_Key": "text", "no name!": "x"}')
    assert await LocalSecrets(path).get("MY-KEY") == "text"


async def test_a_file_put_in_its_place_is_seen_though_time_and_size_are_the_same(path: Path) -> None:
    path.parent.mkdir()
    path.write_text('{"A": "one"}')
    secrets = LocalSecrets(path)
    assert await secrets.get("A") == "one"
    beside = path.with_name("new")
    beside.write_text('{"A": "two"}')
    os.utime(beside, ns=(path.stat().st_atime_ns, path.stat().st_mtime_ns))
    beside.replace(path)
    assert await secrets.get("A") == "two"


@pytest.mark.parametrize(
    "content", ['{"A": "not-to-be-shown"', '["not-to-be-shown"]', '"not-to-be-shown"', "\x00"]
)
async def test_a_broken_file_is_named_and_never_quoted_nor_overwritten(path: Path, content: str) -> None:
    path.parent.mkdir()
    path.write_text(content)
    secrets = LocalSecrets(path)
    actions: list[Callable[[], Any]] = [lambda: asyncio.run(secrets.get("A")), lambda: secrets.ensure(["A"])]
    for action in actions:
        with pytest.raises(SecretsUnavailable, match=r"secrets\.json") as refused:
            await asyncio.to_thread(action)
        assert "not-to-be-shown" not in str(refused.value)
    assert path.read_text() == content


async def test_a_value_that_is_no_text_harms_no_other(path: Path) -> None:
    path.parent.mkdir()
    path.write_text('{"A": "text", "B": 5}')
    secrets = LocalSecrets(path)
    assert await secrets.get("A") == "text"
    with pytest.raises(SecretsUnavailable, match=r"B in secrets\.json is not a text"):
        await secrets.get("B")


async def test_a_directory_in_the_place_of_the_file_is_unavailable(path: Path) -> None:
    path.mkdir(parents=True)
    with pytest.raises(SecretsUnavailable, match=r"secrets\.json cannot be read"):
        await LocalSecrets(path).get("A")
    with pytest.raises(SecretsUnavailable, match=r"secrets\.json cannot be written"):
        LocalSecrets(path).ensure(["A"])


async def test_processes_that_start_at_once_agree_on_the_secrets(path: Path) -> None:
    program = (
        "import sys, pathlib, asyncio\n"
        "from shared.adapters.local_secrets import LocalSecrets\n"
        "from shared.secrets import PROXY_SECRETS\n"
        "sys.stdin.readline()\n"
        "secrets = LocalSecrets(pathlib.Path(sys.argv[1]))\n"
        "secrets.ensure(PROXY_SECRETS + (sys.argv[2],))\n"
        "print(asyncio.run(secrets.get(PROXY_SECRETS[0])))\n"
    )
    starting = [
        subprocess.Popen(
            [sys.executable, "-c", program, str(path), f"own-{number}"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        )
        for number in range(4)
    ]
    answers = await asyncio.gather(*(asyncio.to_thread(process.communicate, "go\n") for process in starting))
    assert [process.returncode for process in starting] == [0] * 4
    assert len({output for output, _ in answers}) == 1
    texts = json.loads(path.read_text())
    assert set(texts) == {*PROXY_SECRETS, *(f"own-{number}" for number in range(4))}
