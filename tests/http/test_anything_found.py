"""Arbitrary searches, preflights and questions for what is known: never a 500, always the envelope."""

from collections.abc import Iterator
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.catalog.search import SEARCH_FILTERS
from tests.http.test_anything import PATHS, Target, check

TEXT = st.text(st.characters(codec="utf-8"), max_size=12)
VALUES = TEXT | st.sampled_from(["true", "false", "-1", "0", "1e309", "nan", "inf", "9" * 400, "٣", "1_000"])
HEADER = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=60).map(str.strip)
FIXED = st.sampled_from(["/v1/models", "/v1/chat/completions", "/openai/v1/models", "/manage/keys", "/"])


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    running = Target(tmp_path_factory.mktemp("anything"), cors_origins=("https://app.example.com",))
    yield running
    running.close()


@given(query=st.dictionaries(st.sampled_from(SEARCH_FILTERS) | TEXT, VALUES, max_size=4))
def test_arbitrary_searches(target: Target, query: dict[str, str]) -> None:
    text = "&".join(f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in query.items())
    reply = target.ask("GET", f"/api/models/search?{text}")
    check(reply)
    assert reply.status in (200, 400)


@given(path=FIXED | PATHS, origin=HEADER, method=HEADER, asked=HEADER)
def test_arbitrary_preflights(target: Target, path: str, origin: str, method: str, asked: str) -> None:
    headers = {
        "Origin": origin,
        "Access-Control-Request-Method": method,
        "Access-Control-Request-Headers": asked,
    }
    reply = target.ask("OPTIONS", path, headers=headers, key=None)
    check(reply)
    assert reply.status == 204
    assert "access-control-allow-origin" not in reply.headers


@given(asked=HEADER)
def test_arbitrary_headers_that_a_page_asks_for(target: Target, asked: str) -> None:
    headers = {"Origin": "https://app.example.com", "Access-Control-Request-Headers": asked}
    reply = target.ask("OPTIONS", "/v1/models", headers=headers, key=None)
    check(reply)
    allowed = [name for name in reply.headers["access-control-allow-headers"].split(", ") if name]
    assert {name.lower() for name in allowed} <= {name.strip().lower() for name in asked.split(",")}


@given(known=HEADER)
def test_arbitrary_tags(target: Target, known: str) -> None:
    reply = target.ask("GET", "/v1/openapi.json", headers={"If-None-Match": known}, key=None)
    check(reply)
    assert reply.status in (200, 304)
