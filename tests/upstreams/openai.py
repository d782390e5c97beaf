"""OpenAI's wire format, and Azure's flavour of it, as a recording upstream.

Addresses: `/v1/…` (OpenAI and servers like it), `/openai/deployments/{deployment}/…?api-version=` and
`/openai/v1/…` (Azure OpenAI, Foundry). Formats after OpenAI's and Azure OpenAI's API references.
"""

import re
from collections.abc import Sequence
from typing import Literal

from shared import Json
from tests.upstreams.audio import audio_answer
from tests.upstreams.behaviours import DONE, Behaviour, Frame, Reply, StreamReply, frame
from tests.upstreams.pictures import PATHS as PICTURES
from tests.upstreams.pictures import openai_images
from tests.upstreams.samples import TEXT, offered_tools, sample_text, token_count, words
from tests.upstreams.server import Received, Upstream
from tests.upstreams.vectors import openai_embeddings, openai_moderations

CREATED = 1_760_000_000
FINGERPRINT = "fp_upstream"
PATHS = re.compile(
    r"^(?:/openai/deployments/(?P<deployment>[^/]+)|/openai/v1|(?:/[\w.-]+)*?/v1)/(?P<operation>.+)$"
)
DATED_LISTING = re.compile(r"^/openai/(?P<deployment>)(?P<operation>models)$")
SAFE = {name: {"filtered": False, "severity": "safe"} for name in ("hate", "self_harm", "sexual", "violence")}
HEADERS = {
    "x-request-id": "req_upstream",
    "openai-organization": "org-upstream",
    "openai-processing-ms": "12",
    "set-cookie": "__cf_bm=upstream; path=/; HttpOnly",
    "x-ratelimit-limit-requests": "5000",
    "x-ratelimit-remaining-requests": "4999",
}


def openai_error(
    status: int,
    message: str,
    *,
    type: str = "invalid_request_error",
    code: str | None = None,
    param: str | None = None,
    headers: dict[str, str] | None = None,
) -> Reply:
    """An error as OpenAI words it."""
    error = {"message": message, "type": type, "param": param, "code": code}
    return Reply({"error": error}, status=status, headers={**HEADERS, **(headers or {})})


class OpenAIUpstream(Upstream):
    """Answers as OpenAI does on `/v1/…`, and as Azure OpenAI does on `/openai/…`.

    `text` is what the model says. `reasoning`, if set, is sent as `reasoning_content`, as vLLM and
    DeepSeek do. Requests without a credential are refused unless `require_key` is false.
    """

    def __init__(
        self,
        *,
        text: str = TEXT,
        reasoning: str = "",
        require_key: bool = True,
        models: tuple[str, ...] = ("gpt-4o",),
    ) -> None:
        super().__init__()
        self.text = text
        self.reasoning = reasoning
        self.require_key = require_key
        self.models = models

    def answer(self, request: Received) -> Behaviour:
        found = PATHS.match(request.path) or DATED_LISTING.match(request.path)
        if found is None:
            return openai_error(404, f"Invalid URL ({request.method} {request.path})")
        azure = request.path.startswith("/openai/")
        credential = request.headers.get("api-key") if azure else None
        credential = credential or request.headers.get("authorization", "").removeprefix("Bearer ")
        if self.require_key and not credential:
            return openai_error(401, "You didn't provide an API key.", code="invalid_api_key")
        if found["deployment"] and not request.query.get("api-version"):
            return openai_error(404, "Resource not found", code="404")
        if found["operation"] == "models" and request.method == "GET":
            data = [
                {"id": name, "object": "model", "created": CREATED, "owned_by": "system"}
                for name in self.models
            ]
            return Reply({"object": "list", "data": data}, headers=HEADERS)
        if request.method == "POST" and found["operation"] == "embeddings":
            model = found["deployment"] or request.body.get("model", "")
            return Reply(openai_embeddings(request.body, model), headers=HEADERS)
        if request.method == "POST" and found["operation"] == "moderations" and not azure:
            return Reply(openai_moderations(request.body), headers=HEADERS)
        if request.method == "POST" and found["operation"] in PICTURES:
            return openai_images(request, found["operation"], CREATED, HEADERS)
        if request.method == "POST" and found["operation"].startswith("audio/"):
            sound = audio_answer(request, found["operation"], HEADERS)
            if sound is not None:
                return sound
        if request.method != "POST" or found["operation"] not in ("chat/completions", "completions"):
            return openai_error(404, f"Invalid URL ({request.method} {request.path})")
        return self._complete(request.body, found["operation"], found["deployment"], azure)

    def _complete(self, body: Json, operation: str, deployment: str | None, azure: bool) -> Behaviour:
        if body.get("stream_options") and not body.get("stream"):
            return openai_error(
                400,
                "The 'stream_options' parameter is only allowed when 'stream' is enabled.",
                param="stream_options",
            )
        model = f"{deployment or body.get('model', '')}-2026-01-01"
        style: Literal["chat", "text"] = "chat" if operation == "chat/completions" else "text"
        completion = Completion(body, model, style, self.text, self.reasoning, azure)
        if body.get("stream"):
            return StreamReply(completion.frames(), headers=HEADERS)
        return Reply(completion.plain(), headers=HEADERS)


