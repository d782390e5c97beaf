"""The check that lines of a stream pass on their way into LiteLLM."""

import contextlib
from collections.abc import AsyncIterator

import pytest
from hypothesis import given
from hypothesis import strategies as some

from shared.errors import InvalidProviderResponse, ProviderServerError, ProviderUnreachable
from shared.providers.litellm_lane.lines import CheckedLines

EVENTS = ['data: {"a": 1}', "", "event: message", 'data: {"b": [1, 2]}', ""]


async def passed(*lines: str | bytes) -> list[str | bytes]:
    async def source() -> AsyncIterator[str | bytes]:
        for line in lines:
            yield line

    return [line async for line in CheckedLines(source(), ())]


async def test_whole_events_pass() -> None:
    assert await passed(*EVENTS) == ['data: {"a": 1}', "event: message", 'data: {"b": [1, 2]}']


async def test_data_over_several_lines_is_put_together() -> None:
    assert await passed('data: {"a":', "data: 1}", "") == ['data: {"a":\n1}']


async def test_a_space_after_the_colon_may_be_missing() -> None:
    assert await passed('data:{"a": 1}', "") == ['data: {"a": 1}']


async def test_comments_go_and_other_formats_pass() -> None:
    assert await passed(": still here", "", '{"not": "sse"}', b"\x00\x01") == ['{"not": "sse"}', b"\x00\x01"]


async def test_a_line_that_the_http_client_split_is_put_together() -> None:
    assert await passed('data: {"a": "one', 'two"}', "") == ['data: {"a": "one\u2028two"}']


async def test_an_event_that_is_no_json_is_refused() -> None:
    with pytest.raises(InvalidProviderResponse):
        await passed('data: {"a": ', "", 'data: {"b": 1}', "")


async def test_half_an_event_at_the_end_is_a_stream_that_broke_off() -> None:
    with pytest.raises(ProviderUnreachable):
        await passed('data: {"a": 1}', "", 'data: {"b"')


async def test_an_error_is_raised_and_what_came_before_it_passes() -> None:
    seen: list[str | bytes] = []

    async def source() -> AsyncIterator[str]:
        yield 'data: {"a": 1}'
        yield ""
        yield 'data: {"error": {"message": "No.", "type": "server_error"}}'

    lines = aiter(CheckedLines(source(), ()))
    seen.append(await anext(lines))
    with pytest.raises(ProviderServerError):
        await anext(lines)
    assert seen == ['data: {"a": 1}']


async def test_the_end_mark_is_kept_from_the_parser() -> None:
    lines = CheckedLines(_of('data: {"a": 1}', "", "data: [DONE]", ""), ())
    assert [line async for line in lines] == ['data: {"a": 1}']
    assert lines.marked


async def test_without_the_end_mark_nothing_is_marked() -> None:
    lines = CheckedLines(_of('data: {"a": 1}', ""), ())
    assert [line async for line in lines] == ['data: {"a": 1}']
    assert not lines.marked


@given(some.lists(some.text(alphabet='data: {}[]"x\u2028\n', max_size=12), max_size=8))
async def test_whatever_comes_each_line_passes_or_is_refused_by_an_error_of_ours(texts: list[str]) -> None:
    lines = [line for text in texts for line in text.splitlines() or [""]]
    with contextlib.suppress(InvalidProviderResponse, ProviderUnreachable, ProviderServerError):
        await passed(*lines)


async def _of(*lines: str) -> AsyncIterator[str]:
    for line in lines:
        yield line
