"""The body of a webhook."""

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.webhooks.payload import MAX_DATA_BYTES, webhook_payload

values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=10,
)


def payload(data: dict[str, Any], public_url: str = "https://proxy.example.com") -> bytes:
    return webhook_payload(
        "chat.completion.completed",
        1_800_000_000.123,
        data,
        public_url=public_url,
        result_path="/v1/async/chat/completions/job-1/result",
    )


def sized(size: int) -> dict[str, Any]:
    """Data of exactly `size` bytes of JSON."""
    bare = {"id": "job-1", "result": {"text": ""}, "status": "completed"}
    return {**bare, "result": {"text": "x" * (size - len(orjson.dumps(bare)))}}


@given(data=st.dictionaries(st.text(max_size=8), values, max_size=5))
def test_type_time_and_data_come_through(data: dict[str, Any]) -> None:
    assert orjson.loads(payload(data)) == {
        "type": "chat.completion.completed",
        "timestamp": "2027-01-15T08:00:00.123Z",
        "data": data,
    }


def test_the_same_event_makes_the_same_bytes() -> None:
    assert payload(sized(1000)) == payload(sized(1000))


def test_data_of_a_megabyte_goes_along_whole_and_one_byte_more_brings_a_link() -> None:
    data = sized(MAX_DATA_BYTES)
    assert orjson.loads(payload(data))["data"] == data
    data = sized(MAX_DATA_BYTES + 1)
    sent = payload(data)
    assert len(sent) < 1000
    assert orjson.loads(sent)["data"] == {
        "id": "job-1",
        "result_url": "https://proxy.example.com/v1/async/chat/completions/job-1/result",
        "status": "completed",
    }
    assert "result" in data, "the caller's own data stays as it was"


def test_the_size_is_counted_in_bytes() -> None:
    data = {"id": "job-1", "result": {"text": "ü" * (MAX_DATA_BYTES // 2)}}
    assert "result_url" in orjson.loads(payload(data))["data"]


def test_the_link_begins_with_the_public_address_as_it_is() -> None:
    data = orjson.loads(payload(sized(MAX_DATA_BYTES + 1), "https://example.com/llm/"))["data"]
    assert data["result_url"] == "https://example.com/llm/v1/async/chat/completions/job-1/result"


def test_large_data_without_a_result_goes_along_whole() -> None:
    data = {"id": "job-1", "error": {"message": "x" * MAX_DATA_BYTES}}
    assert orjson.loads(payload(data))["data"] == data


def test_a_path_that_would_change_the_links_host_is_refused() -> None:
    with pytest.raises(ValueError, match="slash"):
        webhook_payload(
            "t", 0.0, sized(MAX_DATA_BYTES + 1), public_url="https://proxy.example.com", result_path=".evil/x"
        )
