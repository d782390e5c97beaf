"""Sends the examples of the reference: what each takes for granted is made first."""

import io
import json
import re
import wave
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import aiohttp

from shared import Json
from shared.openapi.document import described
from shared.openapi.endpoint import Endpoint, Example
from shared.providers.demo.images_drawing import draw

DESCRIBED = described()
WORKING = [(endpoint, example) for endpoint in DESCRIBED for example in endpoint.examples if example.demo]
"""The examples that the demo models can answer, or that need no model."""


def name_of(endpoint: Endpoint, example: Example) -> str:
    return f"{endpoint.id}-{example.name}"


@dataclass
class Sent:
    """An answer. `media` is its type without parameters."""

    status: int
    media: str
    body: bytes

    def events(self) -> Iterator[Json]:
        """The data of each server-sent event but for the end mark."""
        for line in self.body.decode().splitlines():
            if line.startswith("data: ") and line != "data: [DONE]":
                yield json.loads(line.removeprefix("data: "))


class Sender:
    """Asks one app, as its administrator."""

    def __init__(self, session: aiohttp.ClientSession, url: str, key: str) -> None:
        self._session = session
        self._url = url
        self._headers = {"authorization": f"Bearer {key}"}

    async def send(self, endpoint: Endpoint, example: Example) -> Sent:
        """Sends an example, once there is what it is about."""
        return await self._send(endpoint, await self._prepared(endpoint, example))

    async def _send(self, endpoint: Endpoint, example: Example) -> Sent:
        path = re.sub(r"\{(\w+)\}", lambda name: example.path[name[1]], endpoint.path)
        body: dict[str, Any] = {"data": form(example)} if example.files else {"json": example.body}
        async with self._session.request(
            endpoint.method, self._url + path, params=dict(example.query), headers=self._headers, **body
        ) as answer:
            media = answer.headers.get("content-type", "").partition(";")[0]
            return Sent(answer.status, media, await answer.read())

    async def _prepared(self, endpoint: Endpoint, example: Example) -> Example:
        base = endpoint.path.partition("/{")[0]
        creation = next((one for one in DESCRIBED if one.path == base and one.method == "POST"), None)
        if creation is None or (endpoint is creation and not base.startswith("/manage/")):
            return example
        first = creation.examples[0]
        one = next((one for one in DESCRIBED if one.path == base + "/{id}" and one.method == "DELETE"), None)
        if endpoint is creation:
            if one is not None and "id" in (example.body or {}):
                await self._send(one, Example("", "", path={"id": (example.body or {})["id"]}))
            return example
        if "{id}" not in endpoint.path:
            return example
        made = await self._send(creation, first)
        if "id" in example.path:
            return example
        return replace(example, path={"id": json.loads(made.body)["id"]})


def form(example: Example) -> aiohttp.FormData:
    """The fields of an example, and real files."""
    data = aiohttp.FormData()
    for name, value in (example.body or {}).items():
        data.add_field(name, value if isinstance(value, str) else json.dumps(value))
    for name, kind in example.files.items():
        data.add_field(
            name, _FILES[kind](), filename=f"example.{kind}", content_type="application/octet-stream"
        )
    return data


def wav() -> bytes:
    """Half a second of silence."""
    held = io.BytesIO()
    with wave.open(held, "wb") as sound:
        sound.setparams((1, 2, 8000, 0, "NONE", "not compressed"))
        sound.writeframes(b"\0\0" * 4000)
    return held.getvalue()


def png() -> bytes:
    return draw("An example", 64, 64)


_FILES = {"wav": wav, "png": png}
