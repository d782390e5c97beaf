"""The demo model's pictures: PNGs that can be decoded, and read."""

import base64
import io
import struct
import zlib
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openai.types import ImagesResponse

from shared import Json
from shared.catalog.documents import Model, parse_document
from shared.clock import ManualClock
from shared.errors import ProviderRefusal
from shared.providers.calls import Answer, Call, Form, Upload
from shared.providers.demo import DemoProvider
from shared.providers.demo.images_drawing import SIGNATURE, draw
from shared.providers.demo.images_font import GLYPHS, HEIGHT, WIDTH, drawable
from shared.wire.images import ImageReading

NOW = 1_800_000_000


def model() -> Model:
    document, _ = parse_document(
        {
            "id": "demo-image",
            "code": "demo-image",
            "provider": "Demo",
            "model_type": "Demo",
            "operations": ["images"],
        },
        strict=True,
    )
    assert isinstance(document, Model)
    return document


async def ask(path: str = "images/generations", form: Form | None = None, **body: Any) -> Answer:
    fields: Json = {"model": "demo-image", "prompt": "A cat & a dog", **body}
    return await DemoProvider(ManualClock(NOW)).send(Call("images", path, model(), fields, form=form))


class Picture:
    """A PNG, decoded by the specification: its checksums hold and its rows have the size it names."""

    def __init__(self, content: bytes) -> None:
        assert content.startswith(SIGNATURE)
        chunks: dict[bytes, bytes] = {}
        position = len(SIGNATURE)
        while position < len(content):
            [size] = struct.unpack_from(">I", content, position)
            name = content[position + 4 : position + 8]
            data = content[position + 8 : position + 8 + size]
            [checksum] = struct.unpack_from(">I", content, position + 8 + size)
            assert checksum == zlib.crc32(name + data)
            chunks[name] = data
            position += 12 + size
        assert list(chunks) == [b"IHDR", b"PLTE", b"IDAT", b"IEND"]
        self.width, self.height, *rest = struct.unpack(">IIBBBBB", chunks[b"IHDR"])
        assert rest == [1, 3, 0, 0, 0]
        assert len(chunks[b"PLTE"]) == 6
        raw = zlib.decompress(chunks[b"IDAT"])
        size = -(-self.width // 8) + 1
        assert len(raw) == size * self.height
        lines = [raw[start : start + size] for start in range(0, len(raw), size)]
        assert all(line[0] == 0 for line in lines)
        self.rows = ["".join(f"{byte:08b}" for byte in line[1:])[: self.width] for line in lines]

    def words(self) -> str:
        """What stands on it, read back letter by letter. The first line tells how large the letters are."""
        inked = [index for index, row in enumerate(self.rows) if "1" in row]
        if not inked:
            return ""
        letters = {rows: letter for letter, rows in GLYPHS.items()}
        for scale in range(8, 0, -1):
            lines = []
            step, top = scale * (HEIGHT + 2), scale * 3
            for start in range(top, self.height - scale * HEIGHT + 1, step):
                columns = (self.width // scale - 4) // (WIDTH + 1)
                line = "".join(self._letter(start, column, scale, letters) for column in range(columns))
                lines.append(line.rstrip())
            text = " ".join(line for line in lines if line)
            if text and "?!" not in text:
                return text
        raise AssertionError("no letters")

    def _letter(self, top: int, column: int, scale: int, letters: dict[bytes, str]) -> str:
        left = scale * (2 + column * (WIDTH + 1))
        bits = bytes(
            int(self.rows[top + number * scale][left : left + WIDTH * scale : scale], 2)
            for number in range(HEIGHT)
        )
        return letters.get(bits, "?!")


def pictures(answer: Answer) -> list[Picture]:
    data = orjson.loads(answer.body)["data"]
    return [Picture(base64.b64decode(image["b64_json"])) for image in data]


async def test_the_prompt_can_be_read_on_the_picture() -> None:
    answer = await ask()
    [picture] = pictures(answer)
    assert (picture.width, picture.height) == (1024, 1024)
    assert picture.words() == "A CAT & A DOG"
    content = ImagesResponse.model_validate(orjson.loads(answer.body))
    assert content.created == NOW
    assert content.usage is not None
    assert content.usage.total_tokens == content.usage.input_tokens + content.usage.output_tokens
    assert answer.usage is not None
    assert answer.usage.completion == 1024


async def test_accents_go_and_signs_stay() -> None:
    [picture] = pictures(await ask(prompt='Café "Straße": 1 + 1 = 2!', size="600x300"))
    assert picture.words() == 'CAFE "STRASSE": 1 + 1 = 2!'


async def test_several_images_say_which_they_are() -> None:
    assert [picture.words() for picture in pictures(await ask(n=2))] == [
        "A CAT & A DOG (1 OF 2)",
        "A CAT & A DOG (2 OF 2)",
    ]


async def test_an_address_holds_the_picture() -> None:
    [image] = orjson.loads((await ask(response_format="url")).body)["data"]
    head, _, data = image["url"].partition(",")
    assert head == "data:image/png;base64"
    assert Picture(base64.b64decode(data)).words() == "A CAT & A DOG"


async def test_an_edit_says_what_was_uploaded() -> None:
    form = Form(
        (),
        (
            Upload("image[]", "größe.png", "image/png", io.BytesIO(b"123"), 3),
            Upload("mask", "mask.png", "image/png", io.BytesIO(b"12"), 2),
        ),
    )
    answer = await ask("images/edits", form, n="1")
    [image] = orjson.loads(answer.body)["data"]
    said = "A cat & a dog - made from größe.png (image/png, 3 bytes), mask mask.png (image/png, 2 bytes)"
    assert image["revised_prompt"] == said
    assert Picture(base64.b64decode(image["b64_json"])).words() == drawable(said)


async def test_a_variation_needs_no_prompt() -> None:
    form = Form((), (Upload("image", "a.png", "image/png", io.BytesIO(b"1"), 1),))
    call = Call("images", "images/variations", model(), {"n": "2"}, form=form)
    answer = await DemoProvider(ManualClock(NOW)).send(call)
    assert [picture.words()[:11] for picture in pictures(answer)] == ["A VARIATION"] * 2


async def test_what_means_nothing_to_it_is_named() -> None:
    answer = await ask(quality="high", output_format="webp", stability=3, user="someone")
    assert answer.dropped == ("output_format", "quality", "stability")
    assert (await ask(output_format="png")).dropped == ()


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"size": "tiny"}, "size"),
        ({"size": "1x1"}, "size"),
        ({"size": "5000x5000"}, "size"),
        ({"size": 5}, "size"),
        ({"response_format": "png"}, "response_format"),
        ({"partial_images": 4}, "partial_images"),
        ({"n": 11}, "n"),
    ],
)
async def test_what_it_cannot_draw_is_refused(fields: Json, param: str) -> None:
    with pytest.raises(ProviderRefusal) as caught:
        await ask(**fields)
    assert (caught.value.status, caught.value.param) == (400, param)


