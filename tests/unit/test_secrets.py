"""Names of secrets, and the cache in front of the vault."""

import asyncio
from collections.abc import Callable

import pytest

from shared.clock import ManualClock
from shared.errors import SecretNotFound, SecretsUnavailable
from shared.secrets import CachedSecrets, is_reserved, secret_name


class ScriptedVault:
    """A SecretStore in memory that counts its calls, can hold them back and can be away."""

    def __init__(self, **texts: str) -> None:
        self.texts = texts
        self.calls: list[str] = []
        self.away = False
        self.open = asyncio.Event()
        self.open.set()
        self.closed = False

    async def get(self, name: str) -> str:
        self.calls.append(name)
        await self.open.wait()
        if self.away:
            raise SecretsUnavailable("The vault cannot be reached.")
        if name not in self.texts:
            raise SecretNotFound(f"There is no secret {name}.")
        return self.texts[name]

    async def close(self) -> None:
        self.closed = True


async def settled(condition: Callable[[], bool]) -> None:
    """Lets the loop run until `condition` holds."""
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.mark.parametrize(
    "reference",
    [
        "AZURE_OPENAI_API_KEY",
        "$AZURE_OPENAI_API_KEY",
        "os.environ/AZURE_OPENAI_API_KEY",
        "AZURE-OPENAI-API-KEY",
        "  AZURE-OPENAI_API_KEY\n",
    ],
)
def test_every_way_of_writing_a_name_means_the_same_secret(reference: str) -> None:
    assert secret_name(reference) == "AZURE-OPENAI-API-KEY"


@pytest.mark.parametrize(
    "reference",
    [
        "",
        "$",
        "os.environ/",
        "a b",
        "a/b",
        "../a",
        "a.b",
        "clé",
        "a" * 128,
        "$$A",
        "os.environ/$A",
        "${A}",
        "a\nb",
    ],
)
def test_what_cannot_be_a_name_is_refused(reference: str) -> None:
    with pytest.raises(ValueError, match="letters, digits"):
        secret_name(reference)


def test_the_refusal_does_not_repeat_what_may_be_the_secret_itself() -> None:
    with pytest.raises(ValueError, match="secret's name") as refused:
        secret_name("sk-not.a.name!")
    assert "not.a.name" not in str(refused.value)


def test_a_name_of_127_characters_is_accepted() -> None:
    assert secret_name("a" * 127) == "a" * 127


@pytest.mark.parametrize(
    "name", ["llmproxy-admin-key", "LLMPROXY-ADMIN-KEY", "$LlmProxy_Signing_Key", "os.environ/llmproxy_x"]
)
def test_the_proxys_own_secrets_are_reserved_however_they_are_written(name: str) -> None:
    assert is_reserved(name)


@pytest.mark.parametrize("name", ["OPENAI-API-KEY", "my-llmproxy-key", "llmproxy", "not a name: llmproxy-"])
def test_other_names_are_not_reserved(name: str) -> None:
    assert not is_reserved(name)


async def test_a_fresh_secret_costs_no_call(clock: ManualClock) -> None:
    vault = ScriptedVault(A="first")
    secrets = CachedSecrets(vault, clock, max_age=300)
    assert secrets.peek("A") is None
    assert await secrets.get("A") == "first"
    clock.advance(200)
    assert secrets.peek("A") == "first"
    assert await secrets.get("A") == "first"
    assert vault.calls == ["A"]


async def test_a_changed_secret_is_seen_within_its_age_without_a_request_that_waits(
    clock: ManualClock,
) -> None:
    vault = ScriptedVault(A="first")
    secrets = CachedSecrets(vault, clock, max_age=300)
    await secrets.get("A")
    vault.texts["A"] = "second"
    clock.advance(250)
    assert secrets.peek("A") == "first"
    await settled(lambda: secrets.peek("A") == "second")
    assert vault.calls == ["A", "A"]


