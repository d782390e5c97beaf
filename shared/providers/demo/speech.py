"""Speech of the demo model: a melody of one note for each word, made while it is sent (API reference, Audio)."""

import base64
from collections.abc import Iterator

from shared import Json
from shared.providers.demo import flac, mp3
from shared.providers.demo.fields import refusal
from shared.providers.demo.melody import RATE, melody, note
from shared.providers.demo.operation import Question
from shared.wire.estimate import estimate_tokens
from shared.wire.wav import wav_header

FORMATS = {
    "mp3": mp3.CONTENT_TYPE,
    "wav": "audio/wav",
    "flac": flac.CONTENT_TYPE,
    "pcm": "audio/pcm",
}
"""What it speaks in, with the content types that OpenAI gives. The other formats need an encoder."""
TOKENS_PER_SECOND = 20
"""What a second of its speech counts as."""
_UNDERSTOOD = frozenset(
    ("model", "input", "voice", "instructions", "response_format", "speed", "stream_format")
)


class Speech:
    """A `Sounding`. Raises `ProviderRefusal` when it is made, for a body that OpenAI's API would refuse."""

    def __init__(self, question: Question) -> None:
        body = question.body
        self._format = body.get("response_format") or "mp3"
        if self._format not in FORMATS:
            raise refusal(
                f"The demo model speaks in {', '.join(FORMATS)}, not in '{self._format}'.", "response_format"
            )
        if body.get("stream_format") not in (None, "audio", "sse"):
            raise refusal("'stream_format' must be audio or sse.", "stream_format")
        self.content_type = FORMATS[self._format]
        self.dropped = tuple(sorted(name for name in body if name not in _UNDERSTOOD)) + (
            ("instructions",) if body.get("instructions") else ()
        )
        voice = body["voice"]
        self._input: str = body["input"]
        self._tune = melody(
            self._input, voice["id"] if isinstance(voice, dict) else voice, body.get("speed") or 1.0
        )

    def parts(self) -> Iterator[bytes]:
        """The file, a note at a time."""
        tune = self._tune
        if self._format == "mp3":
            yield from mp3.mp3_notes(tune)
            return
        if self._format == "wav":
            yield wav_header(2 * tune.samples, RATE)
        elif self._format == "flac":
            yield flac.flac_header(tune)
        for number, line in enumerate(tune.lines):
            samples = note(line, tune.note_frames)
            yield flac.flac_frame(samples, number) if self._format == "flac" else samples

    def chunks(self) -> Iterator[Json]:
        """The same file in base64, in events, usage last."""
        for part in self.parts():
            yield {"type": "speech.audio.delta", "audio": base64.b64encode(part).decode()}
        prompt = estimate_tokens(self._input)
        completion = round(self._tune.seconds * TOKENS_PER_SECOND)
        yield {
            "type": "speech.audio.done",
            "usage": {
                "input_tokens": prompt,
                "output_tokens": completion,
                "total_tokens": prompt + completion,
            },
        }
