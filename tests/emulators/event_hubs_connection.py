"""AMQP 1.0's connections, sessions and links, as far as Azure's client goes (OASIS AMQP 1.0, part 2 "Transport").

Every performative goes out with all its fields: the client reads them by position.
"""

import asyncio
import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

from tests.emulators.event_hubs_codec import Described, Symbol, UByte, UInt, ULong, UShort, decode, encode
from tests.emulators.event_hubs_log import Partition, Refusal

OPEN, BEGIN, ATTACH, FLOW, TRANSFER, DISPOSITION, DETACH, END, CLOSE = range(0x10, 0x19)
SASL_MECHANISMS, SASL_OUTCOME = 0x40, 0x44
ACCEPTED, REJECTED = 0x24, 0x25

_FIELDS = {
    OPEN: 10, BEGIN: 8, ATTACH: 14, FLOW: 11, TRANSFER: 11, DISPOSITION: 6, DETACH: 3, END: 1, CLOSE: 1,
    SASL_MECHANISMS: 1, SASL_OUTCOME: 2,
}  # fmt: skip
_MAX_FRAME = 65_536
_WINDOW = UInt(100_000)
_ENDLESS = UInt(0x7FFFFFFF)
_CREDIT = 1_000


@dataclass
class Delivery:
    """A message that is coming in, perhaps in several frames."""

    id: int
    format: int
    settled: bool
    body: bytearray = field(default_factory=bytearray)


@dataclass
class Link:
    """Our end of one link. `address` is the node that it leads to; on those that we send on, a reader has a
    `partition` and a `position` in it."""

    session: "Session"
    handle: int
    name: str
    sends: bool
    address: str
    credit: int = 0
    count: int = 0
    partition: Partition | None = None
    position: int = 0
    delivery: Delivery | None = None

    def pump(self) -> None:
        """Sends a reader what it has credit for."""
        if self.partition is None:
            return
        while self.credit > 0 and self.session.window > 0 and self.position < len(self.partition.events):
            self.send(self.partition.events[self.position].message)
            self.position += 1

    def send(self, message: bytes) -> None:
        self.session.transfer(self, message)


class Service(Protocol):
    """What is behind the connections."""

    def joined(self, connection: "Connection") -> None: ...

    def left(self, connection: "Connection") -> None: ...

    def attach(self, link: Link, filters: dict[Any, Any]) -> None:
        """Raises `Refusal`."""
        ...

    def receive(self, link: Link, message: bytes, format: int) -> bool:
        """Whether to answer. Raises `Refusal`."""
        ...

    @property
    def max_message(self) -> int:
        """Bytes."""
        ...

    @property
    def silent(self) -> bool:
        """Whether to leave everything that comes in without an answer."""
        ...


class Session:
    def __init__(self, connection: "Connection", channel: int, next_incoming: int, window: int) -> None:
        self.connection = connection
        self.channel = channel
        self.links: dict[int, Link] = {}
        self.window = window
        self._next_incoming = next_incoming
        self._next_outgoing = 0
        self._deliveries = 0

    def send(self, code: int, *fields: Any, payload: bytes = b"") -> None:
        self.connection.send(self.channel, code, fields, payload)

    def flow(self, link: Link | None = None) -> None:
        of_link = (UInt(link.handle), UInt(link.count), UInt(link.credit)) if link else ()
        self.send(FLOW, UInt(self._next_incoming), _WINDOW, UInt(self._next_outgoing), _ENDLESS, *of_link)

    def transfer(self, link: Link, message: bytes) -> None:
        room = self.connection.max_frame - 256
        for start in range(0, len(message), room):
            begins = start == 0
            self.send(
                TRANSFER,
                UInt(link.handle),
                UInt(self._deliveries) if begins else None,
                b"%d" % self._deliveries if begins else None,
                UInt(0) if begins else None,
                True,
                start + room < len(message),
                payload=message[start : start + room],
            )
            self.window -= 1
            self._next_outgoing += 1
        self._deliveries += 1
        link.count += 1
        link.credit -= 1

    def on_attach(self, fields: list[Any], _: bytes) -> None:
        name, handle, peer_receives, source, target = fields[0], fields[1], fields[2], fields[5], fields[6]
        node = source if peer_receives else target
        link = Link(self, handle, name, bool(peer_receives), str(node.value[0]))
        refusal: Refusal | None = None
        try:
            self.connection.service.attach(link, (node.value[7:] or [None])[0] or {} if peer_receives else {})
        except Refusal as raised:
            refusal = raised
        # A refused link is attached without the node that was asked for, and detached at once.
        shown = [
            None if refusal and end is node else Described(end.descriptor, end.value[:1])
            for end in (source, target)
        ]
        count = UInt(0) if link.sends else None
        self.send(
            ATTACH,
            name,
            UInt(handle),
            not link.sends,
            None,
            None,
            *shown,
            None,
            None,
            count,
            ULong(self.connection.service.max_message),
        )
        if refusal is not None:
            self.send(DETACH, UInt(handle), True, refusal.error())
            return
        self.links[handle] = link
        if not link.sends:
            link.credit = _CREDIT
            self.flow(link)

    def on_flow(self, fields: list[Any], _: bytes) -> None:
        self.window = (fields[0] or 0) + fields[1] - self._next_outgoing
        link = self.links.get(fields[4])
        if link is not None and link.sends:
            link.credit = (fields[5] or 0) + (fields[6] or 0) - link.count
        for each in self.links.values():
            each.pump()
        if link is not None and link.sends and fields[8] and link.credit > 0:
            link.count += link.credit
            link.credit = 0
            self.flow(link)
        elif fields[9]:
            self.flow(link)

    def on_transfer(self, fields: list[Any], payload: bytes) -> None:
        self._next_incoming += 1
        link = self.links.get(fields[0])
        if link is None:
            return
        if link.delivery is None:
            link.delivery = Delivery(fields[1], fields[3] or 0, bool(fields[4]))
        link.delivery.body += payload
        if fields[5]:
            return
        delivery, link.delivery = link.delivery, None
        link.count += 1
        link.credit -= 1
        state = Described(ACCEPTED, [])
        try:
            answer = self.connection.service.receive(link, bytes(delivery.body), delivery.format)
        except Refusal as refusal:
            state, answer = Described(REJECTED, [refusal.error()]), True
        if not answer:
            return
        if not delivery.settled:
            self.send(DISPOSITION, True, UInt(delivery.id), UInt(delivery.id), True, state)
        if link.credit < _CREDIT // 2:
            link.credit = _CREDIT
            self.flow(link)

    def on_detach(self, fields: list[Any], _: bytes) -> None:
        if self.links.pop(fields[0], None) is not None:
            self.send(DETACH, UInt(fields[0]), True)


