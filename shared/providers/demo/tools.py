"""Which tools the demo model calls, and with what arguments."""

import json
from dataclasses import dataclass
from typing import Literal

from shared import Json
from shared.providers.demo.conversation import Conversation
from shared.providers.demo.fields import array, flag, json_object, refusal, text
from shared.providers.demo.schema import sample
from shared.providers.demo.schema_parts import Unsatisfiable

MAX_CALLS = 8
"""Tools that are called in parallel, at most."""

Kind = Literal["function", "custom", "legacy"]


@dataclass(frozen=True, slots=True)
class Tool:
    """`legacy` is of the deprecated `functions`. A function's `schema` stands at `param` in the body."""

    kind: Kind
    name: str
    schema: object
    param: str


@dataclass(frozen=True, slots=True)
class ToolCall:
    """`input` is a function's arguments as JSON text, or a custom tool's text."""

    kind: Kind
    name: str
    input: str


def tool_calls(body: Json, conversation: Conversation) -> tuple[ToolCall, ...]:
    """The calls that answer a chat completion body; none where it should be answered in words.

    `tool_choice` decides. Left to the model, it calls the tools that the question names (in parallel where
    that is allowed), else the first one, and none once a tool's result is there. Raises `ProviderRefusal`.
    """
    tools = _read_tools(body)
    name, mode, tools = _choice(body, tools)
    if not tools or mode == "none":
        return ()
    if name is not None:
        chosen = [tool for tool in tools if tool.name == name][:1]
    elif mode == "auto" and conversation.results:
        return ()
    else:
        named = [tool for tool in tools if tool.name in conversation.question]
        chosen = named[:MAX_CALLS] or tools[:1]
        if not flag(body, "parallel_tool_calls", True) or chosen[0].kind == "legacy":
            chosen = chosen[:1]
    return tuple(_call(tool, conversation) for tool in chosen)


def _call(tool: Tool, conversation: Conversation) -> ToolCall:
    if tool.kind == "custom":
        return ToolCall("custom", tool.name, conversation.quoted or "demo")
    try:
        arguments = sample(tool.schema)
    except Unsatisfiable as error:
        raise refusal(f"The demo model finds no arguments for '{tool.name}': {error}.", tool.param) from None
    if not isinstance(arguments, dict):
        raise refusal(f"The parameters of '{tool.name}' must describe an object.", tool.param)
    return ToolCall(tool.kind, tool.name, json.dumps(arguments, ensure_ascii=False))


def _read_tools(body: Json) -> list[Tool]:
    tools = []
    for index, item in enumerate(array(body.get("tools"), "tools")):
        where = f"tools[{index}]"
        entry = json_object(item, where)
        kind = entry.get("type")
        if kind == "function":
            tools.append(
                _function(json_object(entry.get("function"), f"{where}.function"), where, "function")
            )
        elif kind == "custom":
            custom = json_object(entry.get("custom"), f"{where}.custom")
            form = custom.get("format")
            if isinstance(form, dict) and form.get("type") == "grammar":
                raise refusal("The demo model cannot write by a grammar.", f"{where}.custom.format")
            tools.append(Tool("custom", text(custom.get("name"), f"{where}.custom.name"), None, where))
        else:
            raise refusal(f"'{where}.type' must be function or custom.", f"{where}.type")
    if not tools:
        for index, item in enumerate(array(body.get("functions"), "functions")):
            where = f"functions[{index}]"
            tools.append(_function(json_object(item, where), where, "legacy"))
    return tools


def _function(entry: Json, where: str, kind: Kind) -> Tool:
    inner = f"{where}.function" if kind == "function" else where
    schema = entry.get("parameters")
    if schema is None:
        schema = {"type": "object", "properties": {}}
    return Tool(kind, text(entry.get("name"), f"{inner}.name"), schema, f"{inner}.parameters")


def _choice(body: Json, tools: list[Tool]) -> tuple[str | None, str, list[Tool]]:
    """(the one tool that must be called, `auto`, `required` or `none`, the tools that may be)."""
    param = "function_call" if tools and tools[0].kind == "legacy" else "tool_choice"
    choice = body.get(param)
    if choice is None:
        return None, "auto", tools
    if not tools and choice != "none":
        raise refusal(f"'{param}' is only allowed when tools are given.", param)
    if isinstance(choice, str):
        if choice not in ("auto", "required", "none"):
            raise refusal(f"'{param}' must be auto, required, none or name a tool.", param)
        return None, choice, tools
    entry = json_object(choice, param)
    kind = entry.get("type", "legacy")
    if kind == "allowed_tools":
        allowed = json_object(entry.get("allowed_tools"), f"{param}.allowed_tools")
        names = {_name(item, param) for item in array(allowed.get("tools"), f"{param}.allowed_tools.tools")}
        mode = "required" if allowed.get("mode") == "required" else "auto"
        return None, mode, [tool for tool in tools if tool.name in names]
    name = _name(entry, param)
    if all(tool.name != name for tool in tools):
        raise refusal(f"'{param}' names a tool that is not among the tools.", param)
    return name, "required", tools


def _name(item: object, param: str) -> str:
    """The name in `{"type": "function", "function": {"name"}}`, and in its custom and deprecated forms."""
    entry = json_object(item, param)
    for kind in ("function", "custom"):
        if kind in entry:
            entry = json_object(entry[kind], f"{param}.{kind}")
            break
    return text(entry.get("name"), f"{param}.name")
