"""Samples as FLAC (RFC 9639), each block verbatim: valid, exact, and not any smaller."""

from array import array
from functools import lru_cache

from shared.providers.demo.melody import FRAME, RATE, Melody

CONTENT_TYPE = "audio/flac"
_BITS = 16


def flac_header(tune: Melody) -> bytes:
    """The marker and STREAMINFO, for blocks of one note each. Sizes of frames and the MD5 are left open."""
    block = tune.note_frames * FRAME
    packed = RATE << 44 | 0 << 41 | (_BITS - 1) << 36 | tune.samples
    info = block.to_bytes(2, "big") * 2 + bytes(6) + packed.to_bytes(8, "big") + bytes(16)
    return b"fLaC" + b"\x80" + len(info).to_bytes(3, "big") + info


def flac_frame(samples: bytes, number: int) -> bytes:
    """Block `number`, of little-endian samples of 16 bits."""
    values = array("H", samples)
    values.byteswap()
    # Fixed block size, told at the header's end; 24 kHz; one channel of 16 bits.
    header = b"\xff\xf8\x77\x08" + _coded(number) + (len(values) - 1).to_bytes(2, "big")
    header += bytes((_crc(header, 0x07, 8),))
    frame = header + b"\x02" + values.tobytes()
    return frame + _crc(frame, 0x8005, 16).to_bytes(2, "big")


def _coded(number: int) -> bytes:
    """A frame's number, coded as UTF-8 codes a character."""
    return chr(number).encode()


def _crc(data: bytes, polynomial: int, width: int) -> int:
    table, mask, shift = _table(polynomial, width), (1 << width) - 1, width - 8
    value = 0
    for byte in data:
        value = value << 8 & mask ^ table[value >> shift ^ byte]
    return value


@lru_cache(maxsize=2)
def _table(polynomial: int, width: int) -> tuple[int, ...]:
    made, top, mask = [], 1 << width - 1, (1 << width) - 1
    for byte in range(256):
        value = byte << width - 8
        for _ in range(8):
            value = (value << 1 ^ polynomial if value & top else value << 1) & mask
        made.append(value)
    return tuple(made)
