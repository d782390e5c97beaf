"""Images: what is refused of a request, what is read of an answer, and when a stream of them is whole."""

import io
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared import Json
from shared.errors import InvalidRequest, InvalidValue, MissingParameter
from shared.providers.calls import Answer, Form, Upload
from shared.wire.events import Event
from shared.wire.images import (
    ImageReading,
    asks_for_events,
    check_edit,
    check_edit_form,
    check_edit_json,
    check_generation,
    check_image_ranges,
    check_variation,
    check_variation_form,
    measure_images,
    without_pictures,
)
from shared.wire.usage import Usage
from tests.upstreams.pictures import image_frames

DATA_URL = "data:image/png;base64,QUFB"


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({}, "prompt"),
        ({"prompt": None}, "prompt"),
        ({"prompt": ""}, "prompt"),
        ({"prompt": ["a"]}, "prompt"),
        ({"prompt": "a", "model": 5}, "model"),
        ({"prompt": "a", "model": ""}, "model"),
        ({"prompt": "a", "n": 0}, "n"),
        ({"prompt": "a", "n": "2"}, "n"),
        ({"prompt": "a", "n": True}, "n"),
        ({"prompt": "a", "stream": "true"}, "stream"),
    ],
)
def test_a_generation_at_fault_is_refused_by_name(body: Json, param: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        check_generation(body)
    assert caught.value.param == param


@pytest.mark.parametrize(
    "body", [{"prompt": "a"}, {"prompt": "a", "n": 3, "size": "17x5", "quality": "ultra", "stream": None}]
)
def test_what_is_unheard_of_is_the_providers_to_judge(body: Json) -> None:
    check_generation(body)
    check_image_ranges(body)


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"prompt": "a" * 32_001}, "prompt"),
        ({"prompt": "a", "n": 11}, "n"),
        ({"prompt": "a", "n": "11"}, "n"),
    ],
)
def test_openais_ranges_are_named(body: Json, param: str) -> None:
    with pytest.raises(InvalidValue) as caught:
        check_image_ranges(body)
    assert caught.value.param == param


@pytest.mark.parametrize("n", ["0", "-1", "1.5", "two", "", "٣", "9" * 5000, ["1", "2"]])
def test_a_forms_number_is_text_that_means_one(n: Any) -> None:
    with pytest.raises(InvalidValue) as caught:
        check_variation({"n": n})
    assert caught.value.param == "n"


@pytest.mark.parametrize(
    ("stream", "asked"), [("true", True), ("True", True), ("false", False), (True, True), (None, False)]
)
def test_a_form_asks_for_events_in_words(stream: Any, asked: bool) -> None:
    check_edit({"prompt": "a", "stream": stream})
    assert asks_for_events({"stream": stream}) is asked


def test_a_word_that_is_neither_yes_nor_no_is_refused() -> None:
    with pytest.raises(InvalidValue) as caught:
        check_edit({"prompt": "a", "stream": "yes"})
    assert caught.value.param == "stream"


@pytest.mark.parametrize(
    ("fields", "param", "kind"),
    [
        ({}, "images", MissingParameter),
        ({"images": []}, "images", InvalidValue),
        ({"images": DATA_URL}, "images", InvalidValue),
        ({"images": [DATA_URL]}, "images[0]", InvalidValue),
        ({"images": [{}]}, "images[0].image_url", MissingParameter),
        ({"images": [{"image_url": DATA_URL}, {"file_id": "file-1"}]}, "images[1].file_id", InvalidValue),
        ({"images": [{"image_url": {"url": DATA_URL}}]}, "images[0].image_url", InvalidValue),
        (
            {"images": [{"image_url": DATA_URL}], "mask": {"file_id": "file-1"}},
            "mask.file_id",
            InvalidValue,
        ),
    ],
)
def test_an_edit_in_json_names_its_pictures_by_address(fields: Json, param: str, kind: type[Any]) -> None:
    with pytest.raises(kind) as caught:
        check_edit_json({"prompt": "a", **fields})
    assert caught.value.param == param


def form(*names: str, size: int = 3, fields: tuple[str, ...] = ()) -> Form:
    return Form(
        tuple((name, "text") for name in fields),
        tuple(Upload(name, "a.png", "image/png", io.BytesIO(bytes(size)), size) for name in names),
    )


@pytest.mark.parametrize("names", [("image",), ("image[]", "image[]"), ("image", "image"), ("image", "mask")])
def test_an_edit_takes_one_image_or_several_and_a_mask(names: tuple[str, ...]) -> None:
    check_edit_form(form(*names))


