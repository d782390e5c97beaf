"""Anthropic's Messages format as a recording upstream: `POST /v1/messages`, `GET /v1/models`.

Formats after Anthropic's API reference. `Message` also serves Claude on Vertex AI, at other addresses.
"""

import orjson

from shared import Json
from tests.upstreams.behaviours import Behaviour, Frame, Reply, StreamReply, frame
from tests.upstreams.samples import TEXT, sample, sample_text, token_count, words
from tests.upstreams.server import Received, Upstream

HEADERS = {
    "request-id": "req_upstream",
    "anthropic-organization-id": "org-upstream",
    "set-cookie": "__cf_bm=upstream; path=/; HttpOnly",
    "anthropic-ratelimit-requests-remaining": "999",
}
SIGNATURE = "c2lnbmF0dXJl"


def anthropic_error(status: int, kind: str, message: str, headers: dict[str, str] | None = None) -> Reply:
    """An error as Anthropic words it (`invalid_request_error`, `rate_limit_error`, `overloaded_error`, …)."""
    body = {"type": "error", "error": {"type": kind, "message": message}, "request_id": "req_upstream"}
    return Reply(body, status=status, headers={**HEADERS, **(headers or {})})


class AnthropicUpstream(Upstream):
    """Answers as Anthropic does. `thinking` is what it thinks first, where the request asks for that."""

    def __init__(self, *, text: str = TEXT, thinking: str = "Let me think.") -> None:
        super().__init__()
        self.text = text
        self.thinking = thinking

    def answer(self, request: Received) -> Behaviour:
        if not request.headers.get("x-api-key"):
            return anthropic_error(401, "authentication_error", "x-api-key header is required")
        if not request.headers.get("anthropic-version"):
            return anthropic_error(400, "invalid_request_error", "anthropic-version: header is required")
        if request.path == "/v1/models" and request.method == "GET":
            return Reply({"data": [], "has_more": False, "first_id": None, "last_id": None}, headers=HEADERS)
        if request.path != "/v1/messages" or request.method != "POST":
            return anthropic_error(404, "not_found_error", "Not found")
        body = request.body
        if "max_tokens" not in body:
            return anthropic_error(400, "invalid_request_error", "max_tokens: Field required")
        return message_reply(Message(body, body["model"], self.text, self.thinking), HEADERS)


def message_reply(message: "Message", headers: dict[str, str]) -> Behaviour:
    if message.body.get("stream"):
        return StreamReply(message.frames(), headers=headers)
    return Reply(message.plain(), headers=headers)


class Message:
    """One answer, plain or in frames."""

    def __init__(self, body: Json, model: str, text: str, thinking: str) -> None:
        self.body = body
        self.model = model
        self.blocks: list[Json] = []
        if thinking and (body.get("thinking") or {}).get("type") in ("enabled", "adaptive"):
            self.blocks.append({"type": "thinking", "thinking": thinking, "signature": SIGNATURE})
        tools = self._called()
        if tools:
            self.blocks += [
                {"type": "tool_use", "id": f"toolu_{position}", "name": tool["name"], "input": value}
                for position, (tool, value) in enumerate(tools)
            ]
        else:
            self.blocks.append({"type": "text", "text": self._text(text)})
        self.stop_reason = "tool_use" if tools else "end_turn"

    def _called(self) -> list[tuple[Json, Json]]:
        last = self.body["messages"][-1]["content"]
        answered = isinstance(last, list) and any(part.get("type") == "tool_result" for part in last)
        choice = self.body.get("tool_choice") or {"type": "auto"}
        if answered or choice["type"] == "none":
            return []
        tools = [tool for tool in self.body.get("tools") or () if "input_schema" in tool]
        if choice["type"] == "tool":
            tools = [tool for tool in tools if tool["name"] == choice["name"]]
        return [(tool, sample(tool["input_schema"])) for tool in tools]

    def _text(self, text: str) -> str:
        shape = self.body.get("output_format") or (self.body.get("output_config") or {}).get("format")
        return sample_text(shape["schema"]) if shape else text

    def usage(self) -> Json:
        return {
            "input_tokens": token_count(self.body["messages"]),
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": 0,
            "output_tokens": token_count(self.blocks),
        }

    def plain(self) -> Json:
        return {
            "id": "msg_upstream0001",
            "type": "message",
            "role": "assistant",
            "model": self.model,
            "content": self.blocks,
            "stop_reason": self.stop_reason,
            "stop_sequence": None,
            "usage": self.usage(),
        }

    def frames(self) -> list[Frame]:
        opening = {**self.plain(), "content": [], "stop_reason": None}
        opening["usage"] = {**self.usage(), "output_tokens": 1}
        events: list[Json] = [{"type": "message_start", "message": opening}, {"type": "ping"}]
        for index, block in enumerate(self.blocks):
            start, deltas = _pieces(block)
            events.append({"type": "content_block_start", "index": index, "content_block": start})
            events += [{"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas]
            events.append({"type": "content_block_stop", "index": index})
        events.append(
            {
                "type": "message_delta",
                "delta": {"stop_reason": self.stop_reason, "stop_sequence": None},
                "usage": {"output_tokens": self.usage()["output_tokens"]},
            }
        )
        events.append({"type": "message_stop"})
        return [frame(event, event["type"]) for event in events]


def _pieces(block: Json) -> tuple[Json, list[Json]]:
    """(how the block begins, its deltas)."""
    if block["type"] == "text":
        return {"type": "text", "text": ""}, [
            {"type": "text_delta", "text": piece} for piece in words(block["text"])
        ]
    if block["type"] == "thinking":
        deltas: list[Json] = [
            {"type": "thinking_delta", "thinking": piece} for piece in words(block["thinking"])
        ]
        deltas.append({"type": "signature_delta", "signature": block["signature"]})
        return {"type": "thinking", "thinking": "", "signature": ""}, deltas
    text = orjson.dumps(block["input"]).decode()
    return {**block, "input": {}}, [
        {"type": "input_json_delta", "partial_json": text[start : start + 4]}
        for start in range(0, len(text), 4)
    ]
