"""A chat's answer as a response: whole, or chunk by chunk as typed events."""

from typing import Any

from shared import Json
from shared.responses.writer import Ending, ResponseWriter, new_id

_REASONS = {"length": "max_output_tokens", "content_filter": "content_filter"}
"""Finish reasons of a chat that mean that a response is incomplete, and its word for them."""


class Bridge:
    """Tells one chat completion as a response. Only its first choice is looked at: a response has but one."""

    def __init__(self, head: Json) -> None:
        self._writer = ResponseWriter(head)
        self._usage: Json | None = None
        self._finish_reason: str | None = None

    @property
    def response(self) -> Json:
        return self._writer.response

    @property
    def finished(self) -> bool:
        return self._finish_reason is not None

    def begin(self) -> list[Json]:
        return self._writer.begin()

    def chunk(self, chunk: Json) -> list[Json]:
        """The events that tell one chunk of a chat's stream."""
        self._note_usage(chunk)
        events: list[Json] = []
        for choice in _choices(chunk):
            delta = choice.get("delta")
            if isinstance(delta, dict):
                events += self._said(delta, choice.get("logprobs"))
            self._note_finish(choice)
        return events

    def whole(self, content: Json) -> Json:
        """The response that tells a whole chat completion."""
        self._note_usage(content)
        for choice in _choices(content):
            message = choice.get("message")
            if isinstance(message, dict):
                self._said(message, choice.get("logprobs"))
            self._note_finish(choice)
        self.end()
        return self.response

    def end(self) -> list[Json]:
        reason = _REASONS.get(self._finish_reason or "")
        status: Ending = "incomplete" if reason else "completed"
        return self._writer.end(status, responses_usage(self._usage), reason)

    def _said(self, message: Json, logprobs: Any) -> list[Json]:
        writer = self._writer
        events: list[Json] = []
        thought = message.get("reasoning_content") or message.get("reasoning")
        if isinstance(thought, str) and thought:
            events += writer.reasoning(thought)
        text = message.get("content")
        if isinstance(text, str) and text:
            tokens = logprobs.get("content") if isinstance(logprobs, dict) else None
            events += writer.text(text, tokens or [])
        refusal = message.get("refusal")
        if isinstance(refusal, str) and refusal:
            events += writer.refusal(refusal)
        calls = message.get("tool_calls")
        for position, call in enumerate(calls if isinstance(calls, list) else ()):
            if isinstance(call, dict):
                events += self._called(call, position)
        return events

    def _called(self, call: Json, position: int) -> list[Json]:
        key = call.get("index")
        key = key if isinstance(key, int) else position
        function = call.get("function")
        function = function if isinstance(function, dict) else {}
        events: list[Json] = []
        if not self._writer.has_call(key):
            id = call.get("id")
            events += self._writer.call(
                key, str(function.get("name") or ""), id if isinstance(id, str) and id else new_id("call_")
            )
        arguments = function.get("arguments")
        if isinstance(arguments, str) and arguments:
            events += self._writer.arguments(key, arguments)
        return events

    def _note_usage(self, content: Json) -> None:
        usage = content.get("usage")
        if isinstance(usage, dict):
            self._usage = usage

    def _note_finish(self, choice: Json) -> None:
        reason = choice.get("finish_reason")
        if isinstance(reason, str):
            self._finish_reason = reason


def responses_usage(usage: Json | None) -> Json | None:
    """A chat's `usage` in the words of Responses."""
    if usage is None:
        return None
    prompt, completion = usage.get("prompt_tokens") or 0, usage.get("completion_tokens") or 0
    return {
        "input_tokens": prompt,
        "input_tokens_details": {"cached_tokens": _detail(usage, "prompt_tokens_details", "cached_tokens")},
        "output_tokens": completion,
        "output_tokens_details": {
            "reasoning_tokens": _detail(usage, "completion_tokens_details", "reasoning_tokens")
        },
        "total_tokens": usage.get("total_tokens") or prompt + completion,
    }


def _detail(usage: Json, group: str, name: str) -> int:
    details = usage.get(group)
    value = details.get(name) if isinstance(details, dict) else None
    return value if isinstance(value, int) else 0


def _choices(content: Json) -> list[Json]:
    choices = content.get("choices")
    if not isinstance(choices, list):
        return []
    return [choice for choice in choices[:1] if isinstance(choice, dict) and not choice.get("index")]