@pytest.mark.parametrize(
    ("given", "param", "kind"),
    [
        (form(), "image", MissingParameter),
        (form("mask"), "image", MissingParameter),
        (form("picture"), "image", MissingParameter),
        (form("image", size=0), "image", InvalidValue),
        (form(fields=("image",)), "image", InvalidValue),
        (form("image", "mask", "mask"), "mask", InvalidValue),
        (form("image", fields=("mask",)), "mask", InvalidValue),
    ],
)
def test_an_edit_without_its_files_is_refused_by_name(given: Form, param: str, kind: type[Any]) -> None:
    with pytest.raises(kind) as caught:
        check_edit_form(given)
    assert caught.value.param == param


def test_a_variation_takes_one_image() -> None:
    check_variation_form(form("image"))
    with pytest.raises(InvalidValue):
        check_variation_form(form("image", "image"))


TEXTS = st.text(st.characters(codec="utf-8")) | st.just('"b64_json":"')
IMAGES = st.fixed_dictionaries(
    {}, optional={"b64_json": st.text("ABCab01+/=", max_size=40), "url": TEXTS, "revised_prompt": TEXTS}
)


@given(st.fixed_dictionaries({"created": st.integers(0, 9), "data": st.lists(IMAGES)}), st.booleans())
def test_without_its_pictures_an_answer_says_the_same(content: Json, spaced: bool) -> None:
    body = orjson.dumps(content, option=orjson.OPT_INDENT_2 if spaced else 0)
    light = orjson.loads(without_pictures(body))
    emptied = [
        {name: "" if name == "b64_json" else value for name, value in image.items()}
        for image in content["data"]
    ]
    assert light == {**content, "data": emptied}


def test_a_picture_that_breaks_off_is_left_as_it_is() -> None:
    assert without_pictures(b'{"data":[{"b64_json":"QUFB') == b'{"data":[{"b64_json":"QUFB'


def test_images_are_counted_beside_the_tokens() -> None:
    content: Json = {"data": [{}, {}]}
    reported = measure_images({}, None, Answer(b"", content, usage=Usage(prompt=3, completion=5)))
    assert (reported.images, reported.prompt, reported.completion, reported.estimated) == (2, 3, 5, False)
    counted = measure_images({"prompt": "four" * 5}, None, Answer(b"", content))
    assert (counted.images, counted.prompt, counted.estimated) == (2, 5, True)


def events(count: int, partial: int) -> list[Event]:
    return [
        Event(item.data.encode(), item.json(), item.event.encode())
        for item in image_frames("image_generation", count, partial)
    ]


def test_a_stream_is_whole_with_its_last_image_and_not_before() -> None:
    reading = ImageReading({"n": 2, "prompt": "a"})
    seen = []
    for event in events(2, 1):
        reading.note(event)
        seen.append(reading.complete(False))
    assert seen == [False, False, False, True]
    usage = reading.usage()
    assert usage is not None
    assert (usage.images, usage.prompt, usage.completion) == (2, 22, 544)


def test_partial_images_are_no_answer() -> None:
    reading = ImageReading({"prompt": "a"})
    first, *_ = events(1, 2)
    assert reading.carries(first)
    reading.note(first)
    assert reading.usage() is None
    assert not reading.complete(True)


def test_events_keep_their_names_and_get_one_where_they_lack_it() -> None:
    reading = ImageReading({"prompt": "a"})
    [event] = events(1, 0)
    named = b"event: image_generation.completed\ndata: " + event.data + b"\n\n"
    assert reading.shown(event) == named
    assert reading.shown(Event(event.data, event.chunk)) == named
    assert reading.ending == b""


@pytest.mark.parametrize("preset", ["many", 1.5, None, [2]])
def test_a_count_that_is_none_means_one(preset: Any) -> None:
    reading = ImageReading({"prompt": "a", "n": preset})
    [event] = events(1, 0)
    reading.note(event)
    assert reading.complete(False)


def test_what_is_no_image_does_not_commit() -> None:
    chunk = {"type": "image_generation.in_progress"}
    assert not ImageReading({"prompt": "a"}).carries(Event(orjson.dumps(chunk), chunk))


def test_a_stream_without_usage_is_estimated() -> None:
    reading = ImageReading({"prompt": "four"})
    chunk = {"type": "image_edit.completed", "b64_json": "QUFB"}
    reading.note(Event(orjson.dumps(chunk), chunk))
    usage = reading.usage()
    assert usage is not None
    assert (usage.images, usage.prompt, usage.estimated) == (1, 1, True)
