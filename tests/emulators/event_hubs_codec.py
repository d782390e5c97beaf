"""AMQP 1.0's types and messages as bytes (OASIS AMQP 1.0, part 1 "Types" and part 3 "Messaging")."""

import struct
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

HEADER, ANNOTATIONS, PROPERTIES, APPLICATION_PROPERTIES, DATA, VALUE = 0x70, 0x72, 0x73, 0x74, 0x75, 0x77


class Symbol(str):
    """Text of an enumerable kind."""


class Number(int):
    """A whole number that goes out in one certain width."""

    constructor: ClassVar[int]
    layout: ClassVar[str]


class UByte(Number):
    constructor, layout = 0x50, ">B"


class UShort(Number):
    constructor, layout = 0x60, ">H"


class UInt(Number):
    constructor, layout = 0x70, ">I"


class ULong(Number):
    constructor, layout = 0x80, ">Q"


class Timestamp(Number):
    """Milliseconds since 1970."""

    constructor, layout = 0x83, ">q"


@dataclass(frozen=True)
class Described:
    """A value with a number that says what it is."""

    descriptor: Any
    value: Any


@dataclass(frozen=True)
class Section:
    """A part of a message; `raw` are the bytes that it came in."""

    code: int
    raw: bytes
    value: Any


_CONSTANTS: dict[int, Any] = {0x40: None, 0x41: True, 0x42: False, 0x43: 0, 0x44: 0}
_FIXED = {
    0x50: ">B", 0x51: ">b", 0x52: ">B", 0x53: ">B", 0x54: ">b", 0x55: ">b", 0x56: ">?",
    0x60: ">H", 0x61: ">h", 0x70: ">I", 0x71: ">i", 0x72: ">f",
    0x80: ">Q", 0x81: ">q", 0x82: ">d", 0x83: ">q",
}  # fmt: skip


def decode(data: bytes, at: int = 0) -> tuple[Any, int]:
    """The value that begins at `at`, and where the next one begins."""
    constructor = data[at]
    if constructor == 0:
        descriptor, at = decode(data, at + 1)
        value, at = decode(data, at)
        return Described(descriptor, value), at
    return _decode_as(constructor, data, at + 1)


def _decode_as(constructor: int, data: bytes, at: int) -> tuple[Any, int]:
    if constructor in _CONSTANTS:
        return _CONSTANTS[constructor], at
    if constructor == 0x45:
        return [], at
    if constructor in _FIXED:
        layout = _FIXED[constructor]
        return struct.unpack_from(layout, data, at)[0], at + struct.calcsize(layout)
    if constructor == 0x98:
        return uuid.UUID(bytes=data[at : at + 16]), at + 16
    kind, wide = constructor & 0x0F, (constructor >> 4) % 2
    size, at = (int.from_bytes(data[at : at + 4], "big"), at + 4) if wide else (data[at], at + 1)
    end = at + size
    family = constructor >> 4
    if family in (0xA, 0xB):
        raw = data[at:end]
        return raw if kind == 0 else Symbol(raw.decode()) if kind == 3 else raw.decode(), end
    if family < 0xC:
        raise ValueError(f"no such AMQP type: 0x{constructor:02x}")
    width = 4 if wide else 1
    count, at = int.from_bytes(data[at : at + width], "big"), at + width
    values: list[Any] = []
    if family >= 0xE:
        element, at = data[at], at + 1
        if element == 0:
            _, at = decode(data, at)
            element, at = data[at], at + 1
    for _ in range(count):
        value, at = decode(data, at) if family < 0xE else _decode_as(element, data, at)
        values.append(value)
    if family < 0xE and kind == 1:
        return dict(zip(values[::2], values[1::2], strict=True)), end
    return values, end


def encode(value: Any) -> bytes:
    if value is None:
        return b"\x40"
    if isinstance(value, bool):
        return b"\x41" if value else b"\x42"
    if isinstance(value, Number):
        return bytes([value.constructor]) + struct.pack(value.layout, value)
    if isinstance(value, int):
        return b"\x81" + struct.pack(">q", value)
    if isinstance(value, float):
        return b"\x82" + struct.pack(">d", value)
    if isinstance(value, uuid.UUID):
        return b"\x98" + value.bytes
    if isinstance(value, bytes):
        return b"\xb0" + struct.pack(">I", len(value)) + value
    if isinstance(value, str):
        raw = value.encode()
        return (b"\xb3" if isinstance(value, Symbol) else b"\xb1") + struct.pack(">I", len(raw)) + raw
    if isinstance(value, Described):
        # In one byte: Azure's client looks for it in that place.
        return b"\x00\x53" + bytes([value.descriptor]) + encode(value.value)
    if isinstance(value, dict):
        return _compound(0xD1, [part for pair in value.items() for part in pair])
    return _compound(0xD0, value)


def _compound(constructor: int, values: Sequence[Any]) -> bytes:
    body = b"".join(encode(value) for value in values)
    return bytes([constructor]) + struct.pack(">II", len(body) + 4, len(values)) + body


def sections(message: bytes) -> list[Section]:
    found: list[Section] = []
    at = 0
    while at < len(message):
        value, end = decode(message, at)
        if not isinstance(value, Described) or not isinstance(value.descriptor, int):
            raise ValueError("a message is made of described sections")
        found.append(Section(value.descriptor, message[at:end], value.value))
        at = end
    return found


def message(**parts: tuple[int, Any]) -> bytes:
    """A message of the named parts, in their order: `(section's code, value)`."""
    return b"".join(encode(Described(code, value)) for code, value in parts.values())
