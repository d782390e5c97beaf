"""Speech: what the proxy checks of a request, and what it reads of a stream of events (API reference, Audio)."""

import dataclasses

from shared import Json
from shared.errors import InvalidValue, MissingParameter
from shared.wire.estimate import estimate_tokens
from shared.wire.events import Event
from shared.wire.sse import DONE, encode
from shared.wire.usage import Usage, read_usage

MAX_INPUT = 4096
MAX_INSTRUCTIONS = 4096
SPEEDS = (0.25, 4.0)
_DELTA = "speech.audio.delta"
_DONE = "speech.audio.done"


def check_speech(body: Json) -> None:
    """Raises an `InvalidRequest` that names the field."""
    _text(body, "model")
    for name in ("input", "voice"):
        if body.get(name) is None:
            raise MissingParameter(name)
    _text(body, "input")
    voice = body["voice"]
    if isinstance(voice, dict):
        if voice.get("id") is None:
            raise MissingParameter("voice.id")
        voice = voice["id"]
    if not isinstance(voice, str) or not voice:
        raise InvalidValue("'voice' must be a name, or an object with an id.", param="voice")
    for name in ("response_format", "stream_format"):
        _text(body, name)
    instructions = body.get("instructions")
    if instructions is not None and not isinstance(instructions, str):
        raise InvalidValue("'instructions' must be text.", param="instructions")
    speed = body.get("speed")
    if speed is not None and (not isinstance(speed, int | float) or isinstance(speed, bool)):
        raise InvalidValue("'speed' must be a number.", param="speed")


def check_speech_ranges(body: Json) -> None:
    """OpenAI's own ranges (API reference), for OpenAI, Azure and Demo models."""
    for name, limit in (("input", MAX_INPUT), ("instructions", MAX_INSTRUCTIONS)):
        if len(body.get(name) or "") > limit:
            raise InvalidValue(f"'{name}' must hold at most {limit} characters.", param=name)
    low, high = SPEEDS
    speed = body.get("speed")
    if speed is not None and not low <= speed <= high:
        raise InvalidValue(f"'speed' must be a number from {low:g} to {high:g}.", param="speed")


def estimate_speech(body: Json, _: Json | None) -> Usage:
    """The characters to be spoken, which have a price of their own, and the tokens of their text."""
    text = spoken_text(body)
    return Usage(prompt=estimate_tokens(text), characters=len(text), estimated=True)


def speech_events_asked(body: Json) -> bool:
    """Whether the audio is to come in events, base64-encoded."""
    return body.get("stream_format") == "sse"


def spoken_text(body: Json) -> str:
    text = body.get("input")
    return text if isinstance(text, str) else ""


class SpeechReading:
    """What a stream of audio in events has said so far. It is whole once its last event has come.

    An end mark of the provider's is passed on; where it sends none, the client gets none.
    """

    __slots__ = ("_characters", "_done", "_usage", "characters", "ending")

    def __init__(self, body: Json) -> None:
        self.characters = 0
        self.ending = b""
        self._characters = len(spoken_text(body))
        self._done = False
        self._usage: Usage | None = None

    def note(self, event: Event) -> None:
        if event.chunk.get("type") == _DONE:
            self._done = True
            self._usage = read_usage(event.chunk.get("usage"))

    def carries(self, event: Event) -> bool:
        kind = event.chunk.get("type")
        return kind == _DONE or (kind == _DELTA and bool(event.chunk.get("audio")))

    def shown(self, event: Event) -> bytes:
        return encode(event.data, event.name)

    def complete(self, marked: bool) -> bool:
        self.ending = encode(DONE) if marked else b""
        return self._done

    def usage(self) -> Usage | None:
        if self._usage is None:
            return None
        return dataclasses.replace(self._usage, characters=self._characters)


def _text(body: Json, name: str) -> None:
    value = body.get(name)
    if value is not None and (not isinstance(value, str) or not value):
        raise InvalidValue(f"'{name}' must be text that is not empty.", param=name)
