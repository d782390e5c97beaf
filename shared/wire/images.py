"""Images: what the proxy checks of a request, and what it reads of an answer and of its events.

Formats after OpenAI's API reference (Images). Fields of a form are text, so each check takes both spellings.
"""

import dataclasses
import re
from typing import Any

from shared import Json
from shared.errors import InvalidValue, MissingParameter
from shared.providers.calls import Answer, Form
from shared.wire.estimate import estimate_tokens
from shared.wire.events import Event
from shared.wire.sse import encode
from shared.wire.usage import Usage, read_usage

MAX_PROMPT = 32_000
MAX_IMAGES = 10
_PICTURE = re.compile(rb'"b64_json"\s*:\s*"')


def check_generation(body: Json) -> None:
    """A JSON body. Raises an `InvalidRequest` that names the field."""
    _check_common(body)
    _check_prompt(body)


def check_edit(body: Json) -> None:
    """The fields of a form. Raises an `InvalidRequest` that names the field."""
    _check_common(body, texts=True)
    _check_prompt(body)


def check_variation(body: Json) -> None:
    """The fields of a form. Raises an `InvalidRequest` that names the field."""
    _check_common(body, texts=True)


def check_edit_json(body: Json) -> None:
    """An edit whose pictures are addresses. Raises an `InvalidRequest` that names the field.

    Files that lie with the provider are nobody's in particular: no caller may name one.
    """
    _check_common(body)
    _check_prompt(body)
    images = body.get("images")
    if images is None:
        raise MissingParameter("images")
    if not isinstance(images, list) or not images:
        raise InvalidValue("'images' must be an array of at least one image.", param="images")
    for index, image in enumerate(images):
        _check_reference(image, f"images[{index}]")
    if body.get("mask") is not None:
        _check_reference(body["mask"], "mask")


def check_edit_form(form: Form) -> None:
    """The files of an edit: at least one image, and at most one mask."""
    _check_files(form, "image", None)
    if any(file.field == "mask" for file in form.files) or any(name == "mask" for name, _ in form.fields):
        _check_files(form, "mask", 1)


def check_variation_form(form: Form) -> None:
    """The files of a variation: exactly one image."""
    _check_files(form, "image", 1)


def check_image_ranges(body: Json) -> None:
    """OpenAI's own ranges (API reference), for OpenAI, Azure and Demo models."""
    prompt = body.get("prompt")
    if isinstance(prompt, str) and len(prompt) > MAX_PROMPT:
        raise InvalidValue(f"'prompt' must hold at most {MAX_PROMPT} characters.", param="prompt")
    n = body.get("n")
    if n is not None and int(n) > MAX_IMAGES:
        raise InvalidValue(f"'n' must be at most {MAX_IMAGES}.", param="n")


def asks_for_events(body: Json) -> bool:
    """Whether a body, or the fields of a form, ask for a stream."""
    stream = body.get("stream")
    return stream is True or (isinstance(stream, str) and stream.lower() == "true")


def estimate_images(body: Json, content: Json | None) -> Usage:
    """What a call used where the provider does not say: its prompt in tokens, and the images that came."""
    prompt = body.get("prompt")
    tokens = estimate_tokens(prompt) if isinstance(prompt, str) else 0
    return Usage(prompt=tokens, estimated=True, images=count_images(content or {}))


def measure_images(body: Json, form: Form | None, answer: Answer) -> Usage:
    """Tokens as reported, and the number of images in the answer."""
    if answer.usage is None:
        return estimate_images(body, answer.content)
    return dataclasses.replace(answer.usage, images=count_images(answer.content))


def count_images(content: Json) -> int:
    data = content.get("data")
    return len(data) if isinstance(data, list) else 0


def without_pictures(body: bytes) -> bytes:
    """An answer's JSON whose `b64_json` texts are empty: what is left to decode is small.

    The pictures are found and skipped, never decoded or copied: base64 holds no quotation mark.
    """
    kept: list[bytes] = []
    start = 0
    while (found := _PICTURE.search(body, start)) is not None:
        end = body.find(b'"', found.end())
        if end < 0:
            break
        kept.append(body[start : found.end()])
        start = end
    if not kept:
        return body
    kept.append(body[start:])
    return b"".join(kept)


