"""A request for a response as a chat completion: for models that only chat.

What a chat has no words for is refused where the answer would be another without it, else named as dropped.
"""

from dataclasses import dataclass, field
from typing import Any

from shared import Json
from shared.errors import InvalidValue, UnsupportedParameter

LOGPROBS = "message.output_text.logprobs"
_TRANSLATED = frozenset(
    """
input instructions tools tool_choice text reasoning max_output_tokens include top_logprobs stream_options
previous_response_id conversation prompt background store
""".split()
)
_WITHOUT_MEANING: dict[str, Any] = {
    "truncation": "disabled",
    "max_tool_calls": None,
    "context_management": None,
}
"""Parameters that a chat does not have, each with the value that asks for nothing."""


@dataclass(slots=True)
class ChatRequest:
    """`body` is the chat completion's; `dropped` names what it could not take along."""

    body: Json
    dropped: list[str] = field(default_factory=list)


def chat_request(body: Json, history: list[Json] | None = None) -> ChatRequest:
    """The chat that answers a request for a response; `history` are the items that came before its own.

    Raises `UnsupportedParameter` and `InvalidValue` that name the field.
    """
    made = ChatRequest({name: value for name, value in body.items() if name not in _TRANSLATED})
    for name, nothing in _WITHOUT_MEANING.items():
        if made.body.pop(name, None) not in (None, nothing):
            made.dropped.append(name)
    if body.get("store") is True:
        made.dropped.append("store")
    made.body["messages"] = _Messages(made).read(body, history or [])
    _read_tools(body, made)
    _read_text(body, made)
    _read_reasoning(body, made)
    if body.get("max_output_tokens") is not None:
        made.body["max_tokens"] = body["max_output_tokens"]
    included = body.get("include")
    included = included if isinstance(included, list) else []
    if LOGPROBS in included or body.get("top_logprobs"):
        made.body["logprobs"] = True
        made.body["top_logprobs"] = body.get("top_logprobs") or 0
    if any(item != LOGPROBS for item in included):
        made.dropped.append("include")
    return made


class _Messages:
    """Items become messages; calls of tools become part of the assistant's message before them."""

    def __init__(self, made: ChatRequest) -> None:
        self._made = made
        self._messages: list[Json] = []

    def read(self, body: Json, history: list[Json]) -> list[Json]:
        instructions = body.get("instructions")
        if isinstance(instructions, str) and instructions:
            self._messages.append({"role": "system", "content": instructions})
        elif instructions is not None and not isinstance(instructions, str):
            self._items(instructions, "instructions")
        self._items(history, "previous_response_id")
        items = body.get("input")
        if isinstance(items, str):
            self._messages.append({"role": "user", "content": items})
        else:
            self._items([] if items is None else items, "input")
        return self._messages

    def _items(self, items: Any, name: str) -> None:
        if not isinstance(items, list):
            raise InvalidValue(f"'{name}' must be text or an array of items.", param=name)
        for index, item in enumerate(items):
            where = f"{name}[{index}]"
            if not isinstance(item, dict):
                raise InvalidValue("An item must be an object.", param=where)
            self._item(item, where)

    def _item(self, item: Json, where: str) -> None:
        kind = item.get("type")
        if kind == "message" or (kind is None and "role" in item):
            self._message(item, where)
        elif kind == "function_call":
            self._call(item, where)
        elif kind == "function_call_output":
            content = item.get("output")
            if not isinstance(content, str):
                content = _parts(content, f"{where}.output")
            self._messages.append({"role": "tool", "tool_call_id": item.get("call_id"), "content": content})
        elif kind == "reasoning":
            # What a model thought earlier is not said again in a chat.
            self._made.dropped.append(where)
        else:
            raise UnsupportedParameter(
                f"This model only chats: it does not take items of the type '{_short(kind)}'.",
                param=f"{where}.type",
            )

    def _message(self, item: Json, where: str) -> None:
        role = item.get("role")
        if role not in ("user", "assistant", "system", "developer"):
            raise InvalidValue("'role' must be user, assistant, system or developer.", param=f"{where}.role")
        content = item.get("content")
        if not isinstance(content, str):
            content = _parts(content, f"{where}.content")
        if role == "assistant" and isinstance(content, list):
            content = "".join(part.get("text") or part.get("refusal") or "" for part in content)
        self._messages.append({"role": "system" if role == "developer" else role, "content": content})

    def _call(self, item: Json, where: str) -> None:
        name, arguments = item.get("name"), item.get("arguments")
        if not isinstance(name, str) or not isinstance(arguments, str):
            raise InvalidValue("A function call needs a name and arguments, as text.", param=where)
        call = {
            "id": item.get("call_id"),
            "type": "function",
            "function": {"name": name, "arguments": arguments},
        }
        if not self._messages or self._messages[-1]["role"] != "assistant":
            self._messages.append({"role": "assistant", "content": None})
        self._messages[-1].setdefault("tool_calls", []).append(call)


