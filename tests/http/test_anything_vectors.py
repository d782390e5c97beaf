"""Arbitrary bodies for embeddings and moderations: never a 500, always the envelope."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.http.test_anything import VALUES, Target, check

PATHS = [
    ("/v1/embeddings", "demo-embedding"),
    ("/openai/deployments/demo-embedding/embeddings", "demo-embedding"),
    ("/v1/moderations", "demo-moderation"),
    ("/openai/moderations", "demo-moderation"),
]
TOKENS = st.lists(st.integers(-1, 200_000) | VALUES, max_size=5)
PARTS = st.fixed_dictionaries(
    {"type": st.sampled_from(["text", "image_url"]) | VALUES},
    optional={"text": VALUES, "image_url": VALUES | st.fixed_dictionaries({"url": VALUES})},
)
INPUTS = VALUES | TOKENS | st.lists(st.text() | TOKENS | PARTS, max_size=4)
FIELDS = {
    "encoding_format": st.sampled_from(["float", "base64", None]) | VALUES,
    "dimensions": st.integers(-1, 5_000) | VALUES,
    "user": VALUES,
    "stream": VALUES,
}


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    running = Target(tmp_path_factory.mktemp("anything"))
    yield running
    running.close()


@pytest.mark.parametrize(("path", "model"), PATHS)
@given(body=VALUES)
def test_arbitrary_json(target: Target, path: str, model: str, body: Any) -> None:
    check(target.ask("POST", path, data=json.dumps(body).encode()))


@pytest.mark.parametrize(("path", "model"), PATHS)
@given(data=st.binary(max_size=200))
def test_arbitrary_bytes(target: Target, path: str, model: str, data: bytes) -> None:
    check(target.ask("POST", path, data=data))


@pytest.mark.parametrize(("path", "model"), PATHS)
@given(body=st.fixed_dictionaries({"input": INPUTS}, optional=FIELDS))
def test_nearly_right_bodies(target: Target, path: str, model: str, body: Any) -> None:
    check(target.ask("POST", path, data=json.dumps({"model": model, **body}).encode()))
