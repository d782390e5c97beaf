"""Responses of the demo model: its chat, told as OpenAI tells a response, and kept for a while."""

from collections.abc import Iterator

from shared import Json
from shared.errors import ProviderRefusal
from shared.providers.demo.chat import ChatCompletion
from shared.providers.demo.fields import refusal
from shared.providers.demo.operation import Question
from shared.providers.demo.shelf import Shelf
from shared.responses.bridge import Bridge
from shared.responses.chat import chat_request
from shared.responses.items import input_items
from shared.responses.writer import new_id, response_head

_FIELDS = (
    ("messages", "input"),
    ("max_tokens", "max_output_tokens"),
    ("response_format.json_schema", "text.format"),
    ("response_format", "text.format"),
)
"""Names of a chat's fields, and those of a response's that they were made of."""


class Response:
    """An `Operation` that can be streamed. Raises an `InvalidRequest` or `ProviderRefusal` when it is made.

    What is answered whole or streamed to its end is put on the `shelf`, unless `store` is false.
    """

    def __init__(self, shelf: Shelf, question: Question) -> None:
        body = question.body
        self._shelf = shelf
        self._body = body
        request = chat_request(body, self._history(body))
        try:
            self._chat = ChatCompletion(
                Question(
                    {**request.body, "stream_options": None},
                    question.model,
                    question.created,
                    question.context,
                )
            )
        except ProviderRefusal as error:
            raise _renamed(error) from None
        self.dropped = tuple(
            sorted({*self._chat.dropped, *(name for name in request.dropped if name != "store")})
        )
        self._bridge = Bridge(response_head(body, new_id("resp_"), question.model, question.created))

    def answer(self) -> Json:
        for _ in self.chunks():
            pass
        return self._bridge.response

    def chunks(self) -> Iterator[Json]:
        """The typed events."""
        told: list[Json] = []
        for event in self._events():
            # An event shows a response as it is at that moment, and is kept as it was.
            told.append(event)
            yield event
        if self._body.get("store") is not False:
            self._shelf.keep(self._bridge.response, input_items(self._body, new_id), told)

    def _events(self) -> Iterator[Json]:
        yield from self._bridge.begin()
        for chunk in self._chat.chunks():
            yield from self._bridge.chunk(chunk)
        yield from self._bridge.end()

    def _history(self, body: Json) -> list[Json]:
        previous = body.get("previous_response_id")
        if previous is None:
            return []
        items = self._shelf.history(previous)
        if items is None:
            raise refusal(
                f"Previous response with id '{previous}' not found.",
                "previous_response_id",
                code="previous_response_not_found",
            )
        return items


def _renamed(error: ProviderRefusal) -> ProviderRefusal:
    """A refusal of the chat in the field names of a response."""
    param, message = error.param, error.message
    for chat, ours in _FIELDS:
        message = message.replace(f"'{chat}", f"'{ours}")
        if param is not None and param.startswith(chat):
            param = ours + param.removeprefix(chat)
    if param is not None and param.startswith("tools["):
        param = param.replace("].function", "]")
    return ProviderRefusal(message, error.status, type=error.type, param=param, code=error.code)
