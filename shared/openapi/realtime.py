"""Realtime: sessions that are opened here and run between client and provider, and the WebSocket that is relayed."""

from collections.abc import Sequence

from shared import Json
from shared.inference.operations import REALTIME, REALTIME_OPENING
from shared.openapi.chat import MODEL
from shared.openapi.endpoint import (
    FORM,
    INFERENCE_ERRORS,
    JSON,
    Answer,
    Endpoint,
    Example,
    in_path,
    in_query,
)
from shared.openapi.schema import any_of, anything, choice, constant, record, ref, text, whole

TAG = "Realtime"

_SESSION = record(
    {"type": choice("realtime", "transcription"), "model": MODEL}, description="The provider's own fields."
)

SCHEMAS: Json = {
    "RealtimeSecretRequest": record(
        {"session": _SESSION, "expires_after": anything("When the secret ends.")}, ("session",)
    ),
    "RealtimeSecret": record(
        {"value": text("The secret for the client, `ek_…`."), "expires_at": whole(), "session": anything()}
    ),
    "RealtimeSessionRequest": record({"model": MODEL}, ("model",), "The beta's fields."),
    "RealtimeSession": record(
        {
            "id": text(),
            "object": constant("realtime.session"),
            "model": text(),
            "created": whole("Seconds since 1970."),
            "status": choice("active", "ended"),
        },
        ("id", "object", "model", "created", "status"),
    ),
    "RealtimeCallForm": record({"sdp": text("The offer."), "session": text("JSON.")}, ("sdp",)),
    "RealtimeCallRequest": record({"sdp": text("The offer."), "session": _SESSION}, ("sdp",)),
    "RealtimeCallAction": record(
        {
            "target_uri": text("Of `refer`: where the call goes."),
            "status_code": whole("Of `reject`: a SIP status."),
            "model": MODEL,
        },
        description="Of `accept`: the session's fields.",
    ),
}

_MODEL_QUERY = in_query("model", "Id of a model, where the body names none.")
_UNCOUNTED = (
    "The session runs between client and provider, so what it uses is not counted here: keys and models that have a "
    "budget are refused with 403."
)
_WEBSOCKET = (
    "A WebSocket, which is relayed in both directions: on the local host, not on Azure Functions, which has none. "
    "The key comes in a header, in the query (`api-key`) or, from browsers, in the subprotocol "
    "`openai-insecure-api-key.<key>` beside `realtime`. A request that is no WebSocket is 400."
)
_UPGRADED = (Answer("The WebSocket.", status=101),)


def _opening(
    path: str,
    id: str,
    summary: str,
    request: Json,
    answer: Answer,
    text: str = _UNCOUNTED,
    parameters: Sequence[Json] = (_MODEL_QUERY,),
    examples: Sequence[Example] = (),
    optional_body: bool = False,
) -> Endpoint:
    return Endpoint(
        function="realtime",
        method="POST",
        path=f"/v1/realtime/{path}",
        id=id,
        tag=TAG,
        summary=summary,
        text=text,
        parameters=parameters,
        request=request,
        optional_body=optional_body,
        examples=examples,
        answers=(answer,),
        errors=INFERENCE_ERRORS,
        operation=REALTIME_OPENING,
        access="inference",
    )


def _socket(function: str, path: str, id: str) -> Endpoint:
    return Endpoint(
        function=function,
        method="GET",
        path=path,
        id=id,
        tag=TAG,
        summary="Talk over a WebSocket",
        text=_WEBSOCKET,
        parameters=(in_query("model", "Id of a model or group."),),
        answers=_UPGRADED,
        errors=(400, *INFERENCE_ERRORS),
        operation=REALTIME,
        access="inference",
    )


ENDPOINTS: tuple[Endpoint, ...] = (
    _opening(
        "client_secrets",
        "createRealtimeClientSecret",
        "Make a secret with which a client opens a session",
        {JSON: ref("RealtimeSecretRequest")},
        Answer("The secret.", {JSON: ref("RealtimeSecret")}),
        examples=(
            Example(
                "session",
                "For a browser",
                {"session": {"type": "realtime", "model": "gpt-realtime"}},
                demo=False,
            ),
        ),
    ),
    _opening(
        "sessions",
        "createRealtimeSession",
        "The same in the words of the beta",
        {JSON: ref("RealtimeSessionRequest")},
        Answer("The session with its secret.", {JSON: anything()}),
        examples=(Example("session", "For a browser", {"model": "gpt-realtime"}, demo=False),),
    ),
    _opening(
        "transcription_sessions",
        "createRealtimeTranscriptionSession",
        "A session that only transcribes, in the words of the beta",
        {JSON: anything("`input_audio_transcription.model` names the model.")},
        Answer("The session with its secret.", {JSON: anything()}),
        examples=(
            Example(
                "session",
                "For a browser",
                {"input_audio_transcription": {"model": "gpt-4o-transcribe"}},
                demo=False,
            ),
        ),
    ),
    _opening(
        "calls",
        "createRealtimeCall",
        "Open a WebRTC session by its offer",
        {
            "application/sdp": text("The offer; the model is in the query."),
            FORM: ref("RealtimeCallForm"),
            JSON: ref("RealtimeCallRequest"),
        },
        Answer(
            "The answer to the offer.",
            {"application/sdp": text()},
            status=201,
            headers={"location": "The call's address here, for what is done with it."},
        ),
        examples=(
            Example(
                "json",
                "An offer in JSON",
                {"sdp": "v=0\r\n…", "session": {"type": "realtime", "model": "gpt-realtime"}},
                demo=False,
            ),
        ),
    ),
    *(
        _opening(
            f"calls/{{id}}/{action}",
            f"{action}RealtimeCall",
            summary,
            {JSON: ref("RealtimeCallAction")},
            Answer("It is done.", {JSON: any_of(anything(), text())}),
            text="Of the caller's own project; any other call is 404.",
            parameters=(in_path("id", "Id of a call."),),
            optional_body=True,
            examples=(Example(action, summary, body, demo=False),),
        )
        for action, summary, body in (
            ("hangup", "End a call", {}),
            ("refer", "Pass a call on", {"target_uri": "tel:+14155550123"}),
            ("accept", "Take an incoming call", {"type": "realtime", "model": "gpt-realtime"}),
            ("reject", "Refuse an incoming call", {"status_code": 486}),
        )
    ),
    _socket("realtime", "/v1/realtime", "connectRealtime"),
    _socket("realtime_sessions", "/v1/audio/realtime", "connectAudioRealtime"),
    Endpoint(
        function="realtime_sessions",
        method="GET",
        path="/v1/audio/realtime/sessions/{id}",
        id="getRealtimeSession",
        tag=TAG,
        summary="Show a session that is relayed here",
        parameters=(in_path("id", "The id in `x-llmproxy-session-id` of the WebSocket's answer."),),
        answers=(Answer("The session.", {JSON: ref("RealtimeSession")}),),
        errors=(404,),
        access="inference",
    ),
)
