"""Transcriptions and translations: what the proxy checks of a form, and reads of answers and streams.

Formats after OpenAI's API reference (Audio). The fields of a form are text, whatever they mean.
"""

import dataclasses

from shared import Json
from shared.errors import InvalidValue, MissingParameter
from shared.providers.calls import Answer, Form, Upload
from shared.wire.estimate import estimate_tokens
from shared.wire.events import Event
from shared.wire.sound import HEAD_BYTES, sound_of
from shared.wire.sse import DONE, encode
from shared.wire.usage import Usage, read_usage

_SINGLE = (
    "model",
    "language",
    "prompt",
    "response_format",
    "temperature",
    "stream",
    "chunking_strategy",
    "user",
)
_TEXT_TYPES = {
    "text": "text/plain; charset=utf-8",
    "srt": "text/plain; charset=utf-8",
    "vtt": "text/vtt; charset=utf-8",
}
_DELTA = "transcript.text.delta"
_SEGMENT = "transcript.text.segment"
_DONE = "transcript.text.done"


def check_transcription(body: Json) -> None:
    """The fields of a form, by name. Raises an `InvalidRequest` that names the field."""
    for name in _SINGLE:
        value = body.get(name)
        if isinstance(value, list):
            raise InvalidValue(f"'{name}' may be given once only.", param=name)
    if body.get("model") == "":
        raise InvalidValue("'model' must not be empty.", param="model")
    if "file" in body:
        raise InvalidValue("'file' must be a file, not text.", param="file")
    flag = body.get("stream")
    if flag is not None and str(flag).lower() not in ("true", "false", ""):
        raise InvalidValue("'stream' must be true or false.", param="stream")


def check_transcription_file(form: Form) -> None:
    """The upload: one file, in the field of that name, which is not empty."""
    files = [file for file in form.files if file.field == "file"]
    if not files:
        raise MissingParameter("file")
    if len(files) > 1:
        raise InvalidValue("'file' must be one file.", param="file")
    for file in form.files:
        if file.field != "file":
            raise InvalidValue(f"'{file.field[:100]}' must be text, not a file.", param=file.field[:100])
    if not files[0].size:
        raise InvalidValue("The uploaded file is empty.", param="file")


def check_transcription_ranges(body: Json) -> None:
    """OpenAI's own ranges (API reference), for OpenAI, Azure and Demo models."""
    temperature = body.get("temperature")
    if temperature in (None, ""):
        return
    try:
        fits = 0 <= float(temperature) <= 1
    except (TypeError, ValueError):
        fits = False
    if not fits:
        raise InvalidValue("'temperature' must be a number from 0 to 1.", param="temperature")


def transcript_events_asked(body: Json) -> bool:
    return str(body.get("stream", "")).lower() == "true"


def text_type(body: Json) -> str | None:
    """The content type of an answer in text; None where the answer is JSON."""
    wanted = body.get("response_format")
    return _TEXT_TYPES.get(wanted) if isinstance(wanted, str) else None


def estimate_transcription(body: Json, content: Json | None) -> Usage:
    """The tokens of the transcript, where no usage comes. What was heard is measured by `heard`."""
    text = (content or {}).get("text")
    completion = estimate_tokens(text) if isinstance(text, str) else 0
    return Usage(completion=completion, estimated=True)


def measure_transcription(body: Json, form: Form | None, answer: Answer) -> Usage:
    """The provider's usage and, for the price of a minute, how long the audio was.

    That is what the provider says (`usage.seconds`, or the `duration` of a verbose answer), else what the
    upload shows.
    """
    usage = answer.usage or estimate_transcription(body, answer.content)
    if usage.seconds:
        return usage
    try:
        duration = float(answer.content.get("duration") or 0)
    except (TypeError, ValueError):
        duration = 0.0
    return dataclasses.replace(usage, seconds=duration if duration > 0 else heard(form))


def heard(form: Form | None) -> float:
    """Seconds of audio in an upload, as far as its head tells, else by the rule of `sound_of`."""
    uploads = [file for file in form.files if file.field == "file"] if form is not None else []
    return sound_of(_head(uploads[0]), uploads[0].size).seconds if uploads else 0.0


def _head(upload: Upload) -> bytes:
    return upload.read_at(0, HEAD_BYTES)


class TranscriptReading:
    """What a stream of a transcript has said so far. It is whole once its last event has come.

    An end mark of the provider's is passed on; where it sends none, the client gets none.
    """

    __slots__ = ("_done", "_reported", "characters", "ending")

    def __init__(self, _: Json) -> None:
        self.characters = 0
        self.ending = b""
        self._done = False
        self._reported: Usage | None = None

    def note(self, event: Event) -> None:
        chunk = event.chunk
        kind = chunk.get("type")
        if kind == _DELTA:
            delta = chunk.get("delta")
            self.characters += len(delta) if isinstance(delta, str) else 0
        elif kind == _DONE:
            self._done = True
            self._reported = read_usage(chunk.get("usage"))
            text = chunk.get("text")
            if isinstance(text, str):
                self.characters = len(text)

    def carries(self, event: Event) -> bool:
        return event.chunk.get("type") in (_DELTA, _SEGMENT, _DONE)

    def shown(self, event: Event) -> bytes:
        return encode(event.data, event.name)

    def complete(self, marked: bool) -> bool:
        self.ending = encode(DONE) if marked else b""
        return self._done

    def usage(self) -> Usage | None:
        return self._reported
