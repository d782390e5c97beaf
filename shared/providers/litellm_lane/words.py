"""The words of an error: what a provider said, without what LiteLLM wraps around it."""

import ast
from collections.abc import Sequence

import orjson

from shared.telemetry.redaction import scrub

MESSAGE_LIMIT = 2000
"""Characters of a message that are passed on."""


def readable(body: bytes) -> str:
    """An error body as OpenAI would shape it, out of what providers and LiteLLM make of theirs."""
    text = body.decode("utf-8", "replace").strip()
    if text[:2] in ("b'", 'b"'):
        try:
            text = ast.literal_eval(text).decode("utf-8", "replace")
        except (ValueError, SyntaxError, AttributeError):
            return text
    start = text.find("{")
    if start < 0:
        return text
    try:
        content = orjson.loads(text[start:] if not text.startswith("[") else text)
    except orjson.JSONDecodeError:
        return text
    content = content[0] if isinstance(content, list) and content else content
    error = content.get("error", content) if isinstance(content, dict) else content
    if not isinstance(error, dict):
        return text
    if isinstance(error.get("code"), int) and isinstance(error.get("status"), str):
        # Google: the number repeats the HTTP status, the word says what is wrong.
        error = {**error, "code": error["status"]}
    return orjson.dumps({"error": error}).decode()


def clean(error: BaseException, secrets: Sequence[str]) -> str:
    """LiteLLM's message without prefixes (`litellm.BadRequestError: VertexAIException - …`) and advice."""
    text = str(getattr(error, "message", None) or error)
    text = text.partition(" LiteLLM Retried")[0]
    while True:
        head, separator, rest = text.partition(": ")
        if separator and rest and (head.startswith("litellm.") or head.endswith(("Error", "Exception"))):
            text = rest
            continue
        break
    head, separator, rest = text.partition(" - ")
    if separator and rest and "Exception" in head and len(head) < 80:
        text = rest
    for advice in (
        "To drop these, set",
        "To drop unsupported params",
        "This looks like a bug in LiteLLM",
        "Received Messages=",
        "File an issue",
    ):
        text = text.partition(advice)[0].strip()
    return scrub(text[:MESSAGE_LIMIT] or "The call of the provider failed.", secrets)
