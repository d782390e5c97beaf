import pytest

from shared.access.key_format import KeyParts, digest, new_id, new_secret, split_key


def test_a_new_key_comes_apart_into_what_it_was_made_of() -> None:
    key = KeyParts(new_id(), new_secret())
    assert split_key(key.text) == key
    assert key.text.startswith("llmp_")
    assert len(key.text) == 65


def test_keys_are_of_one_length_and_never_the_same() -> None:
    keys = {KeyParts(new_id(), new_secret()).text for _ in range(500)}
    assert len(keys) == 500
    assert {len(key) for key in keys} == {65}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "sk-something",
        "llmp_",
        "llmp_" + "a" * 60,
        "llmp_" + "a" * 16 + "_" + "b" * 42,
        "llmp_" + "a" * 16 + "_" + "b" * 44,
        "llmp_" + "a" * 15 + "-_" + "b" * 43,
        "llmp_" + "a" * 16 + "_" + "b" * 42 + "é",
        "LLMP_" + "a" * 16 + "_" + "b" * 43,
    ],
)
def test_other_texts_are_no_keys(text: str) -> None:
    assert split_key(text) is None


def test_a_digest_is_of_any_text() -> None:
    assert len(digest("\udcff é")) == 32
