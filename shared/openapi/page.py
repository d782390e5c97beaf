"""The reference as one HTML page: made of the document, without scripts, and with nothing from elsewhere."""

import json
from collections.abc import Iterator
from html import escape
from typing import Any

from shared import Json
from shared.openapi.endpoint import FORM
from shared.openapi.markdown import rendered
from shared.openapi.style import STYLE

_DEEPEST = 4
"""Levels of objects in objects that a table opens; below, it says the name alone."""


def reference_page(document: Json) -> bytes:
    """UTF-8. `document` is what `build_document` gives."""
    return Page(document).html().encode()


class Page:
    """Writes the page of one document."""

    def __init__(self, document: Json) -> None:
        self._document = document
        self._components: Json = document["components"]

    def html(self) -> str:
        info = self._document["info"]
        title = escape(info["title"])
        return (
            f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
            '<meta name="viewport" content="width=device-width,initial-scale=1">'
            f"<style>{STYLE}</style></head><body><nav>{''.join(self._contents())}</nav><main>"
            f"<h1>{title} <small>{escape(info['version'])}</small></h1>{rendered(info['description'])}"
            '<p>For programs: <a href="openapi.json">openapi.json</a>.</p>'
            f"{''.join(self._sections())}</main></body></html>"
        )

    def _operations(self, tag: str) -> Iterator[tuple[str, str, Json]]:
        for path, item in self._document["paths"].items():
            for method, operation in item.items():
                if tag in operation["tags"]:
                    yield method.upper(), path, operation

    def _contents(self) -> Iterator[str]:
        for tag in self._document["tags"]:
            yield f"<h2>{escape(tag['name'])}</h2><ul>"
            for method, path, operation in self._operations(tag["name"]):
                yield (
                    f'<li><a href="#{escape(operation["operationId"])}"><b class="{method}">{method}</b> '
                    f"{escape(path)}</a></li>"
                )
            yield "</ul>"

    def _sections(self) -> Iterator[str]:
        for tag in self._document["tags"]:
            yield f"<h2>{escape(tag['name'])}</h2>"
            for method, path, operation in self._operations(tag["name"]):
                yield from self._section(method, path, operation)

    def _section(self, method: str, path: str, operation: Json) -> Iterator[str]:
        yield (
            f'<section id="{escape(operation["operationId"])}"><h3><b class="{method}">{method}</b> '
            f'<code>{escape(path)}</code></h3><p class="summary">{escape(operation["summary"])}</p>'
        )
        yield rendered(operation.get("description", ""))
        if not operation["security"]:
            yield "<p>No key is needed.</p>"
        yield from self._parameters(operation)
        same = operation.get("x-same-as")
        if same is not None:
            yield f'<p>Everything else is as with <a href="#{escape(same)}">{escape(same)}</a>.</p></section>'
            return
        if "requestBody" in operation:
            body = self._resolved(operation["requestBody"])
            for media, content in body["content"].items():
                yield f"<h4>Body <code>{escape(media)}</code></h4>{self._table(content['schema'])}"
                for example in content.get("examples", {}).values():
                    yield self._example(f"{method} $LLMPROXY{path}", media, content["schema"], example)
        yield "<h4>Answers</h4><table>"
        for status, answer in operation["responses"].items():
            yield self._answer(status, self._resolved(answer))
        yield "</table></section>"

    def _parameters(self, operation: Json) -> Iterator[str]:
        if not operation.get("parameters"):
            return
        yield "<h4>Parameters</h4><table>"
        for parameter in operation["parameters"]:
            name = f"<code>{escape(parameter['name'])}</code> <i>{parameter['in']}</i>"
            yield self._row(
                name, parameter["schema"], parameter.get("description", ""), parameter.get("required")
            )
        yield "</table>"

    def _example(self, request: str, media: str, schema: Json, example: Json) -> str:
        """A command of a shell that sends it."""
        command = f'curl -X {request} -H "Authorization: Bearer $KEY"'
        if media == FORM:
            fields = self._resolved(schema).get("properties", {})
            for name, value in example["value"].items():
                file = "@" if fields.get(name, {}).get("format") == "binary" else ""
                command += f" \\\n  -F {_quoted(f'{name}={file}{_text(value)}')}"
        else:
            text = json.dumps(example["value"], indent=2, ensure_ascii=False)
            command += f' \\\n  -H "Content-Type: {media}" -d {_quoted(text)}'
        summary = escape(example["summary"])
        return f"<details><summary>Example: {summary}</summary><pre>{escape(command)}</pre></details>"

    def _answer(self, status: str, answer: Json) -> str:
        content = "".join(
            f"<p><code>{escape(media)}</code>{', one object in each event' if body.get('x-each-event') else ''}</p>"
            f"{self._table(body['schema']) if body.get('schema') else ''}"
            for media, body in answer.get("content", {}).items()
            if int(status) < 400
        )
        return f"<tr><td>{status}</td><td>{rendered(answer['description'])}{content}</td></tr>"

    def _table(self, schema: Json, depth: int = 0) -> str:
        schema = self._resolved(schema)
        if "allOf" in schema:
            return "".join(self._table(part, depth) for part in schema["allOf"])
        rows = "".join(
            self._row(
                f"<code>{escape(name)}</code>",
                inner,
                self._resolved(inner).get("description", ""),
                name in schema.get("required", ()),
                depth + 1,
            )
            for name, inner in schema.get("properties", {}).items()
        )
        if rows:
            return f"<table>{rows}</table>"
        options = [self._table(part, depth) for part in schema.get("anyOf", ())]
        return " or ".join(option for option in options if option)

    def _row(self, name: str, schema: Json, description: str, required: Any = False, depth: int = 1) -> str:
        mark = ' <em title="required">*</em>' if required else ""
        inner = "" if depth >= _DEEPEST else self._inner(schema, depth)
        details = f"<details><summary>fields</summary>{inner}</details>" if inner else ""
        kind = escape(self._kind(schema))
        return f"<tr><td>{name}{mark}</td><td><i>{kind}</i> {rendered(description)}{details}</td></tr>"

    def _inner(self, schema: Json, depth: int) -> str:
        """The fields of an object, or of the objects in a list."""
        resolved = self._resolved(schema)
        if "items" in resolved:
            return self._inner(resolved["items"], depth)
        return self._table(resolved, depth)

    def _kind(self, schema: Json) -> str:
        """What a value is, in a few words."""
        if "$ref" in schema:
            return str(schema["$ref"].rpartition("/")[2])
        if "anyOf" in schema:
            return " or ".join(dict.fromkeys(self._kind(part) for part in schema["anyOf"]))
        if "const" in schema:
            return json.dumps(schema["const"])
        if "enum" in schema:
            return " | ".join(str(value) for value in schema["enum"])
        kinds = schema.get("type", "any")
        named = " or ".join(kinds) if isinstance(kinds, list) else str(kinds)
        return (
            named.replace("array", f"array of {self._kind(schema['items'])}") if "items" in schema else named
        )

    def _resolved(self, item: Json) -> Json:
        reference = item.get("$ref")
        if reference is None:
            return item
        _, _, kind, name = reference.split("/")
        found: Json = self._components[kind][name]
        return found


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _quoted(text: str) -> str:
    """As one word of a shell."""
    return "'" + text.replace("'", "'\\''") + "'"
