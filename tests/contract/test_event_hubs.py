"""Publishing to Event Hubs in trouble, and what Azure's own client reads of it: all over a real AMQP connection."""

import asyncio
import gc
import inspect
import ssl
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import trustme
from azure.core.credentials import AccessToken
from azure.core.exceptions import ClientAuthenticationError
from azure.eventhub import TransportType, exceptions
from azure.eventhub.aio import EventHubConsumerClient

from shared.adapters.event_hubs import MAX_BATCH, EventHubs, _mapped, check_emulator
from shared.errors import EventError, EventsUnavailable, EventTooLarge
from shared.ports import Event
from tests.contract.test_secret_store import FakeIdentity
from tests.emulators.event_hubs_server import NAMESPACE, EventHubsServer, event_hubs_server

# Azure's client leaves the socket of a broken connection to the garbage collector, which warns.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")

HUB = "jobs"
SCOPE = "https://eventhubs.azure.net//.default"


@pytest.fixture
async def server() -> AsyncIterator[EventHubsServer]:
    async with event_hubs_server({HUB: 2, "other": 1}) as running:
        yield running
    gc.collect()


@pytest.fixture
async def hubs(server: EventHubsServer) -> AsyncIterator[EventHubs]:
    publisher = EventHubs(server.connection_string, deadline=5.0)
    yield publisher
    await publisher.close()


def with_identity(server: EventHubsServer, identity: FakeIdentity, **options: Any) -> EventHubs:
    """As in Azure, but for the address."""
    return EventHubs(
        NAMESPACE,
        identity,
        deadline=options.pop("deadline", 5.0),
        client_options={
            "custom_endpoint_address": server.address,
            "transport_type": TransportType.Amqp,
            "use_tls": False,
            **options,
        },
    )


def numbered(count: int) -> list[Event]:
    return [Event(f"e{n}", b"%d" % n, {"priority": n % 10}) for n in range(count)]


