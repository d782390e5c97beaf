"""What the demo voice says: one note for each word, at pitches that the word and the voice choose."""

import math
import zlib
from array import array
from dataclasses import dataclass
from functools import lru_cache

RATE = 24_000
"""Samples per second, in one channel: that of OpenAI's speech."""
FRAME = 576
"""Samples in a frame of MP3 at this rate; a note is a whole number of them, in every format."""
NOTE_FRAMES = 6
MAX_NOTE_FRAMES = 24
AMPLITUDE = 0.25
_LINES = (21, 24, 26, 28, 31, 33, 35, 38)
"""Pitches, as spectral lines of MP3: line n is at (n + 1/2) x RATE / (2 x FRAME) Hz, here 448 to 802 Hz."""
_FADE = 240
"""Samples over which a note comes and goes, so that it does not click."""


@dataclass(frozen=True, slots=True)
class Melody:
    """Spectral lines, a note each, and how many frames a note takes."""

    lines: tuple[int, ...]
    note_frames: int

    @property
    def samples(self) -> int:
        return len(self.lines) * self.note_frames * FRAME

    @property
    def seconds(self) -> float:
        return self.samples / RATE


def melody(text: str, voice: str, speed: float) -> Melody:
    """The same for the same words, voice and speed."""
    start = zlib.crc32(voice.encode("utf-8", "replace"))
    lines = tuple(
        _LINES[(start + zlib.crc32(word.encode("utf-8", "replace"))) % len(_LINES)] for word in text.split()
    )
    return Melody(lines or (_LINES[0],), max(1, min(MAX_NOTE_FRAMES, round(NOTE_FRAMES / speed))))


def frequency(line: int) -> float:
    """In Hz."""
    return (line + 0.5) * RATE / (2 * FRAME)


@lru_cache(maxsize=len(_LINES) * MAX_NOTE_FRAMES)
def note(line: int, frames: int) -> bytes:
    """One note in samples of 16 bits, little-endian."""
    count = frames * FRAME
    step = 2 * math.pi * frequency(line) / RATE
    samples = array("h")
    for index in range(count):
        fade = min(1.0, index / _FADE, (count - 1 - index) / _FADE)
        samples.append(round(32767 * AMPLITUDE * fade * math.sin(step * index)))
    if samples.itemsize != 2 or array("H", b"\x01\x00")[0] != 1:
        samples.byteswap()
    return samples.tobytes()
