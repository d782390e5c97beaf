"""Transcripts of the demo model: what can be said of an upload without listening (API reference, Audio).

Its name, kind and length, in every format, with times that spread the words evenly over the recording.
"""

import math
import re
from collections.abc import Iterator

import orjson

from shared import Json
from shared.errors import MissingParameter
from shared.providers.calls import Upload
from shared.providers.demo.fields import refusal
from shared.providers.demo.operation import Question, new_id
from shared.providers.demo.subtitles import Span, spread, srt, vtt
from shared.providers.demo.tokens import log_probability, pieces, words
from shared.wire.estimate import estimate_tokens
from shared.wire.sound import HEAD_BYTES, Sound, sound_of
from shared.wire.transcriptions import text_type

FORMATS = ("json", "text", "srt", "vtt", "verbose_json", "diarized_json")
TOKENS_PER_SECOND = 10
"""What a second of audio counts as, on the way in."""
_UNDERSTOOD = frozenset(
    (
        "model",
        "language",
        "response_format",
        "temperature",
        "stream",
        "include",
        "timestamp_granularities",
        "chunking_strategy",
    )
)


class Transcription:
    """A `Texted`. Raises `ProviderRefusal` when it is made, for a form that OpenAI's API would refuse."""

    task = "transcribe"

    def __init__(self, question: Question) -> None:
        body = question.body
        upload = _upload(question)
        self._sound = sound_of(upload.read_at(0, HEAD_BYTES), upload.size)
        self._format = body.get("response_format") or "json"
        if self._format not in FORMATS:
            raise refusal(f"'response_format' must be one of {', '.join(FORMATS)}.", "response_format")
        granularities = _several(body, "timestamp_granularities")
        for item in granularities:
            if item not in ("word", "segment"):
                raise refusal(
                    "'timestamp_granularities' must be of word and segment.", "timestamp_granularities"
                )
        self._words = "word" in granularities
        self._segments = "segment" in granularities or not granularities
        self._logprobs = "logprobs" in _several(body, "include")
        self._language = body.get("language") or "english"
        self.dropped = tuple(
            sorted(name for name, value in body.items() if name not in _UNDERSTOOD and value)
        )
        self.content_type = text_type(body) or "application/json"
        self._text = self._said(upload, self._sound)
        self._sentences = re.findall(r"[^.]+(?:\.(?=\S)[^.]+)*\.?\s*", self._text) or [self._text]

    def _said(self, upload: Upload, sound: Sound) -> str:
        kind = f"{sound.format} audio" if sound.format != "unknown" else "audio of an unknown format"
        about = "" if sound.exact else "about "
        return (
            f"This is the demo model, which does not listen. It got {upload.size:,} bytes of {kind}. "
            f"The recording lasts {about}{sound.seconds:.2f} seconds."
        )

    async def rendered(self) -> tuple[bytes, Json]:
        if self._format == "text":
            return f"{self._text}\n".encode(), {}
        if self._format == "srt":
            return srt(self._spans()).encode(), {}
        if self._format == "vtt":
            return vtt(self._spans()).encode(), {}
        content = self._content()
        return orjson.dumps(content), content

    def chunks(self) -> Iterator[Json]:
        """The words as they are heard, then the whole."""
        if self._format == "diarized_json":
            for span in self._spans():
                yield {
                    "type": "transcript.text.segment",
                    "id": new_id("seg_"),
                    "speaker": "A",
                    "start": span.start,
                    "end": span.end,
                    "text": span.text,
                }
        for word in words(self._text):
            delta: Json = {"type": "transcript.text.delta", "delta": word}
            if self._logprobs:
                delta["logprobs"] = self._probabilities(word)
            yield delta
        done: Json = {"type": "transcript.text.done", "text": self._text}
        if self._logprobs:
            done["logprobs"] = self._probabilities(self._text)
        heard = math.ceil(self._sound.seconds * TOKENS_PER_SECOND)
        said = estimate_tokens(self._text)
        yield {
            **done,
            "usage": {
                "type": "tokens",
                "input_tokens": heard,
                "output_tokens": said,
                "total_tokens": heard + said,
                "input_token_details": {"text_tokens": 0, "audio_tokens": heard},
            },
        }

    def _content(self) -> Json:
        content: Json = {"text": self._text}
        if self._format == "verbose_json":
            content = {
                "task": self.task,
                "language": self._language,
                "duration": round(self._sound.seconds, 2),
                **content,
            }
            if self._words:
                content["words"] = [
                    {"word": span.text, "start": span.start, "end": span.end}
                    for span in spread(self._text.split(), self._sound.seconds)
                ]
            if self._segments:
                content["segments"] = [_segment(index, span) for index, span in enumerate(self._spans())]
        elif self._format == "diarized_json":
            content |= {
                "task": self.task,
                "duration": round(self._sound.seconds, 2),
                "segments": [
                    {
                        "type": "transcript.text.segment",
                        "id": f"seg_{index}",
                        "speaker": "A",
                        "start": span.start,
                        "end": span.end,
                        "text": span.text,
                    }
                    for index, span in enumerate(self._spans())
                ],
            }
        elif self._logprobs:
            content["logprobs"] = self._probabilities(self._text)
        content["usage"] = {"type": "duration", "seconds": math.ceil(self._sound.seconds)}
        return content

    def _spans(self) -> list[Span]:
        return spread(self._sentences, self._sound.seconds)

    def _probabilities(self, text: str) -> list[Json]:
        return [
            {name: value for name, value in log_probability(token, 0).items() if name != "top_logprobs"}
            for token in pieces(text)
        ]


class Translation(Transcription):
    """The same; it was in English all along."""

    task = "translate"

    def __init__(self, question: Question) -> None:
        wanted = question.body.get("response_format")
        if wanted == "diarized_json":
            raise refusal("Translations have no 'diarized_json'.", "response_format")
        super().__init__(question)


def _upload(question: Question) -> Upload:
    if question.form is None or not question.form.files:
        raise MissingParameter("file")
    return question.form.files[0]


def _several(body: Json, name: str) -> list[str]:
    value = body.get(name)
    return [value] if isinstance(value, str) else list(value or ())


def _segment(index: int, span: Span) -> Json:
    return {
        "id": index,
        "seek": 0,
        "start": span.start,
        "end": span.end,
        "text": span.text,
        "tokens": [],
        "temperature": 0.0,
        "avg_logprob": 0.0,
        "compression_ratio": 1.0,
        "no_speech_prob": 0.0,
    }
