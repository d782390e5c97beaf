"""What streams of audio and of transcripts say: when they begin, when they are whole, and what they used."""

import orjson
import pytest

from shared import Json
from shared.wire.events import Event
from shared.wire.speech import SpeechReading
from shared.wire.transcriptions import TranscriptReading
from shared.wire.usage import read_usage

USAGE = {"input_tokens": 14, "output_tokens": 100, "total_tokens": 114}


def event(chunk: Json, name: bytes = b"") -> Event:
    return Event(orjson.dumps(chunk), chunk, name)


def test_speech_begins_with_sound_and_is_whole_with_its_last_event() -> None:
    reading = SpeechReading({"input": "Hello"})
    opening = event({"type": "speech.audio.delta", "audio": ""})
    sound = event({"type": "speech.audio.delta", "audio": "AAAA"})
    done = event({"type": "speech.audio.done", "usage": USAGE})
    assert [reading.carries(item) for item in (opening, sound, done)] == [False, True, True]
    for item in (opening, sound):
        reading.note(item)
    assert not reading.complete(marked=True)
    reading.note(done)
    assert reading.complete(marked=False)
    assert reading.ending == b""


def test_an_end_mark_is_passed_on_if_there_was_one() -> None:
    for reading in (SpeechReading({}), TranscriptReading({})):
        kind = "speech.audio.done" if isinstance(reading, SpeechReading) else "transcript.text.done"
        reading.note(event({"type": kind}))
        assert reading.complete(marked=True)
        assert reading.ending == b"data: [DONE]\n\n"


def test_spoken_characters_count_beside_the_tokens() -> None:
    reading = SpeechReading({"input": "Hello"})
    assert reading.usage() is None
    reading.note(event({"type": "speech.audio.done", "usage": USAGE}))
    usage = reading.usage()
    assert usage is not None
    assert (usage.prompt, usage.completion, usage.characters) == (14, 100, 5)


@pytest.mark.parametrize("kind", ["transcript.text.delta", "transcript.text.segment", "transcript.text.done"])
def test_a_transcript_begins_with_any_of_its_events(kind: str) -> None:
    assert TranscriptReading({}).carries(event({"type": kind}))
    assert not TranscriptReading({}).carries(event({"type": "transcript.created"}))


def test_a_transcript_is_whole_with_its_last_event() -> None:
    reading = TranscriptReading({})
    reading.note(event({"type": "transcript.text.delta", "delta": "Hel"}))
    assert (reading.characters, reading.complete(marked=True)) == (3, False)
    reading.note(event({"type": "transcript.text.done", "text": "Hello", "usage": USAGE}))
    assert (reading.characters, reading.complete(marked=False)) == (5, True)
    assert reading.usage() == read_usage(USAGE)


def test_events_keep_their_names() -> None:
    named = event({"type": "transcript.text.delta"}, b"transcript.text.delta")
    assert (
        TranscriptReading({}).shown(named) == b"event: transcript.text.delta\ndata: " + named.data + b"\n\n"
    )


@pytest.mark.parametrize("seconds", [12, 12.5])
def test_usage_may_be_a_duration(seconds: float) -> None:
    usage = read_usage({"type": "duration", "seconds": seconds})
    assert usage is not None
    assert (usage.seconds, usage.total) == (seconds, 0)


@pytest.mark.parametrize("seconds", [None, "12", True, -1, float("nan"), float("inf")])
def test_what_is_no_duration_is_no_usage(seconds: object) -> None:
    assert read_usage({"type": "duration", "seconds": seconds}) is None
