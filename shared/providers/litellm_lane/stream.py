"""An open stream of LiteLLM's, told as OpenAI would: one id, true finish reasons, usage in a last chunk."""

import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from typing import Any

import anyio
import orjson

from shared import Json
from shared.errors import InvalidProviderResponse, ProxyError
from shared.providers.calls import Call
from shared.providers.litellm_lane.arguments import Arguments
from shared.providers.litellm_lane.chunks import faithful, is_openai_model, openai_chunk
from shared.providers.litellm_lane.errors import proxy_error
from shared.providers.litellm_lane.lines import CheckedLines
from shared.providers.openai_errors import visible_headers
from shared.wire.events import Event

Explain = Callable[[Exception], BaseException]
"""Turns a provider library's own exception into LiteLLM's class for it."""


class LiteLLMEvents:
    """Chunks of one call. `done` says that each choice got its finish reason from the provider itself."""

    def __init__(
        self,
        wrapper: Any,
        source: Any,
        *,
        call: Call,
        made: Arguments,
        explain: Explain,
    ) -> None:
        self.dropped = made.dropped
        self.done = False
        self._wrapper = wrapper
        self._source = source
        self._secrets = made.secrets
        self._explain = explain
        self._lines: CheckedLines | None = None
        lines = getattr(source, "streaming_response", None)
        if lines is not None and hasattr(lines, "__aiter__"):
            self._lines = source.streaming_response = CheckedLines(lines, made.secrets)
        self.headers: Mapping[str, str] = visible_headers(_headers(wrapper, source))
        self._story = Story(made.model, call.body.get("n") or 1)

    async def __aiter__(self) -> AsyncGenerator[Event, None]:
        chunks = self._chunks()
        try:
            async for chunk, verbatim in chunks:
                told = self._story.told(chunk, verbatim)
                if told is not None:
                    yield Event(orjson.dumps(told), told)
        except ProxyError:
            raise
        except Exception as error:
            raise proxy_error(self._explain(error), self._secrets) from None
        marked = self._lines is not None and self._lines.marked
        self.done = self._story.finished(marked)
        last = self._story.usage_chunk() if self.done else None
        if last is not None:
            yield Event(orjson.dumps(last), last)

    async def _chunks(self) -> AsyncIterator[tuple[Json, bool]]:
        """Chunks in OpenAI's format, and whether each is the provider's own."""
        if not hasattr(self._source, "__aiter__"):
            async for item in self._threaded():
                yield item
            return
        async for chunk in self._source:
            content = openai_chunk(chunk) if chunk is not None else None
            verbatim = chunk is not None and is_openai_model(chunk)
            if self._lines is not None:
                event, self._lines.event = self._lines.event, None
                content, verbatim = faithful(content, event)
            if content is not None:
                yield content, verbatim

    async def _threaded(self) -> AsyncIterator[tuple[Json, bool]]:
        """A library that reads in threads: only LiteLLM's own wrapper can drive it."""
        async for chunk in self._wrapper:
            content = openai_chunk(chunk)
            if content is None:
                continue
            if self._wrapper.received_finish_reason is None:
                for choice in content["choices"]:
                    choice["finish_reason"] = None
            yield content, False

    async def aclose(self) -> None:
        with anyio.CancelScope(shield=True):
            for closing in (self._lines, self._source, self._wrapper):
                await _close_quietly(closing)
            for name in ("response", "http_response"):
                await _close_quietly(getattr(self._source, name, None))


class Story:
    """What of a stream must agree from chunk to chunk."""

    def __init__(self, model: str, expected: int) -> None:
        """`expected` is how many choices were asked for."""
        self._model = model
        self._expected = expected
        self._id = ""
        self._created = 0
        self._usage: Json | None = None
        self._usage_sent = False
        self._finished: dict[int, bool] = {}

    def finished(self, marked: bool) -> bool:
        """Whether the answer is whole. Without the provider's end mark all choices must have come."""
        if not self._finished or not all(self._finished.values()):
            return False
        return marked or len(self._finished) >= self._expected

    def told(self, chunk: Json, verbatim: bool) -> Json | None:
        """The chunk as it goes out, or None where only its usage counted. `verbatim` ones stay as is."""
        choices = chunk.get("choices")
        if not isinstance(choices, list):
            raise InvalidProviderResponse("The provider sent a chunk without choices.")
        self._id = self._id or chunk.get("id") or ""
        self._created = self._created or chunk.get("created") or int(time.time())
        if chunk.get("model"):
            self._model = chunk["model"]
        usage = chunk.get("usage")
        if usage:
            self._usage = usage
            self._usage_sent = not choices
            if choices:
                del chunk["usage"]
        for choice in choices:
            self._note(choice, verbatim)
        if verbatim:
            return chunk
        if not choices:
            self._usage_sent = False
            return None
        return self._framed(chunk)

    def _note(self, choice: Json, verbatim: bool) -> None:
        index = choice.get("index", 0)
        first = index not in self._finished
        self._finished[index] = bool(choice.get("finish_reason")) or self._finished.get(index, False)
        if first and not verbatim and isinstance(choice.get("delta"), dict):
            choice["delta"] = {"role": "assistant", **choice["delta"]}

    def usage_chunk(self) -> Json | None:
        if self._usage is None or self._usage_sent:
            return None
        return self._framed({"choices": [], "usage": self._usage})

    def _framed(self, chunk: Json) -> Json:
        return {
            **chunk,
            "id": self._id or f"chatcmpl-{self._created}",
            "object": "chat.completion.chunk",
            "created": self._created,
            "model": self._model,
        }


def _headers(wrapper: Any, source: Any) -> dict[str, str]:
    for holder, name in ((wrapper, "_response_headers"), (source, "response_headers")):
        headers = getattr(holder, name, None)
        if headers:
            return {str(key).lower(): str(value) for key, value in dict(headers).items()}
    return {}


async def _close_quietly(closing: Any) -> None:
    """Closes whatever it is; that its connection already broke no longer matters."""
    for name in ("aclose", "close"):
        close = getattr(closing, name, None)
        if close is None:
            continue
        try:
            result = close()
            if hasattr(result, "__await__"):
                await result
        except Exception:
            return
        return
