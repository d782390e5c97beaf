"""What the demo model takes in of a conversation: the last question, what came with it, tools' results."""

from collections import Counter
from dataclasses import dataclass

from shared import Json
from shared.providers.demo.fields import array, json_object, refusal, text

ROLES = ("developer", "system", "user", "assistant", "tool", "function")
QUOTED = 1000
"""Characters of a message that the answer quotes."""

_PARTS = {
    "image_url": "image",
    "input_audio": "audio clip",
    "file": "file",
}


@dataclass(frozen=True, slots=True)
class Conversation:
    """`question` is the text of the last user message, `attachments` what else it held, as words.

    `results` are texts of tool messages that no one has answered yet.
    """

    question: str
    attachments: tuple[str, ...]
    results: tuple[str, ...]

    @property
    def quoted(self) -> str:
        if len(self.question) <= QUOTED:
            return self.question
        return self.question[:QUOTED] + "…"


def read_conversation(body: Json) -> Conversation:
    """Reads `messages` of a chat completion body. Raises `ProviderRefusal`."""
    question = ""
    attachments: tuple[str, ...] = ()
    results: list[str] = []
    for index, item in enumerate(array(body.get("messages"), "messages")):
        where = f"messages[{index}]"
        message = json_object(item, where)
        role = message.get("role")
        if role not in ROLES:
            raise refusal(f"'{where}.role' must be one of {', '.join(ROLES)}.", f"{where}.role")
        said, counts = _content(message.get("content"), f"{where}.content", optional=role == "assistant")
        if role == "user":
            question, attachments, results = said, _counted(counts), []
        elif role == "assistant":
            results = []
        elif role in ("tool", "function"):
            results.append(said)
    return Conversation(question, attachments, tuple(results))


def _content(content: object, param: str, optional: bool) -> tuple[str, Counter[str]]:
    """The text of a message's `content`, and how many parts of other kinds it has."""
    counts: Counter[str] = Counter()
    if isinstance(content, str):
        return content, counts
    if content is None and optional:
        return "", counts
    if not isinstance(content, list):
        raise refusal(f"'{param}' must be text or an array of parts.", param)
    texts: list[str] = []
    for index, item in enumerate(content):
        where = f"{param}[{index}]"
        part = json_object(item, where)
        kind = part.get("type")
        if kind == "text":
            texts.append(text(part.get("text"), f"{where}.text"))
        elif kind == "refusal":
            texts.append(text(part.get("refusal"), f"{where}.refusal"))
        elif isinstance(kind, str) and kind in _PARTS:
            json_object(part.get(kind), f"{where}.{kind}")
            counts[_PARTS[kind]] += 1
        else:
            raise refusal(f"'{where}.type' must be text, {', '.join(_PARTS)} or refusal.", f"{where}.type")
    return "\n".join(texts), counts


def _counted(counts: Counter[str]) -> tuple[str, ...]:
    """`1 image`, `2 audio clips`."""
    return tuple(f"{count} {kind}{'' if count == 1 else 's'}" for kind, count in counts.items())
