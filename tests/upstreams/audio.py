"""OpenAI's audio operations as a recording upstream answers them, and the parts of a form that it received."""

import base64
import re
from dataclasses import dataclass

from shared import Json
from tests.upstreams.behaviours import Behaviour, Reply, SoundReply, StreamReply, frame
from tests.upstreams.samples import TEXT, words
from tests.upstreams.server import Received

AUDIO = [b"ID3\x04sound-", b"\x00\x01\x02\xff" * 500, b"-the end"]
"""An answer in pieces, as it is sent."""
HEARD = 12.5
"""Seconds that a verbose transcript says the recording lasts."""
TOKENS: Json = {
    "type": "tokens",
    "input_tokens": 14,
    "output_tokens": 9,
    "total_tokens": 23,
    "input_token_details": {"text_tokens": 4, "audio_tokens": 10},
}
SUBTITLES = {
    "text": (f"{TEXT}\n", "text/plain; charset=utf-8"),
    "srt": (f"1\n00:00:00,000 --> 00:00:12,500\n{TEXT}\n\n", "text/plain; charset=utf-8"),
    "vtt": (f"WEBVTT\n\n00:00:00.000 --> 00:00:12.500\n{TEXT}\n\n", "text/vtt; charset=utf-8"),
}
_TYPES = {
    "mp3": "audio/mpeg",
    "wav": "audio/wav",
    "opus": "audio/ogg",
    "flac": "audio/flac",
    "aac": "audio/aac",
}


@dataclass(frozen=True, slots=True)
class Part:
    """One part of a multipart body. `filename` is None for a field."""

    name: str
    filename: str | None
    content_type: str | None
    data: bytes


def parts_of(request: Received) -> list[Part]:
    """The parts in order, read without any of the libraries that the proxy uses."""
    found = re.search(r'boundary="?([^";]+)', request.headers["content-type"])
    assert found is not None
    *bodies, last = request.raw.split(b"--" + found[1].encode())[1:]
    assert last.strip() == b"--"
    return [_part(body) for body in bodies]


def fields_of(request: Received) -> list[tuple[str, str]]:
    """The fields that are no files, in order."""
    return [(part.name, part.data.decode()) for part in parts_of(request) if part.filename is None]


def file_of(request: Received) -> Part:
    [file] = [part for part in parts_of(request) if part.filename is not None]
    return file


def _part(body: bytes) -> Part:
    head, _, data = body.removeprefix(b"\r\n").partition(b"\r\n\r\n")
    lines = dict(line.split(": ", 1) for line in head.decode().split("\r\n"))
    lines = {name.lower(): value for name, value in lines.items()}
    names = dict(re.findall(r'(\w+)="((?:[^"\\]|\\.)*)"', lines["content-disposition"]))
    return Part(names["name"], names.get("filename"), lines.get("content-type"), data.removesuffix(b"\r\n"))


def audio_answer(request: Received, operation: str, headers: dict[str, str]) -> Behaviour | None:
    """What OpenAI says to `audio/speech`, `/transcriptions` and `/translations`."""
    if operation == "audio/speech":
        return _speech(request.body, headers)
    if operation not in ("audio/transcriptions", "audio/translations"):
        return None
    fields = dict(fields_of(request))
    wanted = fields.get("response_format", "json")
    if fields.get("stream") == "true" and operation == "audio/transcriptions":
        events: list[Json] = [{"type": "transcript.text.delta", "delta": word} for word in words(TEXT)]
        events.append({"type": "transcript.text.done", "text": TEXT, "usage": TOKENS})
        return StreamReply([frame(event) for event in events], headers=headers)
    if wanted in SUBTITLES:
        text, content_type = SUBTITLES[wanted]
        return Reply(text.encode(), content_type=content_type, headers=headers)
    if wanted == "verbose_json":
        segment = {
            "id": 0,
            "seek": 0,
            "start": 0.0,
            "end": HEARD,
            "text": TEXT,
            "tokens": [1],
            "temperature": 0.0,
        }
        segment |= {"avg_logprob": -0.1, "compression_ratio": 1.0, "no_speech_prob": 0.0}
        body = {"task": "transcribe", "language": "english", "duration": HEARD, "text": TEXT}
        return Reply({**body, "segments": [segment]}, headers=headers)
    return Reply({"text": TEXT, "usage": TOKENS}, headers=headers)


def _speech(body: Json, headers: dict[str, str]) -> Behaviour:
    if body.get("stream_format") == "sse":
        events: list[Json] = [
            {"type": "speech.audio.delta", "audio": base64.b64encode(piece).decode()} for piece in AUDIO
        ]
        events.append({"type": "speech.audio.done", "usage": {**TOKENS, "type": None}})
        return StreamReply([frame(event) for event in events], headers=headers)
    return SoundReply(AUDIO, content_type=_TYPES[body.get("response_format", "mp3")], headers=headers)
