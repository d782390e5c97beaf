"""Google's formats as a recording upstream: Gemini (AI Studio and Vertex AI) and Vertex AI's partner models.

Addresses: `/v1beta/models/…:generateContent` by API key; below `/v1/projects/{project}/locations/{location}/`
by bearer token: `publishers/google/…:generateContent`, `publishers/anthropic/…:rawPredict` (Anthropic's
format), `publishers/mistralai/…:rawPredict`, `publishers/ai21/…:rawPredict`,
`endpoints/openapi/chat/completions` (OpenAI's format). Formats after Google's API references.
"""

import re
from collections.abc import Sequence

from shared import Json
from tests.upstreams.anthropic import Message, message_reply
from tests.upstreams.behaviours import Behaviour, Frame, Reply, StreamReply, frame
from tests.upstreams.openai import Completion
from tests.upstreams.pictures import google_images
from tests.upstreams.samples import TEXT, sample, sample_text, token_count, words
from tests.upstreams.server import Received, Upstream
from tests.upstreams.vectors import google_embeddings

HEADERS = {"server-timing": "gfet4t7; dur=12", "set-cookie": "NID=upstream; path=/"}
STUDIO = re.compile(r"^/v1(?:beta|alpha)?/models/(?P<model>[^/:]+):(?P<method>\w+)$")
VERTEX = re.compile(
    r"^/v1(?:beta1)?/projects/(?P<project>[^/]+)/locations/(?P<location>[^/]+)/"
    r"(?:publishers/(?P<publisher>[^/]+)/models/(?P<model>[^/:]+)|endpoints/(?P<endpoint>[^/:]+))"
    r"(?P<rest>:\w+|/chat/completions)$"
)


def google_error(status: int, word: str, message: str, headers: dict[str, str] | None = None) -> Reply:
    """An error as Google words it (`INVALID_ARGUMENT`, `RESOURCE_EXHAUSTED`, `UNAVAILABLE`, …)."""
    return Reply(
        {"error": {"code": status, "message": message, "status": word}},
        status=status,
        headers={**HEADERS, **(headers or {})},
    )


class GoogleUpstream(Upstream):
    """Answers as Google's APIs do; a request without a key or a token is refused."""

    def __init__(self, *, text: str = TEXT, thinking: str = "") -> None:
        super().__init__()
        self.text = text
        self.thinking = thinking

    def answer(self, request: Received) -> Behaviour:
        key = request.headers.get("x-goog-api-key") or request.query.get("key")
        token = request.headers.get("authorization", "").removeprefix("Bearer ")
        if not key and not token:
            return google_error(
                401, "UNAUTHENTICATED", "Request is missing required authentication credential."
            )
        if request.method == "GET" and request.path == "/v1beta/models":
            return Reply({"models": [{"name": "models/gemini-2.5-flash"}]}, headers=HEADERS)
        studio = STUDIO.match(request.path)
        if studio is not None:
            return self._generate(request, studio["model"], studio["method"])
        vertex = VERTEX.match(request.path)
        if vertex is None or not token:
            return google_error(404, "NOT_FOUND", "Requested entity was not found.")
        return self._vertex(request, vertex)

    def _vertex(self, request: Received, found: re.Match[str]) -> Behaviour:
        body = request.body
        method = found["rest"].removeprefix(":")
        if found["endpoint"] == "openapi":
            return self._openai(body, body["model"], bool(body.get("stream")))
        if found["publisher"] == "anthropic":
            return message_reply(Message(body, found["model"], self.text, self.thinking), HEADERS)
        if found["publisher"] in ("mistralai", "ai21"):
            return self._openai(body, found["model"], method == "streamRawPredict")
        return self._generate(request, found["model"] or found["endpoint"], method)

    def _openai(self, body: Json, model: str, streamed: bool) -> Behaviour:
        completion = Completion(body, model, "chat", self.text, "", False)
        if streamed:
            return StreamReply(completion.frames(), headers=HEADERS)
        return Reply(completion.plain(), headers=HEADERS)

    def _generate(self, request: Received, model: str, method: str) -> Behaviour:
        drawn = google_images(request.body, model, method)
        if drawn is not None:
            return Reply(drawn, headers=HEADERS)
        embedded = google_embeddings(request.body, method)
        if embedded is not None:
            return Reply(embedded, headers=HEADERS)
        generation = Generation(request.body, model, self.text, self.thinking)
        if method == "streamGenerateContent" and request.query.get("alt") == "sse":
            return StreamReply(generation.frames(), headers=HEADERS)
        if method == "generateContent":
            return Reply(generation.plain(), headers=HEADERS)
        return google_error(404, "NOT_FOUND", f"Method {method} is not known here.")


