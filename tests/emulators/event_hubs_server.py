"""Event Hubs on this machine, in memory, for Azure's own client: enough of the service, and its troubles."""

import asyncio
import re
import ssl
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from tests.emulators.event_hubs_codec import (
    APPLICATION_PROPERTIES,
    DATA,
    PROPERTIES,
    VALUE,
    message,
    sections,
)
from tests.emulators.event_hubs_connection import Connection, Link
from tests.emulators.event_hubs_log import Hub, Refusal

NAMESPACE = "hubs.example.net"
"""The host name that clients of this service believe to talk to."""
BATCH_FORMAT = 0x80013700
_FILTER = re.compile(r"amqp\.annotation\.(x-opt-[a-z-]+)\s*(>=|>)\s*'([^']*)'")
_CONTROL = ("$cbs", "$management")


class EventHubsServer:
    """`sizes` has the number of events of each message that was kept, `tokens` what clients logged in with."""

    def __init__(self, hubs: Mapping[str, int]) -> None:
        """`hubs`: name → number of partitions."""
        self.hubs = {name: Hub(name, partitions) for name, partitions in hubs.items()}
        self.port = 0
        self.max_message = 1 << 20
        self.silent = False
        self.refusing_tokens = False
        self.sizes: list[int] = []
        self.tokens: list[str] = []
        self.connected = 0
        self._refusals: list[Refusal] = []
        self._answers_to_lose = 0
        self._connections: set[Connection] = set()
        self._server: asyncio.Server | None = None

    @property
    def address(self) -> str:
        return f"sb://127.0.0.1:{self.port}"

    @property
    def connection_string(self) -> str:
        return (
            f"Endpoint={self.address};SharedAccessKeyName=local;SharedAccessKey=bG9jYWw=;"
            "UseDevelopmentEmulator=true;"
        )

    async def start(self, context: ssl.SSLContext | None = None) -> None:
        """Listens, on the same port as before if it was stopped."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: Connection(self), "127.0.0.1", self.port, ssl=context)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        server, self._server = self._server, None
        if server is not None:
            server.close()
            self.drop_connections()
            await server.wait_closed()

    def drop_connections(self) -> None:
        """Breaks every connection off, without a word."""
        for connection in list(self._connections):
            connection.abort()

    def close_connections(self) -> None:
        """Closes every connection as the service does when it moves a hub to another machine."""
        for connection in list(self._connections):
            connection.close(Refusal("amqp:connection:forced", "The connection was closed by the service."))

    def refuse_next(self, condition: str, *, times: int = 1) -> None:
        """Refuses the next messages with that condition."""
        self._refusals.extend([Refusal(condition, "The service refuses this.")] * times)

    def lose_next_answer(self) -> None:
        """Keeps the next message and breaks the connection off instead of saying so."""
        self._answers_to_lose += 1

    # What a connection asks.

    def joined(self, connection: Connection) -> None:
        self._connections.add(connection)
        self.connected += 1

    def left(self, connection: Connection) -> None:
        self._connections.discard(connection)

    def attach(self, link: Link, filters: dict[Any, Any]) -> None:
        path = re.sub(r"^[a-z]+://[^/]*/", "", link.address).strip("/").split("/")
        if path[0] in _CONTROL:
            link.address = path[0]
            return
        hub = self._hub(path[0])
        if not link.sends:
            if len(path) == 3:
                hub.numbered(path[2])
            link.address = "/".join(path)
            return
        if len(path) != 5 or path[2].lower() != "$default":
            raise Refusal("amqp:not-found", f"There is no such group of consumers: {'/'.join(path)}")
        link.partition = hub.partitions[hub.numbered(path[4])]
        for value in filters.values():
            found = _FILTER.search(str(getattr(value, "value", value)))
            if found:
                link.position = link.partition.position(found[1], found[2] == ">=", found[3])

    def receive(self, link: Link, message: bytes, format: int) -> bool:
        if link.address in _CONTROL:
            self._control(link, message)
            return True
        if self._refusals:
            raise self._refusals.pop(0)
        if len(message) > self.max_message:
            raise Refusal("amqp:link:message-size-exceeded", f"{len(message)} bytes are too many.")
        name, *rest = link.address.split("/")
        hub = self._hub(name)
        partition = hub.partitions[int(rest[1]) if rest else hub.next_partition()]
        parts = sections(message)
        events = (
            [sections(part.value) for part in parts if part.code == DATA]
            if format == BATCH_FORMAT
            else [parts]
        )
        for event in events:
            partition.append(event)
        self.sizes.append(len(events))
        for reader in self._links():
            if reader.partition is partition:
                reader.pump()
        if self._answers_to_lose:
            self._answers_to_lose -= 1
            link.session.connection.abort()
            return False
        return True

    def _control(self, link: Link, request: bytes) -> None:
        """A login ("claims based security") or a question about a hub; the answer goes to the link beside."""
        parts = {part.code: part.value for part in sections(request)}
        asked: dict[str, Any] = parts.get(APPLICATION_PROPERTIES) or {}
        status, description, body = 200, "OK", None
        try:
            if link.address == "$cbs":
                self.tokens.append(str(parts.get(VALUE)))
                if self.refusing_tokens:
                    status, description = 401, "The token has no rights here."
            else:
                body = self._properties(asked)
        except Refusal as refusal:
            status, description = 404, refusal.description
        answer = message(
            properties=(PROPERTIES, [*[None] * 5, parts[PROPERTIES][0]]),
            status=(APPLICATION_PROPERTIES, {"status-code": status, "status-description": description}),
            body=(VALUE, body),
        )
        beside = (each for each in link.session.links.values() if each.sends and each.address == link.address)
        next(beside).send(answer)

    def _properties(self, asked: dict[str, Any]) -> dict[str, Any]:
        hub = self._hub(asked["name"])
        about = {"name": hub.name, "type": asked["type"]}
        if asked["type"] == "com.microsoft:eventhub":
            return {**about, **hub.properties()}
        number = hub.numbered(str(asked["partition"]))
        return {**about, "partition": str(number), **hub.partitions[number].properties()}

    def _hub(self, name: str) -> Hub:
        if name not in self.hubs:
            raise Refusal("amqp:not-found", f"The messaging entity '{name}' could not be found.")
        return self.hubs[name]

    def _links(self) -> Iterator[Link]:
        for connection in self._connections:
            for session in connection.sessions.values():
                yield from session.links.values()


@asynccontextmanager
async def event_hubs_server(
    hubs: Mapping[str, int], context: ssl.SSLContext | None = None
) -> AsyncIterator[EventHubsServer]:
    server = EventHubsServer(hubs)
    await server.start(context)
    try:
        yield server
    finally:
        server.silent = False
        await server.stop()
