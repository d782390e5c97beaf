"""Ids go through the store and come back as they were."""

import re

from hypothesis import given, settings
from hypothesis import strategies as st

from shared.adapters.document_ids import LONGEST, decode_id, encode_id

ANY_TEXT = st.text(max_size=256)


@settings(deadline=None)
@given(ANY_TEXT)
def test_an_encoded_id_is_what_cosmos_takes(id: str) -> None:
    encoded = encode_id(id)
    assert re.fullmatch(r"[A-Za-z0-9_.:@|~-]+", encoded)
    assert len(encoded) <= LONGEST
    assert encoded.strip(".") == encoded


@settings(deadline=None)
@given(ANY_TEXT)
def test_an_id_comes_back_unless_it_is_too_long_to_be_spelt_out(id: str) -> None:
    encoded = encode_id(id)
    if encoded.startswith("~~"):
        assert decode_id(encoded) == encoded
        assert len(id) > 20
    else:
        assert decode_id(encoded) == id


@settings(deadline=None)
@given(ANY_TEXT, ANY_TEXT)
def test_different_ids_stay_different(one: str, other: str) -> None:
    assert (encode_id(one) == encode_id(other)) is (one == other)


@settings(deadline=None)
@given(st.text(alphabet=st.characters(codec="ascii"), max_size=60))
def test_an_id_written_by_hand_is_read_as_some_id_that_leads_back_or_as_itself(written: str) -> None:
    assert decode_id(written) == written or encode_id(decode_id(written)) == written


def test_common_ids_can_be_read_by_people() -> None:
    for id in ("gpt-4o", "gemini-2.5-flash", "claude-3-opus@20240229", "team_a:model", "demo|2026-01-31"):
        assert encode_id(id) == id
    assert encode_id("openai/gpt-4o") == "openai~2Fgpt-4o"


def test_dots_at_the_ends_do_not_vanish_from_addresses() -> None:
    assert [encode_id(id) for id in (".", "..", ".a.b.")] == ["~2E", "~2E~2E", "~2Ea.b~2E"]
