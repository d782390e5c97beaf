"""Audio: spoken, written down, translated."""

from shared import Json
from shared.inference.operations import SPEECH, TRANSCRIPTIONS, TRANSLATIONS
from shared.openapi.chat import MODEL, STEERING
from shared.openapi.endpoint import EVENTS, JSON, Answer, Endpoint, Example, inference
from shared.openapi.schema import any_of, anything, choice, file, listed, number, record, ref, text

TAG = "Audio"

_RECORDING: Json = {
    "model": MODEL,
    "file": file("The recording."),
    "prompt": text("What came before, or words to expect."),
    "response_format": text(
        "`json`, `text`, `srt`, `vtt`, `verbose_json` or `diarized_json`; `json` if absent."
    ),
    "temperature": text("0 to 1."),
    "user": text("Who this is for; kept in the records of usage."),
    **{name: {**schema, "type": ["string", *schema["type"]]} for name, schema in STEERING.items()},
}
_TEXT_ANSWERS: Json = {"text/plain": text("`text` and `srt`."), "text/vtt": text("`vtt`.")}

SCHEMAS: Json = {
    "SpeechRequest": record(
        {
            "model": MODEL,
            "input": text("What to say: at most 4,096 characters where OpenAI's limits hold.", minLength=1),
            "voice": any_of(
                text(), record({"id": text()}, ("id",)), description="A voice of the provider's."
            ),
            "instructions": text("How to say it."),
            "response_format": text("`mp3`, `opus`, `aac`, `flac`, `wav` or `pcm`; `mp3` if absent."),
            "speed": number("0.25 to 4."),
            "stream_format": choice("audio", "sse", description="`sse`: base64 in server-sent events."),
            "user": text("Who this is for; kept in the records of usage."),
            **STEERING,
        },
        ("input", "voice"),
    ),
    "SpeechEvent": record(
        {
            "type": text("`speech.audio.delta` or `speech.audio.done`."),
            "audio": text("base64"),
            "usage": anything(),
        },
        ("type",),
    ),
    "TranscriptionForm": record(
        {
            **_RECORDING,
            "language": text("ISO 639-1."),
            "stream": choice("true", "false", description="Answer in server-sent events."),
            "include[]": listed(text(), "`logprobs`."),
            "timestamp_granularities[]": listed(choice("word", "segment"), "With `verbose_json`."),
            "chunking_strategy": text("`auto`, or an object."),
        },
        ("file",),
    ),
    "TranslationForm": record(_RECORDING, ("file",)),
    "Transcription": record(
        {
            "text": text(),
            "language": text(),
            "duration": number("Seconds."),
            "segments": listed(anything()),
            "words": listed(anything()),
            "usage": anything(),
        },
        ("text",),
    ),
    "TranscriptEvent": record(
        {
            "type": text("`transcript.text.delta`, `transcript.text.segment` or `transcript.text.done`."),
            "delta": text(),
            "text": text(),
            "usage": anything(),
        },
        ("type",),
    ),
}

_SPEECH: Json = {"model": "demo-speech", "input": "Hello", "voice": "alloy"}
_TRANSCRIPTION: Json = {"model": "demo-transcription"}
_TYPES = ("audio/mpeg", "audio/opus", "audio/aac", "audio/flac", "audio/wav", "audio/pcm")

ENDPOINTS: tuple[Endpoint, ...] = (
    inference(
        SPEECH,
        function="speech",
        id="createSpeech",
        tag=TAG,
        summary="Say a text",
        text="Bytes in the provider's own type, as they arrive; with `stream_format: sse` in events.",
        request=ref("SpeechRequest"),
        examples=(
            Example("mp3", "A short MP3", _SPEECH),
            Example("wav", "A WAV file", {**_SPEECH, "response_format": "wav"}),
            Example("events", "In events", {**_SPEECH, "stream_format": "sse"}),
        ),
        answers=(Answer("The sound.", {**dict.fromkeys(_TYPES), EVENTS: ref("SpeechEvent")}),),
    ),
    inference(
        TRANSCRIPTIONS,
        function="transcriptions",
        id="createTranscription",
        tag=TAG,
        summary="Write down what is said",
        text="The parts of the form may come in any order. Text formats come back as text.",
        request=ref("TranscriptionForm"),
        examples=(
            Example("json", "A recording", _TRANSCRIPTION, files={"file": "wav"}),
            Example(
                "subtitles",
                "As subtitles",
                {**_TRANSCRIPTION, "response_format": "srt"},
                files={"file": "wav"},
            ),
            Example("events", "In events", {**_TRANSCRIPTION, "stream": "true"}, files={"file": "wav"}),
        ),
        answers=(
            Answer(
                "The text.", {JSON: ref("Transcription"), **_TEXT_ANSWERS, EVENTS: ref("TranscriptEvent")}
            ),
        ),
    ),
    inference(
        TRANSLATIONS,
        function="translations",
        id="createTranslation",
        tag=TAG,
        summary="Write down in English what is said in another language",
        request=ref("TranslationForm"),
        examples=(Example("json", "A recording", _TRANSCRIPTION, files={"file": "wav"}),),
        answers=(Answer("The text.", {JSON: ref("Transcription"), **_TEXT_ANSWERS}),),
    ),
)