async def test_a_secret_that_was_not_in_use_is_fetched_before_it_is_served(clock: ManualClock) -> None:
    vault = ScriptedVault(A="first")
    secrets = CachedSecrets(vault, clock, max_age=300)
    await secrets.get("A")
    vault.texts["A"] = "second"
    clock.advance(10_000)
    assert secrets.peek("A") is None
    assert await secrets.get("A") == "second"
    assert vault.calls == ["A", "A"]


async def test_many_requests_for_one_secret_make_one_call(clock: ManualClock) -> None:
    vault = ScriptedVault(A="text", B="other")
    vault.open.clear()
    secrets = CachedSecrets(vault, clock)
    waiting = [asyncio.create_task(secrets.get(name)) for name in ("A", "A", "B", "A")]
    await settled(lambda: len(vault.calls) == 2)
    vault.open.set()
    assert await asyncio.gather(*waiting) == ["text", "text", "other", "text"]
    assert sorted(vault.calls) == ["A", "B"]


async def test_a_first_request_that_leaves_does_not_fail_the_others(clock: ManualClock) -> None:
    vault = ScriptedVault(A="text")
    vault.open.clear()
    secrets = CachedSecrets(vault, clock)
    first = asyncio.create_task(secrets.get("A"))
    await settled(lambda: bool(vault.calls))
    second = asyncio.create_task(secrets.get("A"))
    await asyncio.sleep(0)
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    vault.open.set()
    assert await second == "text"
    assert vault.calls == ["A"]


async def test_a_call_that_everyone_left_still_fills_the_cache(clock: ManualClock) -> None:
    vault = ScriptedVault(A="text")
    vault.open.clear()
    secrets = CachedSecrets(vault, clock)
    only = asyncio.create_task(secrets.get("A"))
    await settled(lambda: bool(vault.calls))
    only.cancel()
    with pytest.raises(asyncio.CancelledError):
        await only
    vault.open.set()
    await settled(lambda: secrets.peek("A") == "text")


async def test_a_secret_is_served_stale_while_the_vault_is_away(clock: ManualClock) -> None:
    vault = ScriptedVault(A="text")
    secrets = CachedSecrets(vault, clock, max_age=300)
    await secrets.get("A")
    vault.away = True
    clock.advance(301)
    assert await secrets.get("A") == "text"


async def test_an_outage_costs_few_calls_and_no_request_waits(clock: ManualClock) -> None:
    vault = ScriptedVault(A="text")
    secrets = CachedSecrets(vault, clock, max_age=300)
    await secrets.get("A")
    vault.away = True
    clock.advance(301)
    await secrets.get("A")
    vault.calls.clear()
    for _ in range(600):
        clock.advance(1)
        assert secrets.peek("A") == "text"
        for _ in range(5):
            await asyncio.sleep(0)
    assert 600 / 31 - 1 <= len(vault.calls) <= 30


async def test_the_secret_is_current_soon_after_the_outage(clock: ManualClock) -> None:
    vault = ScriptedVault(A="text")
    secrets = CachedSecrets(vault, clock, max_age=300)
    await secrets.get("A")
    vault.away = True
    clock.advance(301)
    await secrets.get("A")
    vault.away, vault.texts["A"] = False, "second"
    clock.advance(31)
    secrets.peek("A")
    await settled(lambda: secrets.peek("A") == "second")


async def test_an_outage_of_long_ago_is_no_reason_to_serve_a_stale_secret(clock: ManualClock) -> None:
    vault = ScriptedVault(A="text")
    secrets = CachedSecrets(vault, clock, max_age=300)
    await secrets.get("A")
    vault.away = True
    clock.advance(301)
    await secrets.get("A")
    vault.away, vault.texts["A"] = False, "second"
    clock.advance(3600)
    assert await secrets.get("A") == "second"


