"""Responses of models that only chat: asked as a chat, told as a response. Nothing is kept between two calls.

LiteLLM has such a bridge of its own. It is not used: it takes a chat that was cut off for a whole one, loses in
silence what a chat has no words for, and writes names of deployments into its ids.
"""

import time
from collections.abc import AsyncGenerator, Mapping
from dataclasses import replace

import orjson

from shared import Json
from shared.errors import ProviderRefusal, UnsupportedParameter
from shared.providers.calls import Answer, Call, Events
from shared.responses.bridge import Bridge
from shared.responses.chat import chat_request
from shared.responses.writer import new_id, response_head
from shared.wire.events import Event
from shared.wire.usage import read_usage


def speaks_responses(call: Call) -> bool:
    """Whether the provider has this operation itself. A compatible server on this lane is one that only chats."""
    return call.model.type.native and call.model.provider != "OpenAICompatible"


def chat_of(call: Call) -> tuple[Call, tuple[str, ...]]:
    """(the chat completion that answers it, what it could not take along).

    Raises `UnsupportedParameter`; `ProviderRefusal` with 404 for a call about a stored response.
    """
    if call.bodiless:
        raise ProviderRefusal("There is no such response: this model's answers are not stored.", 404)
    if call.body.get("previous_response_id") is not None:
        raise UnsupportedParameter(
            f"The model '{call.model.id}' keeps no responses to go on from; send the items again.",
            param="previous_response_id",
        )
    request = chat_request(call.body)
    chat = replace(call, operation="ChatCompletion", path="chat/completions", body=request.body)
    return chat, tuple(request.dropped)


def bridge_of(call: Call, chat: Json) -> Bridge:
    """`chat` is the answer, or its first chunk."""
    created, model = chat.get("created"), chat.get("model")
    return Bridge(
        response_head(
            {**call.body, "store": False},
            new_id("resp_"),
            model if isinstance(model, str) else call.model.code,
            created if isinstance(created, int) else int(time.time()),
        )
    )


def response_answer(call: Call, answer: Answer, dropped: tuple[str, ...]) -> Answer:
    """A chat's plain answer as a response."""
    content = bridge_of(call, answer.content).whole(answer.content)
    return replace(
        answer,
        body=orjson.dumps(content),
        content=content,
        usage=answer.usage or read_usage(content.get("usage")),
        dropped=(*answer.dropped, *dropped),
    )


class BridgedEvents:
    """A chat's stream as typed events. It ends with one only if the chat did come to its end."""

    def __init__(self, call: Call, events: Events, dropped: tuple[str, ...]) -> None:
        self._call = call
        self._events = events
        self.headers: Mapping[str, str] = events.headers
        self.dropped = (*events.dropped, *dropped)
        self.done = False
        """There is no end mark in such a stream."""

    async def __aiter__(self) -> AsyncGenerator[Event, None]:
        bridge: Bridge | None = None
        async for event in self._events:
            if bridge is None:
                bridge = bridge_of(self._call, event.chunk)
                for told in bridge.begin():
                    yield _event(told)
            for told in bridge.chunk(event.chunk):
                yield _event(told)
        if bridge is not None and self._events.done:
            for told in bridge.end():
                yield _event(told)

    async def aclose(self) -> None:
        await self._events.aclose()


def _event(told: Json) -> Event:
    return Event(orjson.dumps(told), told, told["type"].encode())
