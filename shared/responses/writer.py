"""Writes a response as OpenAI tells it: the typed events of a stream, and the whole (API reference, Responses)."""

import uuid
from dataclasses import dataclass, field
from typing import Any, Literal

from shared import Json

Ending = Literal["completed", "incomplete"]


def new_id(prefix: str) -> str:
    return prefix + uuid.uuid4().hex


def response_head(body: Json, id: str, model: str, created: int) -> Json:
    """The fields of a response that do not depend on its answer. `body` is the request's, `created` in seconds."""
    reasoning = body.get("reasoning")
    text = body.get("text")
    return {
        "id": id,
        "object": "response",
        "created_at": created,
        "status": "in_progress",
        "background": False,
        "error": None,
        "incomplete_details": None,
        "instructions": body.get("instructions"),
        "max_output_tokens": body.get("max_output_tokens"),
        "max_tool_calls": body.get("max_tool_calls"),
        "model": model,
        "output": [],
        "parallel_tool_calls": _or(body.get("parallel_tool_calls"), True),
        "previous_response_id": body.get("previous_response_id"),
        "reasoning": {"effort": None, "summary": None, **(reasoning if isinstance(reasoning, dict) else {})},
        "service_tier": "default",
        "store": _or(body.get("store"), True),
        "temperature": _or(body.get("temperature"), 1.0),
        "text": {"format": {"type": "text"}, **(text if isinstance(text, dict) else {})},
        "tool_choice": _or(body.get("tool_choice"), "auto"),
        "tools": _or(body.get("tools"), []),
        "top_logprobs": _or(body.get("top_logprobs"), 0),
        "top_p": _or(body.get("top_p"), 1.0),
        "truncation": _or(body.get("truncation"), "disabled"),
        "usage": None,
        "user": body.get("user"),
        "metadata": _or(body.get("metadata"), {}),
    }


def _or(value: Any, default: Any) -> Any:
    return default if value is None else value


@dataclass(slots=True)
class _Item:
    """An item of the output while it grows; `part` is `text`, `refusal`, `summary` or `arguments`."""

    index: int
    content: Json
    part: str
    pieces: list[str] = field(default_factory=list)
    logprobs: list[Any] = field(default_factory=list)

    @property
    def where(self) -> Json:
        at: Json = {"item_id": self.content["id"], "output_index": self.index}
        if self.part == "summary":
            at["summary_index"] = 0
        elif self.part != "arguments":
            at["content_index"] = 0
        return at

    @property
    def text(self) -> str:
        return "".join(self.pieces)

    def part_object(self, text: str) -> Json:
        if self.part == "summary":
            return {"type": "summary_text", "text": text}
        if self.part == "refusal":
            return {"type": "refusal", "refusal": text}
        return {"type": "output_text", "text": text, "annotations": [], "logprobs": list(self.logprobs)}


_DELTAS = {
    "text": "response.output_text",
    "refusal": "response.refusal",
    "summary": "response.reasoning_summary_text",
    "arguments": "response.function_call_arguments",
}
_PARTS = {
    "text": "response.content_part",
    "refusal": "response.content_part",
    "summary": "response.reasoning_summary_part",
}


class ResponseWriter:
    """Grows one response. Each call gives the events that tell what it did; `response` is the whole so far.

    Texts close what was open before them. Calls of tools stay open until the end: a model may write several at once.
    """

    def __init__(self, head: Json) -> None:
        self.response: Json = {**head, "output": []}
        self._number = 0
        self._open: _Item | None = None
        self._calls: dict[object, _Item] = {}

    def begin(self) -> list[Json]:
        return [
            self._event("response.created", response={**self.response, "output": []}),
            self._event("response.in_progress", response={**self.response, "output": []}),
        ]

    def text(self, delta: str, logprobs: list[Any] | None = None) -> list[Json]:
        item, events = self._opened("text")
        item.logprobs += logprobs or []
        return [*events, self._delta(item, delta, logprobs=logprobs or [])]

    def refusal(self, delta: str) -> list[Json]:
        item, events = self._opened("refusal")
        return [*events, self._delta(item, delta)]

    def reasoning(self, delta: str) -> list[Json]:
        """A piece of what the model thought, as a summary."""
        item, events = self._opened("summary")
        return [*events, self._delta(item, delta)]

    def call(self, key: object, name: str, call_id: str) -> list[Json]:
        """Begins a call of a function; `key` names it in `arguments`."""
        events = self._closed()
        item = _Item(
            len(self.response["output"]),
            {
                "id": new_id("fc_"),
                "type": "function_call",
                "status": "in_progress",
                "call_id": call_id,
                "name": name,
                "arguments": "",
            },
            "arguments",
        )
        self._calls[key] = item
        return [*events, self._added(item)]

    def has_call(self, key: object) -> bool:
        return key in self._calls

    def arguments(self, key: object, delta: str) -> list[Json]:
        return [self._delta(self._calls[key], delta)]

    def end(self, status: Ending, usage: Json | None, reason: str | None = None) -> list[Json]:
        """Closes everything. `reason` is why it is incomplete, `usage` in the words of Responses."""
        events = self._closed(status)
        for item in self._calls.values():
            events += self._done(item, status)
        self.response["status"] = status
        self.response["usage"] = usage
        if reason is not None:
            self.response["incomplete_details"] = {"reason": reason}
        return [*events, self._event(f"response.{status}", response=self.response)]

    def _opened(self, part: str) -> tuple[_Item, list[Json]]:
        """The item that takes a piece of this kind, and the events that opened it."""
        if self._open is not None and self._open.part == part:
            return self._open, []
        events = self._closed()
        content: Json = {"id": new_id("rs_"), "type": "reasoning", "summary": []}
        if part != "summary":
            content = {
                "id": new_id("msg_"),
                "type": "message",
                "status": "in_progress",
                "role": "assistant",
                "content": [],
            }
        self._open = item = _Item(len(self.response["output"]), content, part)
        events.append(self._added(item))
        events.append(self._event(f"{_PARTS[part]}.added", **item.where, part=item.part_object("")))
        return item, events

    def _added(self, item: _Item) -> Json:
        self.response["output"].append(item.content)
        return self._event("response.output_item.added", output_index=item.index, item=dict(item.content))

    def _delta(self, item: _Item, delta: str, **more: Any) -> Json:
        item.pieces.append(delta)
        return self._event(f"{_DELTAS[item.part]}.delta", **item.where, delta=delta, **more)

    def _closed(self, status: Ending = "completed") -> list[Json]:
        item, self._open = self._open, None
        return self._done(item, status) if item is not None else []

    def _done(self, item: _Item, status: Ending) -> list[Json]:
        text = item.text
        field = "arguments" if item.part == "arguments" else "refusal" if item.part == "refusal" else "text"
        more: Json = {"logprobs": item.logprobs} if item.part == "text" else {}
        if item.part == "arguments":
            more["name"] = item.content["name"]
        events = [self._event(f"{_DELTAS[item.part]}.done", **item.where, **{field: text}, **more)]
        if item.part == "arguments":
            item.content["arguments"] = text
        else:
            part = item.part_object(text)
            item.content["summary" if item.part == "summary" else "content"] = [part]
            events.append(self._event(f"{_PARTS[item.part]}.done", **item.where, part=part))
        if "status" in item.content:
            item.content["status"] = status
        done = self._event("response.output_item.done", output_index=item.index, item=dict(item.content))
        return [*events, done]

    def _event(self, type: str, **fields: Any) -> Json:
        event = {"type": type, "sequence_number": self._number, **fields}
        self._number += 1
        return event
