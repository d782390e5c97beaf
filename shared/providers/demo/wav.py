"""Samples as WAV: a RIFF header that says exactly how long the file is, then 16-bit samples."""

import struct

from shared.providers.demo.melody import RATE, Melody

CONTENT_TYPE = "audio/wav"


def wav_header(tune: Melody) -> bytes:
    """The 44 bytes before the samples of a melody."""
    size = 2 * tune.samples
    return struct.pack(
        "<4sI4s4sIHHIIHH4sI",
        b"RIFF",
        36 + size,
        b"WAVE",
        b"fmt ",
        16,
        1,  # PCM
        1,  # one channel
        RATE,
        2 * RATE,
        2,
        16,
        b"data",
        size,
    )
