"""What an inference operation is: how its body is checked and where it goes. A new operation is a declaration."""

import builtins
from collections.abc import Callable
from dataclasses import dataclass, replace

import orjson

from shared import Json
from shared.access.caller import Caller
from shared.catalog.documents import Model
from shared.errors import ProxyError
from shared.providers.calls import Answer, Form
from shared.responses.reading import ResponsesReading, error_event
from shared.wire.assembly import Assembly, ChatAssembly, ResponseAssembly
from shared.wire.chat import (
    ChatReading,
    check_chat,
    check_completion,
    check_openai_ranges,
    estimate_answer,
)
from shared.wire.embeddings import check_embedding_ranges, check_embeddings, estimate_embeddings
from shared.wire.estimate import estimate_prompt
from shared.wire.events import Reading
from shared.wire.images import (
    ImageReading,
    asks_for_events,
    check_edit,
    check_edit_form,
    check_edit_json,
    check_generation,
    check_image_ranges,
    check_variation,
    check_variation_form,
    estimate_images,
    measure_images,
)
from shared.wire.moderations import check_moderation, estimate_moderation
from shared.wire.realtime import check_opening, check_realtime, no_usage
from shared.wire.responses import check_responses, check_responses_ranges, estimate_responses
from shared.wire.speech import (
    SpeechReading,
    check_speech,
    check_speech_ranges,
    estimate_speech,
    speech_events_asked,
)
from shared.wire.sse import encode
from shared.wire.transcriptions import (
    TranscriptReading,
    check_transcription,
    check_transcription_file,
    check_transcription_ranges,
    estimate_transcription,
    heard,
    measure_transcription,
    transcript_events_asked,
)
from shared.wire.usage import Usage


def _asks_for_stream(body: Json) -> bool:
    return body.get("stream") is True


def _never(body: Json) -> bool:
    return False


def _no_ranges(body: Json) -> None:
    return None


def _no_files(form: Form) -> None:
    return None


def _envelope_event(error: ProxyError, reading: Reading | None) -> bytes:
    return encode(orjson.dumps(error.envelope()))


def _always(model: Model, caller: Caller) -> None:
    return None


@dataclass(frozen=True, slots=True)
class Operation:
    """`name` is the catalog's; `path` is OpenAI's, below `/v1/`.

    `check` is run for every request, `check_ranges` only where OpenAI's own limits hold. `estimate` counts a
    request (and its answer, None while there is none) where the provider reports no usage. `streamed` says
    whether a body asks for events, which `reading` then follows. `multipart` bodies are forms, whose files
    `check_form` sees (`check` their fields by name); `as_json` is the same operation where it takes JSON as well.
    An answer in `bytes` is relayed as it arrives. `measure` says what a plain answer used where that is more than
    its tokens: it takes the request's body, its form and the answer. `seconds` is how long uploaded audio lasts,
    where the provider does not say. `admits` raises where a model that lists the operation cannot do it, or not
    for this caller.
    `in_band` writes an error that comes after the commit; its reading is None where no stream was opened.
    `assembly` puts a streamed answer together again, for a call that is streamed inside the proxy alone.
    A `bodiless` operation asks about something that the provider keeps: nothing but its address is sent. One that
    is not `billed` costs nothing, whatever usage its answer shows.
    """

    name: str
    path: str
    check: Callable[[Json], None]
    estimate: Callable[[Json, Json | None], Usage]
    check_ranges: Callable[[Json], None] = _no_ranges
    streamed: Callable[[Json], bool] = _never
    reading: Callable[[Json], Reading] | None = None
    multipart: bool = False
    as_json: "Operation | None" = None
    check_form: Callable[[Form], None] = _no_files
    measure: Callable[[Json, Form | None, Answer], Usage] | None = None
    bytes: bool = False
    admits: Callable[[Model, Caller], None] = _always
    seconds: Callable[[Form | None], float] | None = None
    in_band: Callable[[ProxyError, Reading | None], "builtins.bytes"] = _envelope_event
    method: str = "POST"
    bodiless: bool = False
    billed: bool = True
    assembly: Callable[[], Assembly] | None = None


def _estimate_chat(body: Json, content: Json | None) -> Usage:
    completion = estimate_answer(content) if content is not None else 0
    return Usage(prompt=estimate_prompt(body), completion=completion, estimated=True)


CHAT_COMPLETIONS = Operation(
    name="ChatCompletion",
    path="chat/completions",
    check=check_chat,
    check_ranges=check_openai_ranges,
    estimate=_estimate_chat,
    streamed=_asks_for_stream,
    reading=ChatReading,
    assembly=ChatAssembly,
)
COMPLETIONS = replace(CHAT_COMPLETIONS, path="completions", check=check_completion)

REALTIME = Operation(
    name="audio_realtime", path="realtime", check=_no_ranges, estimate=no_usage, admits=check_realtime
)
REALTIME_OPENING = replace(REALTIME, admits=check_opening)

IMAGE_GENERATIONS = Operation(
    name="images",
    path="images/generations",
    check=check_generation,
    check_ranges=check_image_ranges,
    estimate=estimate_images,
    measure=measure_images,
    streamed=asks_for_events,
    reading=ImageReading,
)
_EDITS_AS_JSON = replace(IMAGE_GENERATIONS, path="images/edits", check=check_edit_json)
IMAGE_EDITS = replace(
    _EDITS_AS_JSON, check=check_edit, check_form=check_edit_form, multipart=True, as_json=_EDITS_AS_JSON
)
IMAGE_VARIATIONS = Operation(
    name="images",
    path="images/variations",
    check=check_variation,
    check_ranges=check_image_ranges,
    check_form=check_variation_form,
    estimate=estimate_images,
    measure=measure_images,
    multipart=True,
)

EMBEDDINGS = Operation(
    name="embeddings",
    path="embeddings",
    check=check_embeddings,
    check_ranges=check_embedding_ranges,
    estimate=estimate_embeddings,
)
MODERATIONS = Operation(
    name="moderations", path="moderations", check=check_moderation, estimate=estimate_moderation
)

RESPONSES = Operation(
    name="Responses",
    path="responses",
    check=check_responses,
    check_ranges=check_responses_ranges,
    estimate=estimate_responses,
    streamed=_asks_for_stream,
    reading=ResponsesReading,
    in_band=error_event,
    assembly=ResponseAssembly,
)
STORED_RESPONSES = replace(
    RESPONSES,
    check=_no_ranges,
    check_ranges=_no_ranges,
    streamed=_never,
    method="GET",
    bodiless=True,
    billed=False,
)

SPEECH = Operation(
    name="audio_tts",
    path="audio/speech",
    check=check_speech,
    check_ranges=check_speech_ranges,
    estimate=estimate_speech,
    streamed=speech_events_asked,
    reading=SpeechReading,
    bytes=True,
)
TRANSCRIPTIONS = Operation(
    name="audio_stt",
    path="audio/transcriptions",
    check=check_transcription,
    check_form=check_transcription_file,
    check_ranges=check_transcription_ranges,
    estimate=estimate_transcription,
    measure=measure_transcription,
    seconds=heard,
    streamed=transcript_events_asked,
    reading=TranscriptReading,
    multipart=True,
)
TRANSLATIONS = replace(TRANSCRIPTIONS, path="audio/translations", streamed=_never, reading=None)
