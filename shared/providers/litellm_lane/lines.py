"""The lines of a provider's stream on their way into LiteLLM's parsers, checked.

Those parsers skip an event that they cannot read and take `[DONE]` for a finish: a damaged stream would look
complete. So events are put together here first, and what is no JSON, an error, or half an event is raised.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from typing import Any

import orjson

from shared import Json
from shared.errors import InvalidProviderResponse, ProviderUnreachable
from shared.providers.litellm_lane.errors import stream_error

_DRAIN_SECONDS = 0.5


class CheckedLines:
    """Wraps an iterator of lines (server-sent events, or anything else, which passes unchanged)."""

    def __init__(self, source: AsyncIterator[Any], secrets: Sequence[str]) -> None:
        self._source = source
        self._secrets = secrets
        self._lines = self._checked()
        self.marked = False
        """Whether the provider sent its own end mark (`[DONE]`, `message_stop`)."""
        self.event: Any = None
        """The last event that was passed on, decoded: what the parser's next chunk was made of."""

    def __aiter__(self) -> AsyncGenerator[Any, None]:
        return self._lines

    async def aclose(self) -> None:
        await self._lines.aclose()
        await _closed(self._source)

    async def _checked(self) -> AsyncGenerator[Any, None]:
        data = ""
        async for line in self._source:
            if not isinstance(line, str):
                yield line
                continue
            if line.startswith("data:"):
                piece = line[5:].removeprefix(" ")
                data = f"{data}\n{piece}" if data else piece
            elif data and line and not line.startswith((":", "event:", "id:", "retry:")):
                # The HTTP client splits lines at more characters than server-sent events do (U+2028, …).
                data = f"{data}\u2028{line}"
            elif data:
                raise InvalidProviderResponse("The provider sent an event that is no JSON.")
            else:
                if line and not line.startswith(":"):
                    yield line
                continue
            if data.strip() == "[DONE]":
                self.marked = True
                await self._drain()
                return
            event = _parsed(data)
            if event is None:
                continue
            self._check(event)
            if isinstance(event, dict) and event.get("type") == "message_stop":
                self.marked = True
            if not _unfinished(event):
                self.event = event
                yield "data: " + data
            data = ""
        if data:
            raise ProviderUnreachable("The provider's stream broke off within an event.")

    def _check(self, event: Any) -> None:
        if isinstance(event, dict) and event.get("error") and not event.get("choices"):
            raise stream_error(event["error"], self._secrets)

    async def _drain(self) -> None:
        """Reads on to the end of the answer, so that its connection can be used again."""
        try:
            async with asyncio.timeout(_DRAIN_SECONDS):
                async for _ in self._source:
                    pass
        except Exception:
            # The stream was complete: how its connection ends no longer matters.
            return


def _parsed(data: str) -> Any:
    """The decoded event, or None while it is not complete."""
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError:
        return None


def _unfinished(event: Json) -> bool:
    """Anthropic's `message_delta` without a stop reason, which LiteLLM would take for a stop."""
    if not isinstance(event, dict) or event.get("type") != "message_delta":
        return False
    return not (event.get("delta") or {}).get("stop_reason")


async def _closed(source: Any) -> None:
    for name in ("aclose", "close"):
        close = getattr(source, name, None)
        if close is not None:
            closing = close()
            if closing is not None:
                await closing
            return