class Connection(asyncio.Protocol):
    """One client's connection, from its first byte."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self.sessions: dict[int, Session] = {}
        self.max_frame = _MAX_FRAME
        self._buffer = bytearray()
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self.service.joined(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self.service.left(self)

    def abort(self) -> None:
        """Breaks off without a word."""
        if self._transport is not None:
            self._transport.abort()

    def close(self, refusal: Refusal) -> None:
        """Says why, and closes."""
        self.send(0, CLOSE, (refusal.error(),))
        if self._transport is not None:
            self._transport.close()

    def send(
        self, channel: int, code: int, fields: tuple[Any, ...], payload: bytes = b"", kind: int = 0
    ) -> None:
        values = [*fields, *[None] * (_FIELDS[code] - len(fields))]
        body = encode(Described(code, values)) + payload
        self._write(struct.pack(">IBBH", len(body) + 8, 2, kind, channel) + body)

    def data_received(self, data: bytes) -> None:
        if self.service.silent:
            return
        self._buffer += data
        while len(self._buffer) >= 8:
            if self._buffer.startswith(b"AMQP"):
                self._on_protocol(bytes(self._buffer[:8]))
                size = 8
            else:
                size = int.from_bytes(self._buffer[:4], "big")
                if len(self._buffer) < size:
                    return
                self._on_frame(bytes(self._buffer[:size]))
            del self._buffer[:size]

    def _on_protocol(self, header: bytes) -> None:
        self._write(header)
        if header[4] == 3:
            self.send(0, SASL_MECHANISMS, ([Symbol("ANONYMOUS")],), kind=1)

    def _on_frame(self, frame: bytes) -> None:
        start = frame[4] * 4
        if start == len(frame):
            return  # a heartbeat
        performative, end = decode(frame, start)
        if frame[5] == 1:
            self.send(0, SASL_OUTCOME, (UByte(0),), kind=1)
            return
        channel = int.from_bytes(frame[6:8], "big")
        code, fields = performative.descriptor, [*performative.value, *[None] * 14]
        if code == OPEN:
            self.max_frame = min(fields[2] or _MAX_FRAME, _MAX_FRAME)
            properties = {Symbol("product"): "event log of the tests"}
            self.send(0, OPEN, ("event-hubs", None, UInt(_MAX_FRAME), *[None] * 6, properties))
        elif code == BEGIN:
            self.sessions[channel] = Session(self, channel, fields[1], fields[2])
            self.send(channel, BEGIN, (UShort(channel), UInt(0), _WINDOW, _ENDLESS, UInt(0xFFFF)))
        elif code == CLOSE:
            self.send(0, CLOSE, ())
            if self._transport is not None:
                self._transport.close()
        elif code == END:
            if self.sessions.pop(channel, None) is not None:
                self.send(channel, END, ())
        elif channel in self.sessions:
            session = self.sessions[channel]
            handlers: dict[int, Callable[[list[Any], bytes], None]] = {
                ATTACH: session.on_attach,
                FLOW: session.on_flow,
                TRANSFER: session.on_transfer,
                DETACH: session.on_detach,
            }
            if code in handlers:  # what is left is the answer to what we sent settled
                handlers[code](fields, frame[end:])

    def _write(self, data: bytes) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)
