"""OpenAI's Responses as a recording upstream: plain, in typed events, and the stored ones afterwards.

Addresses: `/v1/responses…` (OpenAI and servers like it), `/openai/responses…?api-version=` (Azure, dated) and
`/openai/v1/responses…` (Azure, v1). Every other address is `OpenAIUpstream`'s. Formats after OpenAI's API reference.
"""

import itertools
import re
from collections.abc import Sequence
from typing import Any

from shared import Json
from tests.upstreams.behaviours import Behaviour, Frame, Reply, StreamReply, frame
from tests.upstreams.openai import CREATED, HEADERS, OpenAIUpstream, openai_error
from tests.upstreams.samples import sample_text, token_count, words
from tests.upstreams.server import Received

PATHS = re.compile(
    r"^(?P<base>/openai/v1|/openai|(?:/[\w.-]+)*?/v1)/responses(?:/(?P<id>[^/]+)(?:/(?P<action>[a-z_]+))?)?$"
)


class ResponsesUpstream(OpenAIUpstream):
    """`kept` are the stored responses by id; `text`, `reasoning` and `require_key` are those of `OpenAIUpstream`."""

    def __init__(self, **fields: Any) -> None:
        super().__init__(**fields)
        self.kept: dict[str, Json] = {}
        self.inputs: dict[str, list[Json]] = {}
        self._numbers = itertools.count(1)

    def answer(self, request: Received) -> Behaviour:
        found = PATHS.match(request.path)
        if found is None:
            return super().answer(request)
        azure = found["base"].startswith("/openai")
        credential = request.headers.get("api-key") if azure else None
        credential = credential or request.headers.get("authorization", "").removeprefix("Bearer ")
        if self.require_key and not credential:
            return openai_error(401, "You didn't provide an API key.", code="invalid_api_key")
        if found["base"] == "/openai" and not request.query.get("api-version"):
            return openai_error(404, "Resource not found", code="404")
        if found["id"] is None:
            return self._create(request.body) if request.method == "POST" else openai_error(405, "No.")
        return self._about(request, found["id"], found["action"])

    def _create(self, body: Json) -> Behaviour:
        previous = body.get("previous_response_id")
        if previous is not None and previous not in self.kept:
            return openai_error(
                400,
                f"Previous response with id '{previous}' not found.",
                code="previous_response_not_found",
                param="previous_response_id",
            )
        id = f"resp_upstream{next(self._numbers):04d}"
        made = MadeResponse(id, body, self.text, self.reasoning)
        if body.get("store") is not False:
            self.kept[id] = made.whole()
            items = body.get("input") or []
            self.inputs[id] = (
                [{"id": f"msg_in_{id}", **message("user", items)}] if isinstance(items, str) else items
            )
        if body.get("stream"):
            return StreamReply(made.frames(), headers=HEADERS)
        return Reply(made.whole(), headers=HEADERS)

    def _about(self, request: Received, id: str, action: str | None) -> Behaviour:
        response = self.kept.get(id)
        if response is None:
            return openai_error(404, f"Response with id '{id}' not found.")
        if request.method == "DELETE" and action is None:
            del self.kept[id]
            return Reply({"id": id, "object": "response", "deleted": True}, headers=HEADERS)
        if request.method == "POST" and action == "cancel":
            response["status"] = "cancelled"
            return Reply(response, headers=HEADERS)
        if request.method == "GET" and action == "input_items":
            items = self.inputs[id]
            ids = [item.get("id") for item in items] or [None]
            return Reply(
                {
                    "object": "list",
                    "data": items,
                    "first_id": ids[0],
                    "last_id": ids[-1],
                    "has_more": False,
                },
                headers=HEADERS,
            )
        if request.method == "GET" and action is None:
            if request.query.get("stream") == "true":
                after = int(request.query.get("starting_after", -1))
                return StreamReply(events(response)[after + 1 :], headers=HEADERS)
            return Reply(response, headers=HEADERS)
        return openai_error(405, "No.")


