"""What the demo model plays, heard by a decoder that others wrote; and what it writes of an upload."""

import cmath
import io
import math
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import miniaudio
import pytest

from shared import Json
from shared.errors import ProviderRefusal
from shared.providers.calls import Form, Upload
from shared.providers.demo.melody import RATE, frequency, melody
from shared.providers.demo.operation import Question
from shared.providers.demo.speech import FORMATS, Speech
from shared.providers.demo.transcriptions import Transcription, Translation
from shared.wire.sound import sound_of

WORDS = "The quick brown fox jumps over the lazy dog"


def speech(**fields: Any) -> Speech:
    body = {"model": "demo-speech", "input": WORDS, "voice": "alloy", **fields}
    return Speech(Question(body, "demo-speech", 0))


def played(**fields: Any) -> list[int]:
    """The samples, at the rate they were made in."""
    file = b"".join(speech(**fields).parts())
    if fields.get("response_format") == "pcm":
        return list(memoryview(file).cast("h"))
    decoded = miniaudio.decode(file, nchannels=1, sample_rate=RATE)
    return list(decoded.samples)


def strength(samples: list[int], hertz: float) -> float:
    """The part of the sound's energy that lies at a frequency, by a Hann window."""
    size = len(samples)
    faded = [sample * (0.5 - 0.5 * math.cos(2 * math.pi * at / size)) for at, sample in enumerate(samples)]
    step = RATE / size
    near = [
        abs(
            sum(x * cmath.exp(-2j * math.pi * (hertz + off * step) * at / RATE) for at, x in enumerate(faded))
        )
        for off in (-1, 0, 1)
    ]
    return 2 * sum(value**2 for value in near) / size / sum(x * x for x in faded)


@pytest.mark.parametrize("format", FORMATS)
def test_each_word_is_a_note_in_every_format(format: str) -> None:
    tune = melody(WORDS, "alloy", 1.0)
    samples = played(response_format=format)
    assert len(samples) == tune.samples
    size = len(samples) // len(tune.lines)
    for at in (1, 4):
        heard = samples[at * size + size // 4 : (at + 1) * size]
        assert max(heard) > 4000
        assert strength(heard, frequency(tune.lines[at])) > 0.7


def test_lossless_formats_hold_the_same_samples() -> None:
    assert played(response_format="wav") == played(response_format="flac") == played(response_format="pcm")


def test_a_wav_says_exactly_how_long_it_is() -> None:
    file = b"".join(speech(response_format="wav").parts())
    assert int.from_bytes(file[4:8], "little") == len(file) - 8
    assert int.from_bytes(file[40:44], "little") == len(file) - 44


@pytest.mark.parametrize("format", ["mp3", "wav", "flac"])
def test_the_proxy_reads_the_length_of_what_it_plays(format: str) -> None:
    file = b"".join(speech(response_format=format).parts())
    sound = sound_of(file, len(file))
    assert sound.exact
    assert sound.seconds == pytest.approx(melody(WORDS, "alloy", 1.0).seconds)


def test_speed_shortens_the_notes_and_another_voice_plays_others() -> None:
    assert len(played(speed=2.0)) * 2 == len(played())
    assert melody(WORDS, "alloy", 1.0) != melody(WORDS, "echo", 1.0)


@pytest.mark.parametrize("format", ["opus", "aac", "tune"])
def test_formats_that_need_an_encoder_are_refused(format: str) -> None:
    with pytest.raises(ProviderRefusal) as caught:
        speech(response_format=format)
    assert (caught.value.status, caught.value.param) == (400, "response_format")


def question(content: bytes, **fields: Any) -> Question:
    upload = Upload("file", "speech.wav", "audio/wav", io.BytesIO(content), len(content))
    return Question({"model": "demo", **fields}, "demo", 0, form=Form((), (upload,)))


@pytest.fixture
def recording() -> bytes:
    return b"".join(speech(response_format="wav").parts())


async def test_a_transcript_names_length_and_format(recording: bytes) -> None:
    body, content = await Transcription(question(recording)).rendered()
    assert f"{len(recording):,} bytes of WAV audio" in content["text"]
    assert "lasts 1.30 seconds" in content["text"]
    assert content["usage"] == {"type": "duration", "seconds": 2}
    assert content["text"].encode() in body


async def test_times_cover_the_recording_without_a_gap(recording: bytes) -> None:
    fields = {"response_format": "verbose_json", "timestamp_granularities": ["word", "segment"]}
    _, content = await Transcription(question(recording, **fields)).rendered()
    for name, text in (("segments", "text"), ("words", "word")):
        items: list[Json] = content[name]
        assert items[0]["start"] == 0
        assert items[-1]["end"] == pytest.approx(content["duration"], abs=0.01)
        assert all(before["end"] == after["start"] for before, after in pairwise(items))
        assert " ".join(item[text] for item in items) == content["text"]


async def test_a_stream_says_what_the_plain_answer_says(recording: bytes) -> None:
    _, content = await Transcription(question(recording)).rendered()
    chunks: Iterator[Json] = Transcription(question(recording, stream="true")).chunks()
    *deltas, done = chunks
    assert "".join(chunk["delta"] for chunk in deltas) == done["text"] == content["text"]


def test_a_translation_has_no_speakers(recording: bytes) -> None:
    with pytest.raises(ProviderRefusal):
        Translation(question(recording, response_format="diarized_json"))
