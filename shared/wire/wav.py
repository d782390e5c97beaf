"""A RIFF header that says exactly how long the file is, for 16-bit samples in one channel."""

import struct


def wav_header(size: int, rate: int) -> bytes:
    """The 44 bytes before `size` bytes of samples, `rate` of them per second."""
    return struct.pack(
        "<4sI4s4sIHHIIHH4sI",
        b"RIFF",
        36 + size,
        b"WAVE",
        b"fmt ",
        16,
        1,  # PCM
        1,  # one channel
        rate,
        2 * rate,
        2,
        16,
        b"data",
        size,
    )
