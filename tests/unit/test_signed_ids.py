"""Signed ids: read back by their own project alone, whatever anyone makes up, and while the key is rotated."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import NotFound, ProviderUnavailable, SecretNotFound, SecretsUnavailable
from shared.secrets import SIGNING_KEY
from shared.signed_ids import MAX_ID, PREVIOUS_KEY, SignedIds, Signer

TEXTS = st.text(st.characters(codec="utf-8"), max_size=40)


class Vault:
    def __init__(self, **texts: str) -> None:
        self.texts = {name.replace("_", "-"): text for name, text in texts.items()}
        self.down: set[str] = set()

    async def get(self, name: str) -> str:
        if name in self.down:
            raise SecretsUnavailable(name)
        if name not in self.texts:
            raise SecretNotFound(name)
        return self.texts[name]

    async def close(self) -> None:
        return None


@pytest.fixture
def vault() -> Vault:
    return Vault(llmproxy_signing_key="first")


@given(st.lists(TEXTS, max_size=4), TEXTS)
def test_parts_come_back_as_they_were(parts: list[str], project: str) -> None:
    signer = Signer("key")
    id = signer.sign("resp_", parts, project)
    assert id.isascii()
    assert id.replace("_", "").replace("-", "").isalnum()
    assert signer.read("resp_", id, project) == tuple(parts)


@given(st.text(max_size=100))
def test_a_made_up_id_says_nothing(text: str) -> None:
    signer = Signer("key")
    for id in (text, "resp_" + text, signer.sign("resp_", ["a"], "p") + text[:1]):
        if id != signer.sign("resp_", ["a"], "p"):
            assert signer.read("resp_", id, "p") is None


def test_no_character_of_an_id_can_be_changed() -> None:
    signer = Signer("key")
    id = signer.sign("resp_", ["model", "resp_123"], "p")
    for at in range(len(id)):
        for other in "Aa0_-":
            changed = id[:at] + other + id[at + 1 :]
            if changed != id:
                assert signer.read("resp_", changed, "p") is None
        assert signer.read("resp_", id[:at], "p") is None


def test_an_id_belongs_to_its_project_its_prefix_and_its_key() -> None:
    id = Signer("key").sign("resp_", ["a"], "p")
    assert Signer("key").read("resp_", id, "q") is None
    assert Signer("other").read("resp_", id, "p") is None
    assert Signer("key").read("rtc_", id.replace("resp_", "rtc_"), "p") is None


def test_parts_and_project_cannot_be_moved_into_each_other() -> None:
    signer = Signer("key")
    ids = {
        signer.sign("resp_", parts, project)
        for parts, project in ((["ab", "c"], "p"), (["a", "bc"], "p"), (["abc"], "p"), (["abc", ""], "p"))
    }
    assert len(ids) == 4


def test_an_endless_id_is_not_looked_at() -> None:
    signer = Signer("key")
    assert signer.read("resp_", signer.sign("resp_", ["x" * MAX_ID], "p"), "p") is None


async def test_the_key_before_verifies_while_it_is_there(vault: Vault) -> None:
    ids = SignedIds(vault)
    id = await ids.sign("resp_", ["a"], "p")
    vault.texts[SIGNING_KEY] = "second"
    with pytest.raises(NotFound):
        await ids.verify("resp_", id, "p")
    vault.texts[PREVIOUS_KEY] = "first"
    assert await ids.verify("resp_", id, "p") == ("a",)
    assert await ids.sign("resp_", ["a"], "p") != id


async def test_what_is_wrong_with_an_id_does_not_show(vault: Vault) -> None:
    ids = SignedIds(vault)
    foreign = await ids.sign("resp_", ["a"], "other")
    for id in (foreign, "resp_x", "x", "", "resp_" + "A" * 80):
        with pytest.raises(NotFound) as caught:
            await ids.verify("resp_", id, "p", param="previous_response_id")
        assert caught.value.message == f"There is nothing with the id '{id}'."
        assert (caught.value.code, caught.value.param) == ("not_found", "previous_response_id")


@pytest.mark.parametrize("missing", [True, False])
async def test_without_the_key_nothing_is_signed_or_believed(vault: Vault, missing: bool) -> None:
    ids = SignedIds(vault)
    id = await ids.sign("resp_", ["a"], "p")
    if missing:
        del vault.texts[SIGNING_KEY]
    else:
        vault.down.add(SIGNING_KEY)
    for waiting in (ids.sign("resp_", ["a"], "p"), ids.verify("resp_", id, "p")):
        with pytest.raises(ProviderUnavailable):
            await waiting


async def test_an_unreachable_previous_key_is_not_taken_for_a_forged_id(vault: Vault) -> None:
    vault.down.add(PREVIOUS_KEY)
    with pytest.raises(ProviderUnavailable):
        await SignedIds(vault).verify("resp_", "resp_x", "p")
