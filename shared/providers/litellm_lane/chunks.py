"""Chunks of LiteLLM's provider streams, and its plain answers, in OpenAI's format and nothing beside it.

Streams are read below LiteLLM's own wrapper, which drops what OpenAI's format has (choices beyond the first,
nulls, `choices: []`) and makes up what the provider never sent (a `finish_reason`).
"""

from collections.abc import Mapping
from typing import Any

from shared import Json

_PRIVATE = frozenset(("provider_specific_fields", "citations", "enhancements", "vertex_ai_metadata"))
_DELTA_DROPPED_NULLS = frozenset(
    ("content", "role", "tool_calls", "function_call", "audio", "refusal", "reasoning_content", "images")
)


def is_openai_model(chunk: Any) -> bool:
    """Whether a chunk was parsed by OpenAI's own client, which keeps exactly the fields that came."""
    return type(chunk).__module__.startswith("openai.")


def dumped(chunk: Any) -> Json:
    """A pydantic object as JSON values, with only the fields that were set."""
    content: Json = chunk.model_dump(mode="json", exclude_unset=True, warnings=False)
    return content


def openai_chunk(chunk: Any) -> Json | None:
    """A provider's chunk in OpenAI's format, or None where it carries nothing."""
    if isinstance(chunk, Mapping):
        return _from_generic(chunk)
    content = dumped(chunk)
    if is_openai_model(chunk):
        return content
    return _from_litellm(content)


def faithful(chunk: Json | None, event: Any) -> tuple[Json | None, bool]:
    """(the chunk, whether it is verbatim), corrected by the provider's own event that it was made of.

    An event in OpenAI's format says all that a chunk of LiteLLM's can and more. Gemini's says whether its
    answer ended, which LiteLLM takes for granted in every chunk.
    """
    if not isinstance(event, dict):
        return chunk, False
    if _is_openai_event(event) and (chunk is None or _same_calls(chunk, event)):
        return event, True
    if chunk is not None and "candidates" in event:
        ended = {
            candidate.get("index", 0)
            for candidate in event["candidates"] or ()
            if isinstance(candidate, dict) and candidate.get("finishReason")
        }
        for choice in chunk["choices"]:
            if choice.get("index", 0) not in ended:
                choice["finish_reason"] = None
    return chunk, False


def _is_openai_event(event: Json) -> bool:
    choices = event.get("choices")
    if not isinstance(choices, list) or "id" not in event:
        return False
    return all(
        isinstance(choice, dict)
        and isinstance(choice.get("delta"), dict)
        and isinstance(choice["delta"].get("content"), (str, type(None)))
        for choice in choices
    )


def _same_calls(chunk: Json, event: Json) -> bool:
    """False where LiteLLM asked for JSON by way of a tool, and turned the tool's call back into content."""

    def calls(content: Json) -> bool:
        return any((choice.get("delta") or {}).get("tool_calls") for choice in content["choices"])

    return calls(chunk) == calls(event)


def _from_litellm(content: Json) -> Json | None:
    usage = content.pop("usage", None)
    chunk = {
        name: value for name, value in content.items() if value not in (None, []) and not is_private(name)
    }
    chunk["choices"] = [_choice(choice) for choice in content.get("choices") or ()]
    if usage is not None:
        chunk["usage"] = public_usage(usage)
    if not usage and not any(_carries(choice) for choice in chunk["choices"]):
        return None
    return chunk


def _choice(choice: Json) -> Json:
    delta = choice.get("delta")
    made: Json = {"index": choice.get("index", 0)}
    if delta is not None:
        made["delta"] = _delta(delta)
    elif "text" in choice:
        made["text"] = choice["text"] or ""
    made["logprobs"] = choice.get("logprobs")
    made["finish_reason"] = choice.get("finish_reason") or None
    return made


def _delta(delta: Json) -> Json:
    made = {
        name: value
        for name, value in delta.items()
        if not is_private(name) and not (value is None and name in _DELTA_DROPPED_NULLS)
    }
    for name in [name for name, value in made.items() if value == [] and name != "tool_calls"]:
        del made[name]
    if made.get("content") == "" and "role" not in made:
        del made["content"]
    for call in made.get("tool_calls") or ():
        for name in [name for name in call if call[name] is None or is_private(name)]:
            del call[name]
        function = call.get("function")
        if isinstance(function, dict) and function.get("name", "") is None:
            del function["name"]
    return made


def _carries(choice: Json) -> bool:
    if choice.get("finish_reason") or choice.get("text"):
        return True
    delta = choice.get("delta") or {}
    return any(value not in (None, "", []) for value in delta.values())


def _from_generic(chunk: Mapping[str, Any]) -> Json | None:
    """LiteLLM's `GenericStreamingChunk`: `{text, is_finished, finish_reason, usage, index, tool_use}`."""
    delta: Json = {}
    if chunk.get("text"):
        delta["content"] = chunk["text"]
    if chunk.get("tool_use"):
        delta["tool_calls"] = [dict(chunk["tool_use"])]
    finish_reason = chunk.get("finish_reason") if chunk.get("is_finished") else None
    usage = chunk.get("usage")
    if not delta and not finish_reason and not usage:
        return None
    made: Json = {"choices": []}
    if delta or finish_reason:
        made["choices"] = [
            _choice({"index": chunk.get("index") or 0, "delta": delta, "finish_reason": finish_reason})
        ]
    if usage:
        made["usage"] = public_usage(dict(usage))
    return made


def public_usage(usage: Json) -> Json:
    """OpenAI's usage fields first; what a provider adds in numbers stays, LiteLLM's empty fields go."""
    return {
        name: public_usage(value) if isinstance(value, dict) else value
        for name, value in usage.items()
        if value is not None and not name.startswith("_")
    }


def is_private(name: str) -> bool:
    """Whether a field is LiteLLM's own and no one else's business."""
    return name in _PRIVATE or name.startswith("_")
