import pytest

from shared.access.credentials import presented_key
from shared.errors import InvalidApiKey, MissingApiKey


@pytest.mark.parametrize(
    "headers",
    [
        ("Bearer k1", None, None),
        ("bearer k1", None, None),
        ("BEARER   k1 ", None, None),
        (None, "k1", None),
        (None, None, " k1"),
        ("Bearer k1", "k1", "k1"),
        ("Bearer ", "k1", None),
        ("", "", "k1"),
    ],
)
def test_one_key_is_found_wherever_it_stands(headers: tuple[str | None, str | None, str | None]) -> None:
    assert presented_key(*headers) == "k1"


@pytest.mark.parametrize("headers", [(None, None, None), ("", None, " "), ("Bearer", None, None)])
def test_no_key_is_a_missing_key(headers: tuple[str | None, str | None, str | None]) -> None:
    with pytest.raises(MissingApiKey) as raised:
        presented_key(*headers)
    assert (raised.value.status, raised.value.code) == (401, "missing_api_key")


@pytest.mark.parametrize(
    "headers",
    [("Bearer k1", "k2", None), ("Bearer k1", None, "k2"), (None, "k1", "k2"), ("Basic azE6", None, None)],
)
def test_two_keys_that_differ_and_other_schemes_are_refused(
    headers: tuple[str | None, str | None, str | None],
) -> None:
    with pytest.raises(InvalidApiKey) as raised:
        presented_key(*headers)
    assert raised.value.status == 401
    assert "k1" not in raised.value.message
