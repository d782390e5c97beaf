"""Publishing to Azure Event Hubs, through Azure's own client."""

import asyncio
import contextlib
import contextvars
import importlib
import ipaddress
import re
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlsplit

from shared.adapters.azure_identity import TokenCredential
from shared.adapters.event_rules import check_events
from shared.errors import EventError, EventsUnavailable, EventTooLarge
from shared.ports import Event

if TYPE_CHECKING:
    from azure.eventhub import EventDataBatch
    from azure.eventhub.aio import EventHubProducerClient

_CLIENT_MODULE = "azure.eventhub.aio"
_CODE = re.compile(r"[A-Za-z:-]{1,64}")
_DEADLINE = 10.0
"""Seconds for one publishing, with the connection, the login and all tries."""
_CLOSING = 1.0
"""Seconds for a client to say goodbye."""
MAX_BATCH = 50
"""Events that are sent together. A batch goes to one partition whole: a larger one would keep hundreds of jobs
behind one reader, a smaller one costs more calls."""
_CLIENT_OPTIONS: Mapping[str, Any] = {
    "retry_total": 2,
    "retry_backoff_factor": 0.1,
    "retry_backoff_max": 1,
    "auth_timeout": _DEADLINE,
    "logging_enable": False,
}


class EventHubs:
    """An `EventPublisher` on one namespace, with one long-lived client for each hub, made at its first use.

    What is published to a hub while a batch is under way waits, and goes together in the next.
    """

    def __init__(
        self,
        namespace: str,
        credential: TokenCredential | None = None,
        *,
        deadline: float = _DEADLINE,
        client_options: Mapping[str, Any] | None = None,
    ) -> None:
        """`namespace` is a host name; without `credential` it is an emulator's connection string, else
        `ValueError`. `deadline` is in seconds. `client_options` are further arguments of Azure's client."""
        if credential is None:
            check_emulator(namespace)
        self._namespace = namespace
        self._credential = credential
        self._deadline = deadline
        self._client_options = {**_CLIENT_OPTIONS, **(client_options or {})}
        self._senders: dict[str, _Sender] = {}
        self._closed = False

    async def publish(self, hub: str, events: Sequence[Event]) -> None:
        check_events(events)
        if self._closed:
            raise EventsUnavailable("The publisher is closed.")
        if not events:
            return
        sender = self._senders.get(hub)
        if sender is None:
            sender = self._senders[hub] = _Sender(hub, lambda: self._make(hub), self._deadline)
        await sender.send(events)

    async def close(self) -> None:
        """Lets what is under way end, within the deadline, then closes the clients."""
        self._closed = True
        await asyncio.gather(*(sender.close() for sender in self._senders.values()))
        self._senders.clear()

    async def _make(self, hub: str) -> "EventHubProducerClient":
        # In a thread: the import takes most of a second, and requests are being served meanwhile.
        module = await asyncio.to_thread(importlib.import_module, _CLIENT_MODULE)
        client: EventHubProducerClient
        if self._credential is None:
            client = module.EventHubProducerClient.from_connection_string(
                self._namespace, eventhub_name=hub, **self._client_options
            )
        else:
            client = module.EventHubProducerClient(
                self._namespace, hub, self._credential, **self._client_options
            )
        return client


class _Waiting:
    """Events of one call of `publish`. `left` counts those that no hub has confirmed yet."""

    def __init__(self, events: Sequence[Event]) -> None:
        self.events = events
        self.left = len(events)
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def fail(self, error: EventError) -> None:
        if not self.done.done():
            self.done.set_exception(error)

    def confirm(self, count: int) -> None:
        self.left -= count
        if self.left == 0 and not self.done.done():
            self.done.set_result(None)


class _Batch:
    def __init__(self, batch: "EventDataBatch") -> None:
        self.batch = batch
        self.counts: dict[_Waiting, int] = {}
        """How many of the batch's events belong to whom."""

    def add(self, waiting: _Waiting, event: Event) -> bool:
        """False when it does not fit."""
        if len(self.batch) >= MAX_BATCH:
            return False
        try:
            self.batch.add(_event_data(event))
        except ValueError:  # what the client says of a batch that is full
            return False
        self.counts[waiting] = self.counts.get(waiting, 0) + 1
        return True


