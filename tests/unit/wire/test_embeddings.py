"""Which bodies of an embeddings call are taken, and what is counted of one."""

from typing import Any

import pytest

from shared.errors import InvalidRequest
from shared.wire.embeddings import (
    check_embedding_ranges,
    check_embeddings,
    estimate_embeddings,
    has_tokens,
    wanted_format,
)


def refused(body: Any) -> str | None:
    """The field that is named where the body is refused, an empty text where it is taken."""
    try:
        check_embeddings(body)
        check_embedding_ranges(body)
    except InvalidRequest as error:
        return error.param
    return ""


@pytest.mark.parametrize(
    "given", ["text", ["a"], ["a", "b"], [1, 2], [0], [[1], [2, 3]], ["x"] * 2048, list(range(9000))]
)
def test_texts_and_token_lists_are_taken(given: Any) -> None:
    assert refused({"input": given, "dimensions": 256, "encoding_format": "base64"}) == ""


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({}, "input"),
        ({"input": None}, "input"),
        ({"input": ""}, "input"),
        ({"input": []}, "input"),
        ({"input": 7}, "input"),
        ({"input": {}}, "input"),
        ({"input": ["a", ""]}, "input[1]"),
        ({"input": ["a", None]}, "input[1]"),
        ({"input": [[1], []]}, "input[1]"),
        ({"input": [[1, -1]]}, "input[0]"),
        ({"input": [[True]]}, "input[0]"),
        ({"input": [True]}, "input[0]"),
        ({"input": [1.5]}, "input[0]"),
        ({"input": [-1]}, "input[0]"),
        ({"input": ["a", [1]]}, "input"),
        ({"input": [{"text": "a"}]}, "input"),
        ({"input": ["x"] * 2049}, "input"),
        ({"input": [[1]] * 2049}, "input"),
        ({"input": "a", "dimensions": 0}, "dimensions"),
        ({"input": "a", "dimensions": True}, "dimensions"),
        ({"input": "a", "dimensions": "8"}, "dimensions"),
        ({"input": "a", "encoding_format": "int8"}, "encoding_format"),
        ({"input": "a", "encoding_format": 1}, "encoding_format"),
        ({"input": "a", "model": 1}, "model"),
    ],
)
def test_what_is_wrong_is_refused_by_its_name(body: Any, param: str) -> None:
    assert refused(body) == param


@pytest.mark.parametrize(
    "body",
    [
        {"input": ["x"] * 2049},
        {"input": [{"image": "data:"}, "text"]},
        {"input": "a", "encoding_format": "int8"},
    ],
)
def test_other_providers_have_limits_of_their_own(body: Any) -> None:
    check_embeddings(body)


def test_absent_means_floats_and_a_providers_own_format_none_of_ours() -> None:
    assert wanted_format({}) == wanted_format({"encoding_format": None}) == "float"
    assert wanted_format({"encoding_format": "base64"}) == "base64"
    assert wanted_format({"encoding_format": "ubinary"}) is None


def test_tokens_are_counted_and_texts_estimated_each_on_its_own() -> None:
    for given, tokens in (("abcde", 2), (["a", "b"], 2), ([5, 6, 7], 3), ([[1], [2, 3]], 3)):
        usage = estimate_embeddings({"input": given}, None)
        assert (usage.prompt, usage.completion, usage.estimated) == (tokens, 0, True)


def test_tokens_are_found_wherever_they_stand() -> None:
    assert has_tokens([1, 2])
    assert has_tokens([[1], [2]])
    assert has_tokens(["a", [1]])
    assert not has_tokens("a")
    assert not has_tokens(["a", "b"])