class Completion:
    """One answer to one request, plain or in frames: the same content, usage and finish reasons."""

    def __init__(
        self, body: Json, model: str, style: Literal["chat", "text"], text: str, reasoning: str, azure: bool
    ) -> None:
        self.body = body
        self.model = model
        self.chat = style == "chat"
        self.reasoning = reasoning
        self.azure = azure
        self.id = "chatcmpl-upstream0001" if self.chat else "cmpl-upstream0001"
        self.count = body.get("n") or 1
        self.tools = offered_tools(body) if self.chat else []
        shape = body.get("response_format") or {}
        self.text = text
        if shape.get("type") == "json_schema":
            self.text = sample_text(shape["json_schema"]["schema"])
        elif shape.get("type") == "json_object":
            self.text = '{"answer":"yes"}'
        asked = body.get("logprobs")
        self.logprobs = asked is not None and asked is not False
        self.finish_reason = "tool_calls" if self.tools else "stop"

    def usage(self) -> Json:
        prompt = token_count(self.body.get("messages") or self.body.get("prompt"))
        completion = self.count * len(words(self.text))
        reasoning = len(words(self.reasoning))
        return {
            "prompt_tokens": prompt,
            "completion_tokens": completion + reasoning,
            "total_tokens": prompt + completion + reasoning,
            "prompt_tokens_details": {"cached_tokens": 2, "audio_tokens": 0},
            "completion_tokens_details": {"reasoning_tokens": reasoning, "audio_tokens": 0},
        }

    def plain(self) -> Json:
        answer: Json = {
            "id": self.id,
            "object": "chat.completion" if self.chat else "text_completion",
            "created": CREATED,
            "model": self.model,
            "choices": [self._choice(index) for index in range(self.count)],
            "usage": self.usage(),
            "system_fingerprint": FINGERPRINT,
        }
        if self.azure:
            answer["prompt_filter_results"] = [{"prompt_index": 0, "content_filter_results": SAFE}]
        return answer

    def frames(self) -> list[Frame]:
        chunks: list[Json] = []
        for index in range(self.count):
            chunks += self._chunks(index)
        reported = (self.body.get("stream_options") or {}).get("include_usage")
        if reported:
            chunks = [{**chunk, "usage": None} for chunk in chunks]
            chunks.append(self._chunk([]) | {"usage": self.usage()})
        if self.azure:
            chunks.insert(
                0,
                {
                    "choices": [],
                    "created": 0,
                    "id": "",
                    "model": "",
                    "object": "",
                    "prompt_filter_results": [{"prompt_index": 0, "content_filter_results": SAFE}],
                },
            )
        return [*(frame(chunk) for chunk in chunks), DONE]

    def _choice(self, index: int) -> Json:
        choice: Json = {"index": index, "logprobs": None, "finish_reason": self.finish_reason}
        if self.chat:
            message: Json = {
                "role": "assistant",
                "content": None if self.tools else self.text,
                "refusal": None,
                "annotations": [],
            }
            if self.reasoning:
                message["reasoning_content"] = self.reasoning
            if self.tools:
                message["tool_calls"] = [
                    {
                        "id": f"call_{position}",
                        "type": "function",
                        "function": {"name": name, "arguments": text},
                    }
                    for position, (name, text) in enumerate(self._arguments())
                ]
            choice["message"] = message
        else:
            choice["text"] = self.text
        if self.logprobs and not self.tools:
            choice["logprobs"] = self._logprobs(words(self.text))
        if self.azure:
            choice["content_filter_results"] = SAFE
        return choice

    def _arguments(self) -> list[tuple[str, str]]:
        return [(name, sample_text(schema)) for name, schema in self.tools]

    def _logprobs(self, pieces: list[str]) -> Json:
        if not self.chat:
            return {
                "tokens": pieces,
                "token_logprobs": [-0.25] * len(pieces),
                "top_logprobs": [{piece: -0.25} for piece in pieces],
                "text_offset": list(range(len(pieces))),
            }
        top = self.body.get("top_logprobs") or 0
        content = []
        for piece in pieces:
            entry: Json = {"token": piece, "logprob": -0.25, "bytes": list(piece.encode())}
            content.append({**entry, "top_logprobs": [entry] * top})
        return {"content": content, "refusal": None}

    def _chunk(self, choices: list[Json]) -> Json:
        return {
            "id": self.id,
            "object": "chat.completion.chunk" if self.chat else "text_completion",
            "created": CREATED,
            "model": self.model,
            "service_tier": "default",
            "system_fingerprint": FINGERPRINT,
            "choices": choices,
        }

    def _chunks(self, index: int) -> list[Json]:
        def chunk(delta: Json, *, finish: str | None = None, pieces: list[str] | None = None) -> Json:
            logprobs = self._logprobs(pieces) if pieces and self.logprobs else None
            choice: Json = {"index": index, "logprobs": logprobs, "finish_reason": finish}
            if self.chat:
                choice["delta"] = delta
            else:
                choice["text"] = delta.get("content", "")
            if self.azure and not finish:
                choice["content_filter_results"] = SAFE
            return self._chunk([choice])

        parts: list[Json] = []
        if self.chat:
            first = None if self.tools else ""
            parts.append(chunk({"role": "assistant", "content": first, "refusal": None}))
        parts += [chunk({"reasoning_content": piece}) for piece in words(self.reasoning)]
        if self.tools:
            for position, (name, text) in enumerate(self._arguments()):
                parts += [chunk({"tool_calls": [delta]}) for delta in tool_deltas(position, name, text)]
        else:
            parts += [chunk({"content": piece}, pieces=[piece]) for piece in words(self.text)]
        parts.append(chunk({}, finish=self.finish_reason))
        return parts


def tool_deltas(position: int, name: str, arguments: str) -> list[Json]:
    """A streamed tool call: id and name first, then its arguments in pieces."""
    opening: Json = {
        "index": position,
        "id": f"call_{position}",
        "type": "function",
        "function": {"name": name, "arguments": ""},
    }
    pieces = [arguments[start : start + 4] for start in range(0, len(arguments), 4)]
    return [opening, *({"index": position, "function": {"arguments": piece}} for piece in pieces)]


def without_finish_reason(frames: Sequence[Frame]) -> list[Frame]:
    """The stream without the chunks that say why it ended, and without `[DONE]`."""
    kept = []
    for item in frames:
        if item == DONE:
            continue
        choices = item.json().get("choices") or []
        if not any(choice.get("finish_reason") for choice in choices):
            kept.append(item)
    return kept
