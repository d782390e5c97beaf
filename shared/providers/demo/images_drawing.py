"""A PNG with words on it (W3C, PNG Specification): one bit per pixel and two colours, so that it is made at once."""

import colorsys
import hashlib
import struct
import textwrap
import zlib
from functools import lru_cache

from shared.providers.demo.images_font import HEIGHT, WIDTH, drawable, glyph

SIGNATURE = b"\x89PNG\r\n\x1a\n"
_LARGEST_SCALE = 8
_MARGIN = 2
"""Empty characters on each side, in pixels of the font."""
_PIECE = 4000
"""Characters of a text that are drawn at most: no picture has room for more."""


def draw(text: str, width: int, height: int, part: float = 1.0) -> bytes:
    """A PNG of `width` by `height` pixels with as much of the text as fits.

    `part` is how much of the picture is there, from the top; the rest is stripes, as of a picture that is
    still being made. The colours belong to the text.
    """
    lines, scale = _layout(drawable(text[:_PIECE]), width, height)
    rows: list[int] = []
    blank = [0] * (scale * (_MARGIN + 1))
    rows += blank
    for line in lines:
        for row in _line_rows(line, width, scale):
            rows += [row] * scale
        rows += [0] * (2 * scale)
    rows = (rows + [0] * height)[:height]
    whole = int(height * part)
    stripe = int.from_bytes(b"\xf0" * -(-width // 8), "big") >> (-width % 8)
    rows[whole:] = [stripe if row // 8 % 2 else 0 for row in range(whole, height)]
    size = -(-width // 8)
    padding = size * 8 - width
    raw = b"".join(b"\0" + (row << padding).to_bytes(size, "big") for row in rows)
    return png(width, height, _colours(text), raw)


def png(width: int, height: int, colours: bytes, raw: bytes) -> bytes:
    """A PNG of one bit per pixel. `colours` are two of three bytes; `raw` the rows, each after its filter byte."""
    header = struct.pack(">IIBBBBB", width, height, 1, 3, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"PLTE", colours), (b"IDAT", zlib.compress(raw, 6)), (b"IEND", b""))
    return SIGNATURE + b"".join(_chunk(name, data) for name, data in chunks)


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def _layout(text: str, width: int, height: int) -> tuple[list[str], int]:
    """(lines, pixels of the picture per pixel of the font): as large as the text allows."""
    for scale in range(_LARGEST_SCALE, 0, -1):
        columns = (width // scale - 2 * _MARGIN) // (WIDTH + 1)
        room = (height // scale - 2 * _MARGIN) // (HEIGHT + 2)
        if columns < 1 or room < 1:
            continue
        lines = textwrap.wrap(text, columns)
        if len(lines) <= room or scale == 1:
            return lines[:room], scale
    return [], 1


def _line_rows(line: str, width: int, scale: int) -> list[int]:
    """The seven rows of one line, as numbers of `width` bits."""
    glyphs = [glyph(character) for character in line]
    used = (_MARGIN + len(line) * (WIDTH + 1)) * scale
    rows = []
    for number in range(HEIGHT):
        row = 0
        for pixels in glyphs:
            row = (row << (WIDTH + 1) * scale) | _stretched(pixels[number], scale)
        rows.append(row << (width - used))
    return rows


@lru_cache(maxsize=32 * _LARGEST_SCALE)
def _stretched(pixels: int, scale: int) -> int:
    """A row of a glyph and the gap after it, each pixel `scale` bits wide."""
    bits = 0
    for position in range(WIDTH - 1, -1, -1):
        bits <<= scale
        if pixels >> position & 1:
            bits |= (1 << scale) - 1
    return bits << scale


def _colours(text: str) -> bytes:
    """Dark paper in a hue of the text's own, and light ink."""
    hue = hashlib.sha256(text.encode("utf-8", "replace")).digest()[0] / 256
    return b"".join(
        bytes(round(255 * channel) for channel in colorsys.hsv_to_rgb(hue, saturation, value))
        for saturation, value in ((0.7, 0.35), (0.1, 1.0))
    )
