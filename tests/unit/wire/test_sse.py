"""The decoder of server-sent events, cut at every byte."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.wire.sse import Decoder, ServerSentEvent, encode

STREAM = (
    b"\xef\xbb\xbf: a comment\n\n"
    b'data: {"a": 1}\n\n'
    b"event: note\ndata: first\ndata: second\nid: 7\nretry: 10\n\n"
    b'data:{"text": "\xc3\xa4\xe2\x82\xac"}\n\n'
    b"data\n\n"
    b"\n\n"
    b"data: [DONE]\n\n"
)
EVENTS = [
    ServerSentEvent(b'{"a": 1}'),
    ServerSentEvent(b"first\nsecond", b"note"),
    ServerSentEvent('{"text": "ä€"}'.encode()),
    ServerSentEvent(b""),
    ServerSentEvent(b"[DONE]"),
]


def decode(*chunks: bytes) -> list[ServerSentEvent]:
    decoder = Decoder()
    return [event for chunk in chunks for event in decoder.feed(chunk)] + decoder.flush()


@pytest.mark.parametrize("ending", [b"\n", b"\r\n", b"\r"])
def test_a_stream_cut_at_every_byte_gives_the_same_events(ending: bytes) -> None:
    stream = STREAM.replace(b"\n", ending)
    for cut in range(len(stream) + 1):
        assert decode(stream[:cut], stream[cut:]) == EVENTS
    assert decode(*(stream[i : i + 1] for i in range(len(stream)))) == EVENTS


def test_an_event_without_its_last_blank_line_comes_at_the_end() -> None:
    decoder = Decoder()
    assert decoder.feed(b"data: [DONE]\n") == []
    assert decoder.flush() == [ServerSentEvent(b"[DONE]")]
    assert decoder.flush() == []


def test_an_event_is_not_given_before_it_is_complete() -> None:
    decoder = Decoder()
    assert decoder.feed(b"data: 1\n") == []
    assert decoder.feed(b"\n") == [ServerSentEvent(b"1")]


@given(st.lists(st.binary().filter(lambda data: b"\n" not in data and b"\r" not in data)), st.data())
def test_what_is_encoded_is_decoded(payloads: list[bytes], data: st.DataObject) -> None:
    stream = b"".join(map(encode, payloads))
    cut = data.draw(st.integers(0, len(stream)))
    assert [event.data for event in decode(stream[:cut], stream[cut:])] == payloads


@given(st.lists(st.binary()))
def test_arbitrary_bytes_never_raise(chunks: list[bytes]) -> None:
    decode(*chunks)
