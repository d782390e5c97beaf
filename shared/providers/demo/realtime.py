"""The demo model's realtime session, inside the process: it answers in text what was written to it.

Events after OpenAI's API reference, "Realtime": the client's `session.update`, `conversation.item.create`,
`input_audio_buffer.append`, `.commit` and `.clear`, and `response.create`; every other one is answered by `error`.
"""

import asyncio
import secrets
from collections.abc import Callable, Iterator

import orjson

from shared import Json
from shared.catalog.documents import Model
from shared.providers.demo.conversation import QUOTED, Conversation
from shared.providers.demo.reply import in_words
from shared.providers.demo.tokens import words
from shared.realtime.relay import Closed, Frame
from shared.wire.estimate import tokens_of

WAITING = 256
"""Events that wait for a client; one that reads none is not heard meanwhile."""
_BYTES_PER_SECOND = 48_000
"""Of the audio that realtime clients send: 24,000 samples of 16 bits, in one channel."""

_REMEMBERED = 20
"""Pieces of what was said that the next answer repeats."""


class DemoSession:
    """The provider's side of a relay. `send` is what the client says, `receive` what the model answers."""

    def __init__(self, model: Model) -> None:
        self._model = model.code
        self._session: Json = {
            "id": "sess_" + secrets.token_hex(8),
            "object": "realtime.session",
            "type": "realtime",
            "model": model.code,
            "output_modalities": ["text"],
            "instructions": "",
        }
        self._events: asyncio.Queue[str | Closed] = asyncio.Queue(WAITING)
        self._written: list[str] = []
        self._audio = 0
        self._answers: dict[str, Callable[[Json], Iterator[Json]]] = {
            "session.update": self._update,
            "conversation.item.create": self._item,
            "input_audio_buffer.append": self._append,
            "input_audio_buffer.commit": self._commit,
            "input_audio_buffer.clear": self._clear,
            "response.create": self._respond,
        }
        self._events.put_nowait(_encoded({"type": "session.created", "session": self._session}))

    async def receive(self) -> Frame | Closed:
        return await self._events.get()

    async def send(self, frame: Frame) -> None:
        for event in self._answered(frame):
            await self._events.put(_encoded(event))

    async def close(self, closed: Closed) -> None:
        return None

    def _answered(self, frame: Frame) -> Iterator[Json]:
        try:
            event = orjson.loads(frame)
        except orjson.JSONDecodeError:
            event = None
        if not isinstance(event, dict):
            yield _error("An event must be a JSON object.", None)
            return
        answer = self._answers.get(str(event.get("type")))
        if answer is None:
            yield _error(f"The demo model knows no event '{str(event.get('type'))[:64]}'.", event)
            return
        yield from answer(event)

    def _update(self, event: Json) -> Iterator[Json]:
        changes = event.get("session")
        if not isinstance(changes, dict):
            yield _error("'session' must be an object.", event)
            return
        named = changes.get("model")
        if named not in (None, self._model):
            yield _error("The model of a session cannot be changed.", event)
            return
        instructions = changes.get("instructions")
        if isinstance(instructions, str):
            self._session["instructions"] = instructions
        yield {"type": "session.updated", "session": self._session}

    def _item(self, event: Json) -> Iterator[Json]:
        item = event.get("item")
        if not isinstance(item, dict):
            yield _error("'item' must be an object.", event)
            return
        content = item.get("content")
        parts = [part for part in content if isinstance(part, dict)] if isinstance(content, list) else []
        said = [str(part["text"]) for part in parts if isinstance(part.get("text"), str)]
        if item.get("role") == "user" and said:
            self._written = [" ".join(said)[: 10 * QUOTED]]
        shown = {"object": "realtime.item", "status": "completed", **item, "id": _id(item.get("id"), "item")}
        yield {"type": "conversation.item.added", "previous_item_id": None, "item": shown}
        yield {"type": "conversation.item.done", "previous_item_id": None, "item": shown}

    def _append(self, event: Json) -> Iterator[Json]:
        audio = event.get("audio")
        if isinstance(audio, str):
            self._audio += len(audio) * 3 // 4
        else:
            yield _error("'audio' must be base64.", event)

    def _commit(self, event: Json) -> Iterator[Json]:
        if not self._audio:
            yield _error("There is no audio in the buffer.", event)
            return
        heard = f"({self._audio / _BYTES_PER_SECOND:.1f} seconds of audio)"
        self._written = [*self._written[-_REMEMBERED:], heard]
        self._audio = 0
        yield {"type": "input_audio_buffer.committed", "item_id": _id(None, "item"), "previous_item_id": None}

    def _clear(self, event: Json) -> Iterator[Json]:
        self._audio = 0
        yield {"type": "input_audio_buffer.cleared"}

    def _respond(self, event: Json) -> Iterator[Json]:
        asked = " ".join(self._written)
        self._written = []
        answer = in_words(Conversation(asked, (), ()), self._model)
        response: Json = {
            "id": _id(None, "resp"),
            "object": "realtime.response",
            "status": "in_progress",
            "output_modalities": ["text"],
            "output": [],
        }
        item: Json = {
            "id": _id(None, "item"),
            "object": "realtime.item",
            "type": "message",
            "role": "assistant",
            "status": "in_progress",
            "content": [],
        }
        where = {"response_id": response["id"], "item_id": item["id"], "output_index": 0, "content_index": 0}
        outer = {"response_id": response["id"], "output_index": 0}
        part = {"type": "output_text", "text": answer}
        yield {"type": "response.created", "response": response}
        yield {"type": "response.output_item.added", **outer, "item": item}
        yield {"type": "response.content_part.added", **where, "part": {"type": "text", "text": ""}}
        for word in words(answer):
            yield {"type": "response.output_text.delta", **where, "delta": word}
        yield {"type": "response.output_text.done", **where, "text": answer}
        yield {"type": "response.content_part.done", **where, "part": {"type": "text", "text": answer}}
        whole = {**item, "status": "completed", "content": [part]}
        yield {"type": "response.output_item.done", **outer, "item": whole}
        used = {"input_tokens": tokens_of(len(asked)), "output_tokens": tokens_of(len(answer))}
        usage = {**used, "total_tokens": used["input_tokens"] + used["output_tokens"]}
        done = {**response, "status": "completed", "output": [whole], "usage": usage}
        yield {"type": "response.done", "response": done}


def _encoded(event: Json) -> str:
    return orjson.dumps({"event_id": _id(None, "event"), **event}).decode()


def _id(asked: object, prefix: str) -> str:
    return asked if isinstance(asked, str) and asked else f"{prefix}_{secrets.token_hex(8)}"


def _error(message: str, event: Json | None) -> Json:
    error: Json = {
        "type": "invalid_request_error",
        "code": "invalid_value",
        "message": message,
        "param": None,
    }
    error["event_id"] = event.get("event_id") if event is not None else None
    return {"type": "error", "error": error}