class MadeResponse:
    """One answer to one request: the same content plain and in events."""

    def __init__(self, id: str, body: Json, text: str, reasoning: str) -> None:
        self.id = id
        self.body = body
        shape = (body.get("text") or {}).get("format") or {}
        self.text = sample_text(shape["schema"]) if shape.get("type") == "json_schema" else text
        self.reasoning = reasoning
        items = body.get("input")
        answered = isinstance(items, list) and bool(items) and items[-1].get("type") == "function_call_output"
        offered = [tool for tool in body.get("tools") or () if tool["type"] == "function"]
        self.tools = [] if answered or body.get("tool_choice") == "none" else offered

    def whole(self) -> Json:
        prompt, completion = token_count(self.body.get("input")), len(words(self.text))
        return {
            "id": self.id,
            "object": "response",
            "created_at": CREATED,
            "status": "completed",
            "background": False,
            "error": None,
            "incomplete_details": None,
            "instructions": self.body.get("instructions"),
            "max_output_tokens": self.body.get("max_output_tokens"),
            "model": f"{self.body.get('model', '')}-2026-01-01",
            "output": self.output(),
            "parallel_tool_calls": True,
            "previous_response_id": self.body.get("previous_response_id"),
            "reasoning": {"effort": None, "summary": None},
            "store": self.body.get("store", True),
            "temperature": self.body.get("temperature", 1.0),
            "text": self.body.get("text") or {"format": {"type": "text"}},
            "tool_choice": self.body.get("tool_choice", "auto"),
            "tools": self.body.get("tools") or [],
            "top_p": 1.0,
            "truncation": "disabled",
            "usage": {
                "input_tokens": prompt,
                "input_tokens_details": {"cached_tokens": 2},
                "output_tokens": completion,
                "output_tokens_details": {"reasoning_tokens": len(words(self.reasoning))},
                "total_tokens": prompt + completion,
            },
            "user": None,
            "metadata": self.body.get("metadata") or {},
        }

    def output(self) -> list[Json]:
        items: list[Json] = []
        if self.reasoning:
            summary = [{"type": "summary_text", "text": self.reasoning}]
            items.append({"id": f"rs_{self.id}", "type": "reasoning", "summary": summary})
        for position, tool in enumerate(self.tools):
            items.append(
                {
                    "id": f"fc_{position}_{self.id}",
                    "type": "function_call",
                    "status": "completed",
                    "call_id": f"call_{position}",
                    "name": tool["name"],
                    "arguments": sample_text(tool.get("parameters") or {}),
                }
            )
        if not self.tools:
            part = {"type": "output_text", "text": self.text, "annotations": [], "logprobs": []}
            items.append(
                {
                    "id": f"msg_{self.id}",
                    "type": "message",
                    "status": "completed",
                    "role": "assistant",
                    "content": [part],
                }
            )
        return items

    def frames(self) -> list[Frame]:
        return events(self.whole())


def events(whole: Json) -> list[Frame]:
    """The stream that tells a whole response."""
    begun = {**whole, "status": "in_progress", "output": [], "usage": None}
    made: list[Json] = [
        {"type": "response.created", "response": begun},
        {"type": "response.in_progress", "response": begun},
    ]
    for index, item in enumerate(whole["output"]):
        made += _item_events(index, item)
    made.append({"type": f"response.{whole['status']}", "response": whole})
    return [frame({**event, "sequence_number": number}, event["type"]) for number, event in enumerate(made)]


def _item_events(index: int, item: Json) -> list[Json]:
    where: Json = {"output_index": index, "item_id": item["id"]}
    if item["type"] == "function_call":
        pieces = [item["arguments"][at : at + 4] for at in range(0, len(item["arguments"]), 4)]
        empty = {**item, "arguments": "", "status": "in_progress"}
        inner: list[Json] = [
            {"type": "response.function_call_arguments.delta", **where, "delta": piece} for piece in pieces
        ]
        inner.append(
            {"type": "response.function_call_arguments.done", **where, "arguments": item["arguments"]}
        )
    elif item["type"] == "reasoning":
        empty = {**item, "summary": []}
        [part] = item["summary"]
        at = {**where, "summary_index": 0}
        inner = [
            {"type": "response.reasoning_summary_part.added", **at, "part": {**part, "text": ""}},
            *(
                {"type": "response.reasoning_summary_text.delta", **at, "delta": piece}
                for piece in words(part["text"])
            ),
            {"type": "response.reasoning_summary_text.done", **at, "text": part["text"]},
            {"type": "response.reasoning_summary_part.done", **at, "part": part},
        ]
    else:
        empty = {**item, "content": [], "status": "in_progress"}
        [part] = item["content"]
        at = {**where, "content_index": 0}
        inner = [
            {"type": "response.content_part.added", **at, "part": {**part, "text": ""}},
            *(
                {"type": "response.output_text.delta", **at, "delta": piece, "logprobs": []}
                for piece in words(part["text"])
            ),
            {"type": "response.output_text.done", **at, "text": part["text"], "logprobs": []},
            {"type": "response.content_part.done", **at, "part": part},
        ]
    return [
        {"type": "response.output_item.added", "output_index": index, "item": empty},
        *inner,
        {"type": "response.output_item.done", "output_index": index, "item": item},
    ]


def message(role: str, text: str) -> Json:
    return {"type": "message", "role": role, "content": [{"type": "input_text", "text": text}]}


def failed(frames: Sequence[Frame], code: str = "server_error", after: int = 2) -> list[Frame]:
    """The first `after` events, then `response.failed`."""
    first = frames[0].json()["response"]
    error = {"code": code, "message": "The model broke."}
    response = {**first, "status": "failed", "error": error}
    event = {"type": "response.failed", "sequence_number": after, "response": response}
    return [*frames[:after], frame(event, "response.failed")]
