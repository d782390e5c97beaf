"""Images of the demo model, in OpenAI's wire format (API reference, Images): PNGs with the prompt written on them."""

import asyncio
import base64
from collections.abc import Iterator

import orjson

from shared import Json
from shared.providers.demo.fields import refusal
from shared.providers.demo.images_drawing import draw
from shared.providers.demo.operation import Question
from shared.wire.estimate import PART_TOKENS, estimate_tokens
from shared.wire.images import MAX_IMAGES

MAX_SIDE = 4096
MAX_PIXELS = 4096 * 4096
DEFAULT_SIZE = "1024x1024"
PATCH = 32
"""Pixels on each side of what counts as one token of a picture."""
_UNDERSTOOD = frozenset(
    ("model", "prompt", "n", "size", "response_format", "stream", "partial_images", "image", "images", "mask")
)
_WITHOUT_EFFECT = frozenset(("user", "moderation"))


class Images:
    """An operation: generation, edit or variation. Raises `ProviderRefusal` when it is made."""

    def __init__(self, question: Question) -> None:
        body = question.body
        self._created = question.created
        self._number = _number(body, "n", 1, MAX_IMAGES) or 1
        self._partial = _number(body, "partial_images", 0, 3) or 0
        self._width, self._height = _size(body.get("size"))
        self._kind = "image_edit" if question.form is not None or "images" in body else "image_generation"
        self._as_address = _as_address(body.get("response_format"))
        self._sources = _sources(question)
        prompt = body.get("prompt")
        self._words = prompt if isinstance(prompt, str) else "A variation"
        self.dropped = tuple(
            sorted(
                name
                for name, value in body.items()
                if value is not None
                and name not in _UNDERSTOOD | _WITHOUT_EFFECT
                and (name, value) != ("output_format", "png")
            )
        )

    def answer(self) -> Json:
        return {
            "created": self._created,
            "data": [self._image(index) for index in range(self._number)],
            "background": "opaque",
            "output_format": "png",
            "quality": "low",
            "size": f"{self._width}x{self._height}",
            "usage": self._usage(self._number),
        }

    async def rendered(self) -> tuple[bytes, Json]:
        """The whole answer as JSON, made on a thread, and what of it is accounted."""
        return await asyncio.to_thread(self._rendered)

    def _rendered(self) -> tuple[bytes, Json]:
        content = self.answer()
        return orjson.dumps(content), {**content, "data": [{} for _ in content["data"]]}

    def chunks(self) -> Iterator[Json]:
        """Of each image the partial ones, then the completed one with its usage."""
        for index in range(self._number):
            for step in range(self._partial):
                picture = self._picture(index, (step + 1) / (self._partial + 1))
                yield {**self._event("partial_image", picture), "partial_image_index": step}
            yield {**self._event("completed", self._picture(index)), "usage": self._usage(1)}

    def _event(self, kind: str, picture: str) -> Json:
        return {
            "type": f"{self._kind}.{kind}",
            "b64_json": picture,
            "created_at": self._created,
            "background": "opaque",
            "output_format": "png",
            "quality": "low",
            "size": f"{self._width}x{self._height}",
        }

    def _image(self, index: int) -> Json:
        picture = self._picture(index)
        shown = {"url": f"data:image/png;base64,{picture}"} if self._as_address else {"b64_json": picture}
        return {**shown, "revised_prompt": self._caption(index)}

    def _picture(self, index: int, part: float = 1.0) -> str:
        return base64.b64encode(draw(self._caption(index), self._width, self._height, part)).decode()

    def _caption(self, index: int) -> str:
        of = f" ({index + 1} of {self._number})" if self._number > 1 else ""
        made_from = f" - made from {', '.join(self._sources)}" if self._sources else ""
        return f"{self._words}{of}{made_from}"

    def _usage(self, images: int) -> Json:
        text, pictures = estimate_tokens(self._words), PART_TOKENS * len(self._sources)
        output = images * -(-self._width // PATCH) * -(-self._height // PATCH)
        return {
            "input_tokens": text + pictures,
            "input_tokens_details": {"text_tokens": text, "image_tokens": pictures},
            "output_tokens": output,
            "total_tokens": text + pictures + output,
        }


def _number(body: Json, name: str, low: int, high: int) -> int | None:
    """A whole number, which is text where it comes out of a form."""
    value = body.get(name)
    if value is None:
        return None
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 10:
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise refusal(f"'{name}' must be a whole number from {low} to {high}.", name)
    return value


def _size(value: object) -> tuple[int, int]:
    """(width, height) of `1536x1024`."""
    if value in (None, "auto"):
        value = DEFAULT_SIZE
    sides = value.split("x") if isinstance(value, str) else []
    if len(sides) == 2 and all(side.isascii() and side.isdigit() and len(side) < 5 for side in sides):
        width, height = int(sides[0]), int(sides[1])
        if 16 <= width <= MAX_SIDE and 16 <= height <= MAX_SIDE:
            return width, height
    raise refusal(
        f"'size' must be 'auto', or two sides of 16 to {MAX_SIDE} pixels ('{DEFAULT_SIZE}').", "size"
    )


def _as_address(value: object) -> bool:
    if value not in (None, "url", "b64_json"):
        raise refusal("'response_format' must be 'url' or 'b64_json'.", "response_format")
    return value == "url"


def _sources(question: Question) -> list[str]:
    """What was uploaded, in words."""
    if question.form is not None:
        return [
            f"{'mask ' if file.field == 'mask' else ''}{file.filename} ({file.content_type}, {file.size} bytes)"
            for file in question.form.files
        ]
    body = question.body
    images = body.get("images")
    given = [*(images if isinstance(images, list) else ()), *([body["mask"]] if body.get("mask") else ())]
    return [str(image.get("image_url"))[:60] for image in given if isinstance(image, dict)]