class _Sender:
    """Sends to one hub, one batch after the other, by one task that lives while there is something to send.

    That task alone makes, uses and drops the client, so it needs no lock.
    """

    def __init__(self, hub: str, make: "Callable[[], Any]", deadline: float) -> None:
        self._hub = hub
        self._make = make
        self._deadline = deadline
        self._queue: list[_Waiting] = []
        self._client: EventHubProducerClient | None = None
        self._task: asyncio.Task[None] | None = None

    async def send(self, events: Sequence[Event]) -> None:
        waiting = _Waiting(events)
        self._queue.append(waiting)
        if self._task is None or self._task.done():
            # In a context of its own: it sends for others too, not only for the request that began it.
            self._task = asyncio.create_task(self._run(), context=contextvars.Context())
        try:
            async with asyncio.timeout(self._deadline):
                await waiting.done
        except TimeoutError:
            raise EventsUnavailable(f"{self._hub} did not take the events in time.") from None

    async def close(self) -> None:
        task = self._task
        if task is not None:
            await asyncio.wait([task], timeout=self._deadline)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        for waiting in self._queue:
            waiting.fail(EventsUnavailable("The publisher is closed."))
        self._queue.clear()
        await self._drop_client()

    async def _run(self) -> None:
        while self._queue:
            # One who gave up, or whose request was cancelled, is not sent for.
            taken = [waiting for waiting in self._queue if not waiting.done.done()]
            self._queue.clear()
            try:
                async with asyncio.timeout(self._deadline):
                    await self._send(taken)
            except asyncio.CancelledError:
                for waiting in taken:
                    waiting.fail(EventsUnavailable("The publisher is closed."))
                raise
            except Exception as error:
                failure = _mapped(self._hub, error)
                for waiting in taken:
                    waiting.fail(failure)
                # Azure's client may be left in any state by what went wrong or was broken off.
                await self._drop_client()

    async def _send(self, taken: Sequence[_Waiting]) -> None:
        if self._client is None:
            self._client = await self._make()
        for batch in await self._packed(self._client, taken):
            await self._client.send_batch(batch.batch)
            for waiting, count in batch.counts.items():
                waiting.confirm(count)

    async def _packed(self, client: "EventHubProducerClient", taken: Sequence[_Waiting]) -> list[_Batch]:
        """Batches of all events, in order. One whose event fits into none is told so, and gets none sent."""
        batches: list[_Batch] = []
        for waiting in taken:
            for event in waiting.events:
                if batches and batches[-1].add(waiting, event):
                    continue
                batches.append(_Batch(await client.create_batch()))
                if not batches[-1].add(waiting, event):
                    waiting.fail(EventTooLarge(f"{self._hub} takes no event as large as {event.id}."))
                    rest = [other for other in taken if other is not waiting]
                    return await self._packed(client, rest)
        return batches

    async def _drop_client(self) -> None:
        client, self._client = self._client, None
        if client is None:
            return
        with contextlib.suppress(Exception):  # of a connection that is broken, most likely
            async with asyncio.timeout(_CLOSING):
                await client.close()


def check_emulator(connection_string: str) -> None:
    """Raises `ValueError` unless it leads to an emulator on this machine: it holds a key, and has no TLS."""
    parts = dict(part.split("=", 1) for part in connection_string.split(";") if "=" in part)
    fields = {name.strip().lower(): value.strip() for name, value in parts.items()}
    host = urlsplit(fields.get("endpoint", "")).hostname or ""
    if fields.get("usedevelopmentemulator") != "true" or not _loopback(host):
        raise ValueError(
            "A connection string is taken only for an emulator on this machine: with an endpoint on the loopback "
            "address and UseDevelopmentEmulator=true."
        )


def _loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _event_data(event: Event) -> Any:
    from azure.eventhub import EventData

    data = EventData(event.body)
    data.message_id = event.id
    data.properties = cast("dict[str | bytes, Any]", dict(event.properties))
    return data


def _mapped(hub: str, error: Exception) -> EventError:
    """Our error for one of Azure's client, which is not kept: its text may hold what was sent or answered."""
    from azure.core.exceptions import ClientAuthenticationError
    from azure.eventhub.exceptions import (
        AuthenticationError,
        ConnectError,
        ConnectionLostError,
        EventDataError,
        EventDataSendError,
        OperationTimeoutError,
    )

    if isinstance(error, AuthenticationError | ClientAuthenticationError):
        return EventsUnavailable(f"{hub} does not let the app's identity send.")
    if isinstance(error, OperationTimeoutError | TimeoutError):
        return EventsUnavailable(f"{hub} did not take the events in time.")
    if isinstance(error, EventDataError):
        return EventError(f"{hub} takes no such events.")
    if isinstance(error, EventDataSendError):
        return EventsUnavailable(f"{hub} refused the events ({_reason(error)}).")
    if isinstance(error, ConnectError | ConnectionLostError | OSError):
        return EventsUnavailable(f"{hub} cannot be reached ({_reason(error)}).")
    return EventsUnavailable(f"{hub} cannot be used ({_reason(error)}).")


def _reason(error: Exception) -> str:
    """The service's own code, which is one word (`not-found`), or the class."""
    code = getattr(error, "error", None)
    return code if isinstance(code, str) and _CODE.fullmatch(code) else type(error).__name__
