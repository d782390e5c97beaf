"""Realtime on the wire: where a body names its model, and what the events of a session say of its usage.

Shapes are those of OpenAI's API reference, "Realtime": client secrets, sessions (beta), calls and server events.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from shared import Json
from shared.access.caller import Caller
from shared.catalog.documents import Model
from shared.errors import InvalidJson, InvalidValue, MissingParameter, ModelNotAllowed, UnsupportedOperation
from shared.wire.usage import Usage, read_usage

MAX_SDP = 1024 * 1024
"""Characters of an offer; real ones have some thousands."""

_SESSION = ("session", "model")
_TRANSCRIPTION = ("session", "audio", "input", "transcription", "model")
_BETA_TRANSCRIPTION = ("input_audio_transcription", "model")


@dataclass(frozen=True, slots=True)
class Offer:
    """A WebRTC offer: the session description (RFC 8866) and the session that is asked for."""

    sdp: str
    session: Json


def secret_model_path(body: Json) -> tuple[str, ...]:
    """Where `client_secrets` names its model: a session that only transcribes names it with its audio input."""
    session = body.get("session")
    transcribes = isinstance(session, dict) and session.get("type") == "transcription"
    return _TRANSCRIPTION if transcribes else _SESSION


def session_model_path(body: Json) -> tuple[str, ...]:
    """Where `sessions`, and the body of a call that is accepted, name the model."""
    return ("model",)


def transcription_model_path(body: Json) -> tuple[str, ...]:
    """Where the beta's `transcription_sessions` names its model."""
    return _BETA_TRANSCRIPTION


def model_at(body: Json, path: tuple[str, ...]) -> str | None:
    """The model that a body names. Raises `InvalidValue` where something on the way has another type."""
    found: object = body
    for depth, name in enumerate(path):
        if found is None:
            return None
        if not isinstance(found, dict):
            where = ".".join(path[:depth])
            raise InvalidValue(f"'{where}' must be an object.", param=where)
        found = found.get(name)
    if found is not None and (not isinstance(found, str) or not found):
        raise InvalidValue("'model' must be a model's id.", param=".".join(path))
    return found


def with_model(body: Json, path: tuple[str, ...], model: str) -> Json:
    """A copy of a body that names `model`; what lies beside it stays."""
    if len(path) == 1:
        return {**body, path[0]: model}
    inner = body.get(path[0])
    return {**body, path[0]: with_model(inner if isinstance(inner, dict) else {}, path[1:], model)}


def check_realtime(model: Model, caller: Caller) -> None:
    """Raises `UnsupportedOperation` for a model of the LiteLLM lane: a session is relayed, never translated."""
    if not model.native and model.provider != "Demo":
        raise UnsupportedOperation(f"The model '{model.id}' does not support realtime here.", param="model")


def check_opening(model: Model, caller: Caller) -> None:
    """As `check_realtime`, for sessions whose media flow past the proxy: a budget forbids what nobody counts."""
    if not model.native:
        raise UnsupportedOperation(
            f"The model '{model.id}' does not support realtime sessions that are opened over HTTP.",
            param="model",
        )
    if caller.budgeted or model.limits.budget_usd is not None:
        whose = "key" if caller.budgeted else f"model '{model.id}'"
        raise ModelNotAllowed(
            f"What this session uses cannot be counted, and the {whose} has a budget.", param="model"
        )


def no_usage(body: Json, content: Json | None) -> Usage:
    """Nothing is estimated: what a session used is known by its events, or not at all."""
    return Usage()


def read_offer(sdp: object, session: object) -> Offer:
    """The offer out of a form's or a JSON body's fields. `session` may be an object, its JSON, or left out."""
    if sdp is None or sdp == "":
        raise MissingParameter("sdp")
    if not isinstance(sdp, str):
        raise InvalidValue("'sdp' must be text.", param="sdp")
    if len(sdp) > MAX_SDP:
        raise InvalidValue(f"'sdp' must have at most {MAX_SDP} characters.", param="sdp")
    if isinstance(session, str):
        try:
            session = orjson.loads(session)
        except orjson.JSONDecodeError:
            raise InvalidJson("'session' is not valid JSON.", param="session") from None
    if session is None:
        session = {}
    if not isinstance(session, dict):
        raise InvalidValue("'session' must be an object.", param="session")
    return Offer(sdp, session)


class Tally:
    """Adds up what the `response.done` events of one session report.

    A session's frames are many and most are audio: one that does not hold the event's name is not decoded.
    """

    def __init__(self) -> None:
        self.usage: Usage | None = None

    def note(self, frame: str | bytes) -> None:
        """Takes notice of a frame of the provider's."""
        if isinstance(frame, str) and '"response.done"' in frame:
            usage = _usage_of(frame)
            if usage is not None:
                self.usage = usage if self.usage is None else _sum(self.usage, usage)


def _usage_of(frame: str) -> Usage | None:
    try:
        event: Any = orjson.loads(frame)
    except orjson.JSONDecodeError:
        return None
    if not isinstance(event, dict) or event.get("type") != "response.done":
        return None
    response = event.get("response")
    reported = response.get("usage") if isinstance(response, dict) else None
    return read_usage(_renamed(reported)) if isinstance(reported, dict) else None


def _renamed(reported: Mapping[str, Any]) -> Json:
    """Realtime writes `input_token_details` where the other operations write `input_tokens_details`."""
    return {
        name.replace("put_token_details", "put_tokens_details"): value for name, value in reported.items()
    }


def _sum(one: Usage, other: Usage) -> Usage:
    return Usage(
        prompt=one.prompt + other.prompt,
        completion=one.completion + other.completion,
        cached=one.cached + other.cached,
        reasoning=one.reasoning + other.reasoning,
    )