class Reading:
    """What Azure's own consumer gets of a hub, from a position on."""

    def __init__(
        self, server: EventHubsServer, position: str | dict[str, str] = "-1", **options: Any
    ) -> None:
        self.seen: list[tuple[str, Any]] = []
        self.offsets: dict[str, str] = {}
        self._position = position
        # Closing it waits for this interval.
        self._client = EventHubConsumerClient.from_connection_string(
            server.connection_string, "$Default", eventhub_name=HUB, load_balancing_interval=0.1
        )
        self._changed = asyncio.Event()

    async def until(self, count: int) -> None:
        async with asyncio.timeout(20):
            while len(self.seen) < count:
                self._changed.clear()
                await self._changed.wait()

    async def __aenter__(self) -> "Reading":
        self._task = asyncio.create_task(
            self._client.receive_batch(self._on_batch, starting_position=self._position, max_wait_time=0.2)
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._client.close()
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def _on_batch(self, context: Any, events: list[Any]) -> None:
        for event in events:
            self.seen.append((context.partition_id, event))
            self.offsets[context.partition_id] = event.offset
        self._changed.set()

    def bodies(self) -> list[int]:
        return [int(b"".join(event.body)) for _, event in self.seen]


# What is read


async def test_azures_own_reader_gets_batches_and_single_events_with_their_properties(
    server: EventHubsServer, hubs: EventHubs
) -> None:
    await hubs.publish(HUB, numbered(120))
    await hubs.publish(HUB, [Event("last", b"120", {"priority": 1, "project": "größe"})])
    async with Reading(server) as reading:
        await reading.until(121)
    assert sorted(reading.bodies()) == list(range(121))
    for partition in ("0", "1"):
        events = [event for number, event in reading.seen if number == partition]
        assert [event.sequence_number for event in events] == list(range(len(events)))
        bodies = [int(b"".join(event.body)) for event in events]
        assert bodies == sorted(bodies)
    last = next(event for _, event in reading.seen if b"".join(event.body) == b"120")
    assert last.message_id in ("last", b"last")
    assert last.properties == {b"priority": 1, b"project": "größe".encode()}
    assert last.partition_key is None
    assert abs(last.enqueued_time.timestamp() - time.time()) < 60


async def test_a_reader_goes_on_behind_its_offsets_and_outlasts_a_dropped_connection(
    server: EventHubsServer, hubs: EventHubs
) -> None:
    await hubs.publish(HUB, numbered(MAX_BATCH * 2))
    async with Reading(server) as first:
        await first.until(MAX_BATCH * 2)
    async with Reading(server, dict(first.offsets)) as second:
        await hubs.publish(HUB, [Event("a", b"1000")])
        await second.until(1)
        server.drop_connections()
        await hubs.publish(HUB, [Event("b", b"1001")])
        await second.until(2)
    # A reader whose connection broke begins again where it was; what it had seen may come twice.
    assert set(second.bodies()) == {1000, 1001}


# Connections


async def test_one_connection_serves_all_that_goes_to_a_hub(server: EventHubsServer, hubs: EventHubs) -> None:
    for _ in range(5):
        await hubs.publish(HUB, numbered(1))
    await asyncio.gather(*(hubs.publish(HUB, numbered(1)) for _ in range(20)))
    assert server.connected == 1
    await hubs.publish("other", numbered(1))
    assert server.connected == 2


async def test_what_is_published_at_the_same_time_goes_together(
    server: EventHubsServer, hubs: EventHubs
) -> None:
    await hubs.publish(HUB, numbered(1))
    await asyncio.gather(*(hubs.publish(HUB, numbered(2)) for _ in range(30)))
    assert server.sizes == [1, 50, 10]


async def test_a_batch_is_split_where_the_hub_takes_no_more_bytes(
    server: EventHubsServer, hubs: EventHubs
) -> None:
    await hubs.publish(HUB, [Event(f"e{n}", b"x" * 300_000) for n in range(7)])
    assert server.sizes == [3, 3, 1]


async def test_an_event_too_large_for_this_hub_is_refused_and_those_beside_it_are_sent(
    server: EventHubsServer, hubs: EventHubs
) -> None:
    server.max_message = 1 << 18  # as in the cheapest tier
    small, large = hubs.publish(HUB, numbered(2)), hubs.publish(HUB, [Event("large", b"x" * 300_000)])
    outcomes = await asyncio.gather(small, large, hubs.publish(HUB, numbered(1)), return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [type(None), EventTooLarge, type(None)]
    assert server.sizes == [3]


@pytest.mark.parametrize("trouble", ["dropped", "closed"])
async def test_a_connection_that_ended_is_made_anew(
    server: EventHubsServer, hubs: EventHubs, trouble: str
) -> None:
    await hubs.publish(HUB, numbered(1))
    if trouble == "dropped":
        server.drop_connections()
    else:
        server.close_connections()
    await hubs.publish(HUB, numbered(2))
    assert server.sizes == [1, 2]


async def test_an_event_whose_confirmation_was_lost_is_sent_again(
    server: EventHubsServer, hubs: EventHubs
) -> None:
    server.lose_next_answer()
    await hubs.publish(HUB, numbered(1))
    assert server.sizes == [1, 1]


async def test_a_passing_refusal_is_not_noticed(server: EventHubsServer, hubs: EventHubs) -> None:
    server.refuse_next("com.microsoft:server-busy")
    await hubs.publish(HUB, numbered(1))
    assert server.sizes == [1]


async def test_a_refusal_that_stays_is_unavailable_and_names_the_condition(
    server: EventHubsServer, hubs: EventHubs
) -> None:
    server.refuse_next("amqp:not-allowed", times=50)
    with pytest.raises(EventsUnavailable, match="jobs refused the events"):
        await hubs.publish(HUB, numbered(1))


async def test_a_hub_that_says_nothing_is_given_up_at_the_deadline_and_used_again_when_it_speaks(
    server: EventHubsServer,
) -> None:
    hubs = EventHubs(server.connection_string, deadline=1.0)
    await hubs.publish(HUB, numbered(1))
    server.silent = True
    begun = time.monotonic()
    with pytest.raises(EventsUnavailable, match="did not take the events in time"):
        await hubs.publish(HUB, numbered(1))
    assert time.monotonic() - begun < 3
    server.silent = False
    async with asyncio.timeout(10):
        while not await published(hubs):  # the client of before has a second to say goodbye
            pass
    await hubs.close()


async def published(hubs: EventHubs) -> bool:
    try:
        await hubs.publish(HUB, numbered(1))
    except EventsUnavailable:
        return False
    return True


async def test_a_hub_that_does_not_exist_is_unavailable_and_another_is_not(
    server: EventHubsServer, hubs: EventHubs
) -> None:
    with pytest.raises(EventsUnavailable, match=r"absent cannot be reached \(not-found\)"):
        await hubs.publish("absent", numbered(1))
    await hubs.publish(HUB, numbered(1))


async def test_closing_waits_for_what_is_under_way(server: EventHubsServer, hubs: EventHubs) -> None:
    publishing = asyncio.create_task(hubs.publish(HUB, numbered(100)))
    await asyncio.sleep(0)
    await hubs.close()
    await publishing
    assert server.sizes == [50, 50]


# Who we are


async def test_the_apps_identity_logs_in_with_a_token_for_event_hubs(server: EventHubsServer) -> None:
    identity = FakeIdentity()
    hubs = with_identity(server, identity)
    await hubs.publish(HUB, numbered(1))
    await hubs.close()
    assert server.tokens == ["token-of-the-app"]
    assert {scopes for scopes, _ in identity.asked} == {(SCOPE,)}
    assert identity.closed == 0


async def test_a_connection_is_encrypted_and_the_services_certificate_is_checked(tmp_path: Path) -> None:
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    authority.cert_pem.write_to_path(str(tmp_path / "authority.pem"))
    async with event_hubs_server({HUB: 1}, context) as server:
        trusting = with_identity(
            server, FakeIdentity(), use_tls=True, connection_verify=str(tmp_path / "authority.pem")
        )
        await trusting.publish(HUB, numbered(1))
        await trusting.close()
        stranger = FakeIdentity()
        doubting = with_identity(server, stranger, use_tls=True, retry_total=0)
        with pytest.raises(EventsUnavailable):
            await doubting.publish(HUB, numbered(1))
        await doubting.close()
        assert len(server.tokens) == 1
    gc.collect()


async def test_a_token_that_the_service_refuses_is_unavailable_without_its_text(
    server: EventHubsServer,
) -> None:
    server.refusing_tokens = True
    hubs = with_identity(server, FakeIdentity("token-of-another"), retry_total=0)
    with pytest.raises(EventsUnavailable) as refused:
        await hubs.publish(HUB, numbered(1))
    assert "token-of-another" not in str(refused.value)
    assert refused.value.__cause__ is None
    await hubs.close()


class FailingIdentity(FakeIdentity):
    async def get_token(self, *scopes: str, tenant_id: str | None = None, **options: Any) -> AccessToken:
        raise ClientAuthenticationError("no login, and not-to-be-shown")


async def test_an_identity_without_a_token_is_unavailable_without_its_words(server: EventHubsServer) -> None:
    hubs = with_identity(server, FailingIdentity(), retry_total=0)
    with pytest.raises(EventsUnavailable) as refused:
        await hubs.publish(HUB, numbered(1))
    assert "not-to-be-shown" not in str(refused.value)
    await hubs.close()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "hubs.example.net",
        "Endpoint=sb://hubs.example.net;SharedAccessKeyName=n;SharedAccessKey=k;UseDevelopmentEmulator=true",
        "Endpoint=sb://127.0.0.1.example.net;SharedAccessKeyName=n;SharedAccessKey=k;UseDevelopmentEmulator=true",
        "Endpoint=sb://127.0.0.1:5672;SharedAccessKeyName=n;SharedAccessKey=k",
        "Endpoint=sb://127.0.0.1:5672;SharedAccessKeyName=n;SharedAccessKey=k;UseDevelopmentEmulator=false",
    ],
)
def test_a_connection_string_is_taken_for_an_emulator_on_this_machine_only(text: str) -> None:
    with pytest.raises(ValueError, match="only for an emulator"):
        EventHubs(text)


@pytest.mark.parametrize("host", ["127.0.0.1:5672", "localhost", "[::1]:5672"])
def test_an_emulator_may_have_any_loopback_address(host: str) -> None:
    check_emulator(
        f"Endpoint=sb://{host};SharedAccessKeyName=n;SharedAccessKey=k;UseDevelopmentEmulator=true;"
    )


def test_every_error_of_azures_client_becomes_one_of_ours_without_its_text() -> None:
    classes = [each for _, each in inspect.getmembers(exceptions, inspect.isclass)]
    assert len(classes) > 8
    for kind in [*classes, OSError, TimeoutError, RuntimeError]:
        mapped = _mapped(HUB, kind("not-to-be-shown"))
        assert isinstance(mapped, EventError)
        assert isinstance(mapped, EventsUnavailable) or kind is exceptions.EventDataError
        assert "not-to-be-shown" not in str(mapped)
