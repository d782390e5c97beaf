"""How long a recording is, by its head: what its format says, else the stated rule."""

import io
import wave

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.wire.sound import BYTES_PER_SECOND, HEAD_BYTES, sound_of
from shared.wire.wav import wav_header


def recording(seconds: float, rate: int = 16_000, channels: int = 2) -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setnchannels(channels)
        writer.setsampwidth(2)
        writer.setframerate(rate)
        writer.writeframes(bytes(round(seconds * rate) * channels * 2))
    return file.getvalue()


@pytest.mark.parametrize(
    ("seconds", "rate", "channels"), [(1.5, 16_000, 2), (0.25, 8_000, 1), (3, 48_000, 2)]
)
def test_a_wav_says_how_long_it_is(seconds: float, rate: int, channels: int) -> None:
    file = recording(seconds, rate, channels)
    sound = sound_of(file[:HEAD_BYTES], len(file))
    assert (sound.format, sound.exact) == ("WAV", True)
    assert sound.seconds == pytest.approx(seconds)


def test_a_wav_that_was_still_running_is_as_long_as_its_file() -> None:
    file = wav_header(0xFFFFFFFF - 36, 16_000) + bytes(16_000)
    assert sound_of(file, len(file)).seconds == pytest.approx(0.5)


def test_chunks_before_the_samples_are_passed_over() -> None:
    file = recording(1)
    file = file[:36] + b"LIST" + (3).to_bytes(4, "little") + b"abc\0" + file[36:]
    assert sound_of(file, len(file)).seconds == pytest.approx(1)


def test_an_mp3_says_its_bitrate_behind_its_tags() -> None:
    tags = b"ID3\x04\x00\x00\x00\x00\x01\x00" + bytes(128)
    frames = b"\xff\xfb\x90\xc4" + bytes(31_996)  # MPEG-1 Layer III, 128 kbit/s
    sound = sound_of(tags + frames, len(tags + frames))
    assert (sound.format, sound.exact) == ("MP3", True)
    assert sound.seconds == pytest.approx(2)


@pytest.mark.parametrize(
    ("head", "name"),
    [
        (b"OggS\0\x02", "Ogg"),
        (b"\0\0\0\x20ftypM4A ", "MP4"),
        (b"\x1aE\xdf\xa3", "WebM"),
        (b"what", "unknown"),
    ],
)
def test_what_says_nothing_is_estimated_by_its_size(head: bytes, name: str) -> None:
    sound = sound_of(head, 4 * BYTES_PER_SECOND)
    assert (sound.format, sound.seconds, sound.exact) == (name, 4.0, False)


@given(
    st.sampled_from(
        [b"", b"RIFF\0\0\0\0WAVE", b"fLaC", b"\xff\xfb", b"ID3", b"RIFF\0\0\0\0WAVEfmt \x10\0\0\0"]
    ),
    st.binary(max_size=100),
)
def test_whatever_it_is_it_has_a_length(start: bytes, rest: bytes) -> None:
    assert sound_of(start + rest, len(start + rest)).seconds >= 0
