"""Speech on the LiteLLM lane: providers that answer with the whole audio, told in pieces or in events.

Gemini speaks in a chat: LiteLLM's own way from speech to that chat asks the provider twice, on a thread that no one
can cancel, and loses the usage.
"""

import asyncio
import base64
import binascii
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass, replace
from types import ModuleType
from typing import Any

import orjson

from shared import Json
from shared.errors import InvalidProviderResponse, UnsupportedParameter
from shared.providers.calls import Answer, Call
from shared.providers.litellm_lane.answers import provider_headers
from shared.providers.litellm_lane.arguments import Arguments
from shared.providers.litellm_lane.parameters import is_gemini
from shared.providers.openai_errors import visible_headers
from shared.wire.events import Event
from shared.wire.parameters import refused_parameter
from shared.wire.sound import HEAD_BYTES, sound_of
from shared.wire.usage import Usage
from shared.wire.wav import wav_header

GEMINI_RATE = 24_000
"""Samples per second of Gemini's speech, 16 bits each (Google's guide to speech generation)."""
_TAKEN = ("response_format", "speed", "instructions")
_OWN = frozenset(("model", "input", "voice", "stream_format", *_TAKEN))
_TYPES = {"WAV": "audio/wav", "MP3": "audio/mpeg", "Ogg": "audio/ogg", "FLAC": "audio/flac"}
_PIECE = 64 * 1024
_PIECE_OF_THREES = 48 * 1024
"""Bytes in an event: a multiple of three, so that pieces in base64 can be joined."""


@dataclass(frozen=True, slots=True)
class Spoken:
    """A whole audio file."""

    audio: bytes
    content_type: str
    headers: Mapping[str, str]
    usage: Usage | None
    dropped: tuple[str, ...]


def speaks_in_chat(made: Arguments) -> bool:
    return is_gemini(made.model, made.provider)


def spoken_chat(call: Call) -> Call:
    """The chat in which Gemini speaks. Raises `UnsupportedParameter` for a format that it has not."""
    wanted = call.body.get("response_format")
    if wanted not in (None, "wav", "pcm"):
        raise UnsupportedParameter(
            f"This model speaks in wav and pcm, not in '{wanted}'.", param="response_format"
        )
    body: Json = {name: value for name, value in call.body.items() if name not in _OWN}
    body |= {
        "messages": [{"role": "user", "content": call.body["input"]}],
        "modalities": ["audio"],
        "audio": {"voice": voice_name(call.body), "format": "pcm16"},
    }
    return replace(call, path="chat/completions", body=body, streamed=False)


def spoken_in_chat(call: Call, answer: Answer) -> Spoken:
    """The audio of that chat's answer. Raises `InvalidProviderResponse` where it holds none."""
    try:
        audio = base64.b64decode(answer.content["choices"][0]["message"]["audio"]["data"], validate=True)
    except (KeyError, IndexError, TypeError, binascii.Error):
        audio = b""
    if not audio:
        raise InvalidProviderResponse("The provider's answer holds no audio.")
    dropped = [*answer.dropped, *(["instructions"] if call.body.get("instructions") else [])]
    if call.body.get("speed") not in (None, 1):
        dropped.append("speed")
    if call.body.get("response_format") == "pcm":
        content_type = "audio/pcm"
    else:
        content_type, audio = "audio/wav", wav_header(len(audio), GEMINI_RATE) + audio
    return Spoken(audio, content_type, answer.headers, answer.usage, tuple(sorted(dropped)))


async def spoken(call: Call, module: ModuleType, made: Arguments) -> Spoken:
    """What LiteLLM's own function for speech gives. What it raises is the caller's to map."""
    values: Json = dict(made.values)
    dropped = []
    for name, value in call.body.items():
        if name in _TAKEN and value is not None:
            values[name] = value
        elif name not in _OWN:
            if refused_parameter(name):
                raise UnsupportedParameter(f"The parameter '{name}' cannot be set here.", param=name)
            dropped.append(name)
    values |= {"input": call.body["input"], "voice": voice_name(call.body)}
    if made.provider == "vertex_ai":
        # LiteLLM logs in for it without letting the loop go on: that must happen on a thread.
        answer: Any = await asyncio.to_thread(module.speech, **values)
    else:
        answer = await module.aspeech(**values)
    audio: bytes = answer.content
    if not audio:
        raise InvalidProviderResponse("The provider's answer holds no audio.")
    content_type = answer.response.headers.get("content-type") or _type_of(audio)
    headers = visible_headers(provider_headers(answer))
    return Spoken(audio, content_type, headers, None, tuple(sorted(dropped)))


def _type_of(audio: bytes) -> str:
    return _TYPES.get(sound_of(audio[:HEAD_BYTES], len(audio)).format, "application/octet-stream")


def voice_name(body: Json) -> str:
    """A voice of the client's own making is an object with an id."""
    voice = body["voice"]
    return str(voice["id"] if isinstance(voice, dict) else voice)


class SpokenDownload:
    """A whole file as a `Download`."""

    def __init__(self, whole: Spoken) -> None:
        self.headers = whole.headers
        self.dropped = whole.dropped
        self.content_type = whole.content_type
        self.usage = whole.usage
        self._audio = whole.audio

    async def __aiter__(self) -> AsyncGenerator[bytes, None]:
        for start in range(0, len(self._audio), _PIECE):
            yield self._audio[start : start + _PIECE]

    async def aclose(self) -> None:
        """There is nothing to close."""


class SpokenEvents:
    """A whole file as `Events`, in the words of OpenAI's."""

    def __init__(self, whole: Spoken) -> None:
        self.headers = whole.headers
        self.dropped = whole.dropped
        self.done = False
        self._whole = whole

    async def __aiter__(self) -> AsyncGenerator[Event, None]:
        audio = self._whole.audio
        for start in range(0, len(audio), _PIECE_OF_THREES):
            piece = base64.b64encode(audio[start : start + _PIECE_OF_THREES]).decode()
            yield _event({"type": "speech.audio.delta", "audio": piece})
        last: Json = {"type": "speech.audio.done"}
        usage = self._whole.usage
        if usage is not None:
            last["usage"] = {
                "input_tokens": usage.prompt,
                "output_tokens": usage.completion,
                "total_tokens": usage.total,
            }
        yield _event(last)

    async def aclose(self) -> None:
        """There is nothing to close."""


def _event(chunk: Json) -> Event:
    return Event(orjson.dumps(chunk), chunk)
