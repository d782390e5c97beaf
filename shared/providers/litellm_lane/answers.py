"""LiteLLM's plain answers in OpenAI's format, the provider's own where that is what it speaks."""

from collections.abc import Mapping
from typing import Any

import orjson

from shared import Json
from shared.providers.litellm_lane.chunks import dumped, is_private, public_usage

_KEPT_NULLS = frozenset(("content", "finish_reason", "logprobs", "refusal", "usage", "text"))


def provider_headers(answer: Any) -> dict[str, str]:
    """The headers of the provider's own answer, in lower case, as far as LiteLLM kept them."""
    hidden = getattr(answer, "_hidden_params", None)
    if not isinstance(hidden, Mapping):
        return {}
    headers = hidden.get("headers") or hidden.get("additional_headers") or {}
    return {
        str(name).lower().removeprefix("llm_provider-"): str(value) for name, value in dict(headers).items()
    }


def plain_answer(answer: Any) -> Json:
    """LiteLLM's `ModelResponse` (or text completion) in OpenAI's format."""
    content = {name: value for name, value in dumped(answer).items() if not is_private(name)}
    content["choices"] = [_plain_choice(choice) for choice in content.get("choices") or ()]
    usage = content.get("usage")
    if isinstance(usage, dict):
        content["usage"] = public_usage(usage)
    return {
        name: value
        for name, value in content.items()
        if name == "choices" or value not in (None, []) or (value is None and name in _KEPT_NULLS)
    }


def faithful_answer(answer: Json, told: str | None) -> Json:
    """The provider's own answer `told`, where it is one in OpenAI's format, else LiteLLM's reading of it.

    LiteLLM's answers lack what its types have no place for: some providers' logprobs, content filter results.
    """
    try:
        content = orjson.loads(told) if told else None
    except orjson.JSONDecodeError:
        return answer
    if not isinstance(content, dict) or not _is_openai_answer(content):
        return answer
    if _answer_calls(content) != _answer_calls(answer):
        return answer
    made: Json = without_nulls(content)
    made["choices"] = [{"logprobs": None, **choice} for choice in made["choices"]]
    return made


def _is_openai_answer(content: Json) -> bool:
    choices = content.get("choices")
    return (
        isinstance(choices, list)
        and bool(choices)
        and isinstance(content.get("id"), str)
        and all(
            isinstance(choice, dict)
            and isinstance(choice.get("message"), dict)
            and isinstance(choice["message"].get("content"), (str, type(None)))
            for choice in choices
        )
    )


def _answer_calls(content: Json) -> bool:
    return any((choice.get("message") or {}).get("tool_calls") for choice in content["choices"])


def without_nulls(value: Any) -> Any:
    """Without the nulls that OpenAI does not send: its client's types fill them in."""
    if isinstance(value, list):
        return [without_nulls(item) for item in value]
    if not isinstance(value, dict):
        return value
    return {
        name: without_nulls(item) for name, item in value.items() if item is not None or name in _KEPT_NULLS
    }


def _plain_choice(choice: Json) -> Json:
    made: Json = {"index": choice.get("index", 0)}
    message = choice.get("message")
    if isinstance(message, dict):
        made["message"] = _message(message)
    elif "text" in choice:
        made["text"] = choice["text"] or ""
    made["logprobs"] = choice.get("logprobs")
    made["finish_reason"] = choice.get("finish_reason")
    for name, value in choice.items():
        if name not in made and not is_private(name) and value is not None:
            made[name] = value
    return made


def _message(message: Json) -> Json:
    private = message.get("provider_specific_fields") or {}
    made: Json = {
        "role": message.get("role") or "assistant",
        "content": message.get("content"),
        "refusal": message.get("refusal", private.get("refusal")),
    }
    for name, value in message.items():
        if name not in made and not is_private(name) and (value not in (None, []) or name == "annotations"):
            made[name] = value
    for call in made.get("tool_calls") or ():
        for name in [name for name in call if is_private(name) or (name == "index" and call[name] is None)]:
            del call[name]
    return made