class Generation:
    """One answer of Gemini's, plain or in frames."""

    def __init__(self, body: Json, model: str, text: str, thinking: str) -> None:
        self.body = body
        self.model = model
        # Google's JSON takes names in either spelling.
        self.config: Json = {
            _camel(name): value for name, value in (body.get("generationConfig") or {}).items()
        }
        self.thinking = thinking
        self.count = self.config.get("candidateCount") or 1
        self.calls = self._called()
        schema = self.config.get("responseSchema") or self.config.get("responseJsonSchema")
        self.text = sample_text(schema) if schema else text

    def _called(self) -> list[Json]:
        last = self.body["contents"][-1]["parts"]
        mode = (self.body.get("toolConfig") or {}).get("functionCallingConfig", {}).get("mode", "AUTO")
        if mode == "NONE" or any("functionResponse" in part or "function_response" in part for part in last):
            return []
        declared = [
            function
            for tool in self.body.get("tools") or ()
            for function in tool.get("functionDeclarations") or tool.get("function_declarations") or ()
        ]
        return [{"name": item["name"], "args": sample(item.get("parameters") or {})} for item in declared]

    def usage(self) -> Json:
        prompt = token_count(self.body["contents"])
        candidates = self.count * len(words(self.text))
        thoughts = len(words(self.thinking))
        usage = {
            "promptTokenCount": prompt,
            "candidatesTokenCount": candidates,
            "totalTokenCount": prompt + candidates + thoughts,
        }
        return {**usage, "thoughtsTokenCount": thoughts} if thoughts else usage

    def plain(self) -> Json:
        parts = [*self._thoughts(), *([{"text": self.text}] if not self.calls else self._call_parts())]
        candidates = [self._candidate(index, parts, "STOP") for index in range(self.count)]
        return {**self._frame(candidates), "usageMetadata": self.usage()}

    def frames(self) -> list[Frame]:
        pieces: list[Json] = self._thoughts()
        pieces += self._call_parts() if self.calls else [{"text": piece} for piece in words(self.text)]
        chunks: list[Json] = []
        for position, piece in enumerate(pieces):
            finish = "STOP" if position == len(pieces) - 1 else None
            candidates = [self._candidate(index, [piece], finish) for index in range(self.count)]
            chunks.append({**self._frame(candidates), "usageMetadata": self.usage()})
        return [frame(chunk) for chunk in chunks]

    def _thoughts(self) -> list[Json]:
        return [{"text": self.thinking, "thought": True}] if self.thinking else []

    def _call_parts(self) -> list[Json]:
        return [{"functionCall": call} for call in self.calls]

    def _candidate(self, index: int, parts: list[Json], finish: str | None) -> Json:
        candidate: Json = {"content": {"role": "model", "parts": parts}, "index": index}
        return {**candidate, "finishReason": finish} if finish else candidate

    def _frame(self, candidates: list[Json]) -> Json:
        return {"candidates": candidates, "modelVersion": self.model, "responseId": "resp-upstream"}


def without_finish(frames: Sequence[Frame]) -> list[Frame]:
    """Gemini's stream whose last chunk does not say why it ended."""
    made = []
    for item in frames:
        content = item.json()
        for candidate in content["candidates"]:
            candidate.pop("finishReason", None)
        made.append(frame(content))
    return made


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(part.capitalize() for part in rest)