async def test_a_picture_grows_from_event_to_event() -> None:
    body: Json = {"prompt": "A cat", "stream": True, "partial_images": 2, "n": 2}
    call = Call("images", "images/generations", model(), body, streamed=True)
    events = await DemoProvider(ManualClock(NOW)).open(call)
    reading = ImageReading(body)
    told = []
    async for event in events:
        reading.note(event)
        told.append(event.chunk)
    kinds = [chunk["type"].removeprefix("image_generation.") for chunk in told]
    assert kinds == ["partial_image", "partial_image", "completed"] * 2
    drawn = [Picture(base64.b64decode(chunk["b64_json"])) for chunk in told]
    whole = drawn[2].rows
    same = [
        sum(one == other for one, other in zip(picture.rows, whole, strict=True)) for picture in drawn[:3]
    ]
    assert same[0] < same[1] < same[2] == 1024
    assert [chunk.get("partial_image_index") for chunk in told[:3]] == [0, 1, None]
    assert reading.complete(False)


@settings(max_examples=40)
@given(
    st.text(max_size=300),
    st.integers(16, 400),
    st.integers(16, 400),
    st.floats(0, 1),
)
def test_whatever_is_asked_for_becomes_a_picture(text: str, width: int, height: int, part: float) -> None:
    picture = Picture(draw(text, width, height, part))
    assert (picture.width, picture.height) == (width, height)
