"""Transcriptions on the LiteLLM lane: what of a form the provider takes, and its answer in OpenAI's formats."""

import asyncio
from types import ModuleType
from typing import Any

import orjson

from shared import Json
from shared.errors import InvalidProviderResponse, InvalidValue, MissingParameter, UnsupportedParameter
from shared.providers.calls import Answer, Call
from shared.providers.files import SharedReader
from shared.providers.litellm_lane.answers import provider_headers
from shared.providers.litellm_lane.arguments import Arguments
from shared.providers.litellm_lane.chunks import dumped, is_private
from shared.providers.openai_errors import visible_headers
from shared.wire.parameters import STEERING, refused_parameter
from shared.wire.transcriptions import text_type
from shared.wire.usage import read_usage

_VERBATIM = frozenset(("openai", "azure", "groq"))
_OPENAI = frozenset(("language", "prompt", "response_format", "temperature", "timestamp_granularities"))
"""What LiteLLM passes on to a provider whose form is OpenAI's."""
_WITH_TIMES = ("verbose_json", "diarized_json")
_ELSEWHERE = frozenset(("model", "stream")) | STEERING


async def send_transcription(call: Call, module: ModuleType, made: Arguments) -> Answer:
    """A `Sender`. Raises `UnsupportedParameter` where the provider has not the format that was asked for."""
    if call.form is None or not call.form.files:
        raise MissingParameter("file")
    upload = call.form.files[0]
    supported = _supported(module, made)
    values: Json = {"file": (upload.filename, SharedReader(upload), upload.content_type)}
    dropped = []
    for name, value in call.body.items():
        if name in _ELSEWHERE or value in ("", []):
            continue
        if refused_parameter(name):
            raise UnsupportedParameter(f"The parameter '{name}' cannot be set here.", param=name)
        if name == "response_format":
            if name in supported:
                values[name] = value
            elif value not in ("json", "text"):
                raise UnsupportedParameter(
                    f"The provider of this model does not answer in '{value}'.", param=name
                )
        elif name in supported:
            values[name] = _typed(name, value)
        else:
            dropped.append(name)
    values |= made.values
    if made.provider == "gemini" and "api_base" in values:
        # LiteLLM adds the version itself here, where it wants it given for chats.
        values["api_base"] = values["api_base"].removesuffix("/v1beta")
    answer = await _asked(module, made, values)
    content = {name: value for name, value in dumped(answer).items() if not is_private(name)}
    text = content.get("text")
    if not isinstance(text, str):
        raise InvalidProviderResponse("The provider's answer holds no transcript.")
    content = {name: value for name, value in content.items() if value is not None}
    headers = visible_headers(provider_headers(answer))
    usage = read_usage(content.get("usage"))
    if usage is None:
        usage = read_usage({"type": "duration", "seconds": content.get("duration")})
    told = text_type(call.body)
    if told is not None:
        body = text if text.endswith("\n") else text + "\n"
        return Answer(body.encode(), {}, headers, usage, tuple(sorted(dropped)), told)
    if call.body.get("response_format") not in _WITH_TIMES:
        # LiteLLM asks some models for more, to learn how long the audio was.
        content = {name: content[name] for name in ("text", "logprobs", "usage") if name in content}
    return Answer(orjson.dumps(content), content, headers, usage, tuple(sorted(dropped)))


async def _asked(module: ModuleType, made: Arguments, values: Json) -> Any:
    if made.provider == "vertex_ai":
        # LiteLLM logs in for it without letting the loop go on: that must happen on a thread.
        return await asyncio.to_thread(module.transcription, **values)
    return await module.atranscription(**values)


def _supported(module: ModuleType, made: Arguments) -> frozenset[str]:
    if made.provider in _VERBATIM:
        return _OPENAI
    found = module.get_supported_openai_params(
        model=made.model, custom_llm_provider=made.provider, request_type="transcription"
    )
    return frozenset(found) & _OPENAI if found else _OPENAI


def _typed(name: str, value: Any) -> Any:
    """A field of a form as LiteLLM wants it."""
    if name == "timestamp_granularities":
        return [value] if isinstance(value, str) else value
    if name != "temperature":
        return value
    try:
        return float(value)
    except (TypeError, ValueError):
        raise InvalidValue("'temperature' must be a number.", param=name) from None
