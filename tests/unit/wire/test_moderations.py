"""Which bodies of a moderation are taken, and what is counted of one."""

from typing import Any

import pytest

from shared.errors import InvalidRequest
from shared.wire.moderations import check_moderation, estimate_moderation

PICTURE = {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}


@pytest.mark.parametrize(
    "given", ["text", "", ["a", "b"], [{"type": "text", "text": "a"}, PICTURE], [{"type": "audio"}]]
)
def test_texts_and_parts_are_taken_with_and_without_a_model(given: Any) -> None:
    check_moderation({"input": given})
    check_moderation({"input": given, "model": "m"})


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({}, "input"),
        ({"input": None}, "input"),
        ({"input": []}, "input"),
        ({"input": 7}, "input"),
        ({"input": ["a", 1]}, "input[1]"),
        ({"input": ["a", PICTURE]}, "input[1]"),
        ({"input": [[1]]}, "input[0]"),
        ({"input": [{}]}, "input[0].type"),
        ({"input": [{"type": 1}]}, "input[0].type"),
        ({"input": [{"type": "text"}]}, "input[0].text"),
        ({"input": [{"type": "image_url", "image_url": "https://example.com"}]}, "input[0].image_url"),
        ({"input": "a", "model": ""}, "model"),
    ],
)
def test_what_is_wrong_is_refused_by_its_name(body: Any, param: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        check_moderation(body)
    assert caught.value.param == param


def test_a_picture_counts_as_one_of_low_detail() -> None:
    usage = estimate_moderation({"input": [{"type": "text", "text": "abcde"}, PICTURE]}, None)
    assert (usage.prompt, usage.estimated) == (87, True)
    assert estimate_moderation({"input": ["abcd", "e"]}, None).prompt == 2