async def test_without_a_known_text_the_outage_is_an_error_and_is_not_asked_about_each_time(
    clock: ManualClock,
) -> None:
    vault = ScriptedVault(A="text")
    vault.away = True
    secrets = CachedSecrets(vault, clock)
    for _ in range(10):
        with pytest.raises(SecretsUnavailable, match="cannot be reached"):
            await secrets.get("A")
    assert vault.calls == ["A"]
    vault.away = False
    clock.advance(5)
    assert await secrets.get("A") == "text"


async def test_absence_is_believed_for_a_few_seconds_only(clock: ManualClock) -> None:
    vault = ScriptedVault()
    secrets = CachedSecrets(vault, clock)
    for _ in range(10):
        with pytest.raises(SecretNotFound, match="A"):
            await secrets.get("A")
    assert vault.calls == ["A"]
    vault.texts["A"] = "text"
    clock.advance(5)
    assert await secrets.get("A") == "text"


async def test_a_deleted_secret_is_served_no_longer(clock: ManualClock) -> None:
    vault = ScriptedVault(A="text")
    secrets = CachedSecrets(vault, clock, max_age=300)
    await secrets.get("A")
    del vault.texts["A"]
    clock.advance(250)
    assert secrets.peek("A") == "text"
    await settled(lambda: secrets.peek("A") is None)
    with pytest.raises(SecretNotFound):
        await secrets.get("A")


async def test_a_short_age_holds_for_absence_too(clock: ManualClock) -> None:
    vault = ScriptedVault()
    secrets = CachedSecrets(vault, clock, max_age=1)
    with pytest.raises(SecretNotFound):
        await secrets.get("A")
    vault.texts["A"] = "text"
    clock.advance(1)
    assert await secrets.get("A") == "text"


async def test_a_forgotten_secret_is_asked_for_anew(clock: ManualClock) -> None:
    vault = ScriptedVault(A="first")
    secrets = CachedSecrets(vault, clock)
    await secrets.get("A")
    vault.texts["A"] = "second"
    secrets.forget("A")
    assert secrets.peek("A") is None
    assert await secrets.get("A") == "second"


async def test_an_answer_that_was_under_way_when_its_secret_was_forgotten_is_not_kept(
    clock: ManualClock,
) -> None:
    vault = ScriptedVault(A="first")
    vault.open.clear()
    secrets = CachedSecrets(vault, clock)
    before = asyncio.create_task(secrets.get("A"))
    await settled(lambda: bool(vault.calls))
    secrets.forget("A")
    vault.open.set()
    assert await before == "first"
    assert secrets.peek("A") is None
    await secrets.get("A")
    assert vault.calls == ["A", "A"]


async def test_the_cache_is_bounded(clock: ManualClock) -> None:
    vault = ScriptedVault(**{f"S{number}": "text" for number in range(20)})
    secrets = CachedSecrets(vault, clock, capacity=4)
    for number in range(20):
        await secrets.get(f"S{number}")
    assert [number for number in range(20) if secrets.peek(f"S{number}")] == [16, 17, 18, 19]


async def test_the_texts_at_hand_are_known_to_whoever_must_hide_them(clock: ManualClock) -> None:
    vault = ScriptedVault(A="one", B="two")
    secrets = CachedSecrets(vault, clock)
    await secrets.get("A")
    await secrets.get("B")
    with pytest.raises(SecretNotFound):
        await secrets.get("C")
    assert sorted(secrets.texts()) == ["one", "two"]


async def test_nothing_shows_a_text_by_accident(clock: ManualClock) -> None:
    secrets = CachedSecrets(ScriptedVault(A="the-text"), clock)
    await secrets.get("A")
    assert "the-text" not in repr(vars(secrets))


async def test_closing_ends_what_is_under_way_and_closes_the_vault(clock: ManualClock) -> None:
    vault = ScriptedVault(A="text")
    vault.open.clear()
    secrets = CachedSecrets(vault, clock)
    waiting = asyncio.create_task(secrets.get("A"))
    await settled(lambda: bool(vault.calls))
    await secrets.close()
    assert vault.closed
    with pytest.raises(asyncio.CancelledError):
        await waiting