class ImageReading:
    """What a stream of partial and completed images has said so far; `body` is the request's.

    It is whole with its last `….completed` event: one for each image that was asked for.
    """

    __slots__ = ("_asked", "_body", "_completed", "_used", "characters")
    ending = b""

    def __init__(self, body: Json) -> None:
        self.characters = 0
        self._body = body
        n: Any = body.get("n")
        # What the catalog presets was not checked as a request is.
        self._asked = int(n) if _is_count(n, texts=isinstance(n, str)) else 1
        self._completed = 0
        self._used: Usage | None = None

    def note(self, event: Event) -> None:
        if not _type(event).endswith(".completed"):
            return
        self._completed += 1
        used = read_usage(event.chunk.get("usage"))
        if used is not None:
            self._used = used if self._used is None else _sum(self._used, used)

    def carries(self, event: Event) -> bool:
        return _type(event).endswith((".completed", ".partial_image"))

    def shown(self, event: Event) -> bytes | None:
        return encode(event.data, event.name or _type(event).encode())

    def complete(self, marked: bool) -> bool:
        return self._completed >= (1 if marked else self._asked)

    def usage(self) -> Usage | None:
        if not self._completed:
            return None
        used = self._used or estimate_images(self._body, None)
        return dataclasses.replace(used, images=self._completed)


def _type(event: Event) -> str:
    kind = event.chunk.get("type")
    if isinstance(kind, str) and kind.isprintable():
        return kind
    return event.name.decode("utf-8", "replace")


def _sum(one: Usage, other: Usage) -> Usage:
    return dataclasses.replace(
        one,
        prompt=one.prompt + other.prompt,
        completion=one.completion + other.completion,
        cached=one.cached + other.cached,
        reasoning=one.reasoning + other.reasoning,
    )


def _check_common(body: Json, texts: bool = False) -> None:
    """`texts` says that the values come out of a form."""
    model = body.get("model")
    if model is not None and (not isinstance(model, str) or not model):
        raise InvalidValue("'model' must be text.", param="model")
    n = body.get("n")
    if n is not None and not _is_count(n, texts):
        raise InvalidValue("'n' must be a whole number of 1 or more.", param="n")
    stream = body.get("stream")
    known = isinstance(stream, bool) or (texts and str(stream).lower() in ("true", "false"))
    if stream is not None and not known:
        raise InvalidValue("'stream' must be true or false.", param="stream")


def _is_count(value: Any, texts: bool) -> bool:
    if texts:
        return (
            isinstance(value, str)
            and value.isascii()
            and value.isdigit()
            and len(value) < 10
            and int(value) > 0
        )
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


def _check_prompt(body: Json) -> None:
    prompt = body.get("prompt")
    if prompt is None:
        raise MissingParameter("prompt")
    if not isinstance(prompt, str) or not prompt:
        raise InvalidValue("'prompt' must be text.", param="prompt")


def _check_reference(image: Any, param: str) -> None:
    if not isinstance(image, dict):
        raise InvalidValue("An image must be an object.", param=param)
    if image.get("file_id") is not None:
        raise InvalidValue(
            "Images are given by 'image_url'; files are not kept here.", param=f"{param}.file_id"
        )
    address = image.get("image_url")
    if address is None:
        raise MissingParameter(f"{param}.image_url")
    if not isinstance(address, str) or not address:
        raise InvalidValue("'image_url' must be text.", param=f"{param}.image_url")


def _check_files(form: Form, name: str, most: int | None) -> None:
    names = (name, f"{name}[]")
    files = [file for file in form.files if file.field in names]
    if any(field in names for field, _ in form.fields):
        raise InvalidValue(f"'{name}' must be a file.", param=name)
    if not files:
        raise MissingParameter(name)
    if most is not None and len(files) > most:
        raise InvalidValue(f"'{name}' must be one file.", param=name)
    if any(file.size == 0 for file in files):
        raise InvalidValue(f"The file in '{name}' is empty.", param=name)
