"""A whole transcript as a stream: what is told where a provider transcribes, but not bit by bit."""

from collections.abc import AsyncGenerator

import orjson

from shared import Json
from shared.providers.calls import Answer
from shared.wire.events import Event


class WholeTranscript:
    """One event, the last: see `shared.providers.calls.Events`.

    OpenAI's older models ignore the wish for a stream too.
    """

    def __init__(self, answer: Answer) -> None:
        self.headers = answer.headers
        self.dropped = answer.dropped
        self.done = False
        self._answer = answer

    async def __aiter__(self) -> AsyncGenerator[Event, None]:
        content = self._answer.content
        text = content.get("text") if content else self._answer.body.decode("utf-8", "replace")
        chunk: Json = {"type": "transcript.text.done", "text": text}
        if content.get("usage"):
            chunk["usage"] = content["usage"]
        yield Event(orjson.dumps(chunk), chunk)

    async def aclose(self) -> None:
        """There is nothing to close."""
