"""Tones as MP3: MPEG-2 Layer III at 24 kHz and 32 kbit/s, one channel (ISO/IEC 13818-3).

A tone in the middle of a spectral line is that line alone, so its frames can be written by hand: zeros up to it,
one quantum, and nothing after it. Its sign, two frames up and two down, is what makes it a steady sine.
"""

from collections.abc import Iterator

from shared.providers.demo.melody import FRAME, RATE, Melody

BIT_RATE = 32_000
FRAME_BYTES = FRAME * BIT_RATE // (8 * RATE)
CONTENT_TYPE = "audio/mpeg"

_HEADER = bytes((0xFF, 0xF3, 0x44, 0xC0))
"""Sync word, MPEG-2, Layer III, no checksum; 32 kbit/s, 24 kHz, no padding; one channel."""
_LOUDNESS = 202
"""`global_gain`: 210 is a quantum of full scale, and four steps less halve it."""
_SIGNS = (0, 0, 1, 1)


def mp3_frame(line: int, position: int) -> bytes:
    """Frame number `position` of a stream that sounds at spectral line `line`."""
    main = _main_data(line, _SIGNS[position % 4])
    side = _Bits()
    side.put(0, 8)  # main_data_begin: the frame's own data
    side.put(0, 1)  # private
    side.put(len(main), 12)  # part2_3_length
    side.put(0, 9)  # big_values: all lines are in the region of small values
    side.put(_LOUDNESS, 8)
    side.put(0, 9)  # scalefac_compress: no scale factors
    side.put(0, 1)  # window_switching: long blocks
    side.put(0, 15)  # table_select
    side.put(0, 7)  # region0_count, region1_count
    side.put(0, 1)  # scalefac_scale
    side.put(1, 1)  # count1table_select: table B, four bits for four lines
    return (_HEADER + side.bytes() + main.bytes()).ljust(FRAME_BYTES, b"\0")


def mp3_notes(tune: Melody) -> Iterator[bytes]:
    """A melody, a note at a time."""
    for at, line in enumerate(tune.lines):
        first = at * tune.note_frames
        yield b"".join(mp3_frame(line, first + frame) for frame in range(tune.note_frames))


class _Bits:
    """Bits in a row, the most significant first."""

    def __init__(self) -> None:
        self._value = 0
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def put(self, value: int, width: int) -> None:
        self._value = self._value << width | value
        self._count += width

    def bytes(self) -> bytes:
        size = -(-self._count // 8)
        return (self._value << (8 * size - self._count)).to_bytes(size, "big")


def _main_data(line: int, sign: int) -> _Bits:
    """Lines in fours, by table B: the inverted bits of which of them are not zero, then a sign for each such."""
    bits = _Bits()
    quad, place = divmod(line, 4)
    for _ in range(quad):
        bits.put(0b1111, 4)
    bits.put(0b1111 ^ (0b1000 >> place), 4)
    bits.put(sign, 1)
    return bits
