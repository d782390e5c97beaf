"""What the demo model says."""

import json

from shared import Json
from shared.providers.demo.conversation import Conversation
from shared.providers.demo.fields import json_object, refusal
from shared.providers.demo.schema import sample
from shared.providers.demo.schema_parts import Unsatisfiable


def reply_texts(body: Json, conversation: Conversation, model: str, number: int) -> list[str]:
    """`number` answers to a conversation, in the form that `response_format` asks for.

    Raises `ProviderRefusal`.
    """
    form = json_object(body.get("response_format") or {"type": "text"}, "response_format")
    kind = form.get("type")
    if kind == "json_schema":
        return [_by_schema(json_object(form.get("json_schema"), "response_format.json_schema"))] * number
    if kind == "json_object":
        return [_as_json(conversation, model, index) for index in range(number)]
    if kind == "text":
        return [in_words(conversation, model, index, number) for index in range(number)]
    raise refusal("'type' must be text, json_object or json_schema.", "response_format.type")


def in_words(conversation: Conversation, model: str, number: int = 0, of: int = 1) -> str:
    """A few sentences that show what arrived."""
    said = [f"This is {model}, a demo model that answers from inside the proxy."]
    if of > 1:
        said.append(f"This is answer {number + 1} of {of}.")
    if conversation.results:
        said.extend(f'The tool answered: "{_short(result)}".' for result in conversation.results)
    if conversation.question:
        said.append(f'You wrote: "{conversation.quoted}"')
    elif not conversation.results:
        said.append("You wrote nothing.")
    if conversation.attachments:
        said.append(f"With it came {_listed(conversation.attachments)}.")
    return " ".join(said)


def _as_json(conversation: Conversation, model: str, number: int) -> str:
    answer: Json = {"model": model, "choice": number, "you_wrote": conversation.quoted}
    if conversation.results:
        answer["tool_results"] = [_short(result) for result in conversation.results]
    if conversation.attachments:
        answer["attachments"] = list(conversation.attachments)
    return json.dumps(answer, ensure_ascii=False)


def _by_schema(form: Json) -> str:
    param = "response_format.json_schema.schema"
    if not isinstance(form.get("name"), str) or not form["name"]:
        raise refusal("A schema needs a name.", "response_format.json_schema.name")
    schema = form.get("schema", {"type": "object"})
    try:
        return json.dumps(sample(schema), ensure_ascii=False)
    except Unsatisfiable as error:
        raise refusal(f"The demo model finds no value for this schema: {error}.", param) from None


def _short(result: str) -> str:
    return result if len(result) <= 500 else result[:500] + "…"


def _listed(items: tuple[str, ...]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    return " and ".join((", ".join(items[:-1]), items[-1])) if len(items) > 1 else items[0]