def _parts(content: Any, where: str) -> list[Json]:
    if not isinstance(content, list):
        raise InvalidValue(f"'{where}' must be text or an array of parts.", param=where)
    return [_part(part, f"{where}[{index}]") for index, part in enumerate(content)]


def _part(part: Any, where: str) -> Json:
    if not isinstance(part, dict):
        raise InvalidValue("A part must be an object.", param=where)
    kind = part.get("type")
    if kind in ("input_text", "output_text", "text"):
        if not isinstance(part.get("text"), str):
            raise InvalidValue("A part of text needs its text.", param=f"{where}.text")
        # What else it holds (a cache mark, …) goes along; what only an answer has does not.
        extra = {name: part[name] for name in part if name not in ("type", "text", "annotations", "logprobs")}
        return {"type": "text", "text": part["text"], **extra}
    if kind == "refusal":
        return {"type": "refusal", "refusal": part.get("refusal")}
    if kind == "input_image" and isinstance(part.get("image_url"), str):
        picture = {"url": part["image_url"]}
        if part.get("detail") is not None:
            picture["detail"] = part["detail"]
        return {"type": "image_url", "image_url": picture}
    if kind == "input_audio":
        return {"type": "input_audio", "input_audio": part.get("input_audio")}
    if kind == "input_file" and part.get("file_data") is not None:
        file = {name: part[name] for name in ("file_data", "filename") if part.get(name) is not None}
        return {"type": "file", "file": file}
    raise UnsupportedParameter(
        f"This model only chats: it does not take a part like this ('{_short(kind)}').", param=f"{where}.type"
    )


def _read_tools(body: Json, made: ChatRequest) -> None:
    tools = body.get("tools")
    if tools is not None:
        if not isinstance(tools, list):
            raise InvalidValue("'tools' must be an array.", param="tools")
        made.body["tools"] = [_tool(tool, f"tools[{index}]") for index, tool in enumerate(tools)]
        if not tools:
            del made.body["tools"]
            made.body.pop("parallel_tool_calls", None)
    choice = body.get("tool_choice")
    if choice is None or (not tools and choice in ("auto", "none")):
        return
    made.body["tool_choice"] = choice if isinstance(choice, str) else _choice(choice)


def _tool(tool: Any, where: str) -> Json:
    kind = tool.get("type") if isinstance(tool, dict) else None
    if kind != "function":
        raise UnsupportedParameter(
            f"This model only chats: it does not take tools of the type '{_short(kind)}'.",
            param=f"{where}.type",
        )
    return {"type": "function", "function": {name: value for name, value in tool.items() if name != "type"}}


def _choice(choice: Any) -> Json:
    kind = choice.get("type") if isinstance(choice, dict) else None
    if kind == "function":
        return {"type": "function", "function": {"name": choice.get("name")}}
    if kind == "allowed_tools" and isinstance(choice.get("tools"), list):
        tools = [_choice(tool) for tool in choice["tools"]]
        return {
            "type": "allowed_tools",
            "allowed_tools": {"mode": choice.get("mode", "auto"), "tools": tools},
        }
    raise UnsupportedParameter("This model only chats: it does not take this choice.", param="tool_choice")


def _read_text(body: Json, made: ChatRequest) -> None:
    text = body.get("text")
    if text is None:
        return
    if not isinstance(text, dict):
        raise InvalidValue("'text' must be an object.", param="text")
    if text.get("verbosity") is not None:
        made.body["verbosity"] = text["verbosity"]
    shape = text.get("format")
    if shape is None:
        return
    if not isinstance(shape, dict):
        raise InvalidValue("'format' must be an object.", param="text.format")
    if shape.get("type") == "json_schema":
        schema = {name: value for name, value in shape.items() if name != "type"}
        made.body["response_format"] = {"type": "json_schema", "json_schema": schema}
    elif shape.get("type") != "text":
        made.body["response_format"] = shape


def _read_reasoning(body: Json, made: ChatRequest) -> None:
    reasoning = body.get("reasoning")
    if reasoning is None:
        return
    if not isinstance(reasoning, dict):
        raise InvalidValue("'reasoning' must be an object.", param="reasoning")
    if reasoning.get("effort") is not None:
        made.body["reasoning_effort"] = reasoning["effort"]


def _short(kind: Any) -> str:
    return str(kind)[:64]
