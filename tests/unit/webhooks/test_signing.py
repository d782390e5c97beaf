"""The secrets of projects, and what they sign."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks import Webhook, WebhookVerificationError

from shared.errors import ProviderUnavailable
from shared.secrets import WEBHOOK_MASTER
from shared.webhooks.signing import (
    PREVIOUS_MASTER,
    WebhookSecrets,
    message_id,
    project_secret,
    signed_headers,
)
from tests.unit.webhooks.receiver import MASTER, Masters

words = st.text(max_size=40)


def test_a_projects_secret_never_changes_while_its_master_stays() -> None:
    # A change of the derivation would break every receiver there is.
    assert project_secret("master", "team") == "whsec_usszb87GV9YJ8JM0ccRly1h60BIR5Jgg0A/krFBytr0="


@given(projects=st.lists(words, unique=True, max_size=10), masters=st.lists(words, unique=True, max_size=5))
def test_no_two_projects_and_no_two_masters_share_a_secret(projects: list[str], masters: list[str]) -> None:
    keyed = {master.encode().rstrip(b"\0") for master in masters}  # HMAC fills short keys with zeros
    secrets = {project_secret(master, project) for project in projects for master in masters}
    assert len(secrets) == len(projects) * len(keyed)


@given(id=st.from_regex(r"[A-Za-z0-9_-]{1,64}", fullmatch=True), payload=words)
def test_the_library_verifies_what_is_signed_with_each_of_the_secrets(id: str, payload: str) -> None:
    secrets = [project_secret("new", "team"), project_secret("old", "team")]
    headers = signed_headers(id, time.time(), payload.encode(), secrets)
    for secret in secrets:
        Webhook(secret).verify(payload, headers, json_parse=False)
    with pytest.raises(WebhookVerificationError):
        Webhook(secrets[0]).verify(payload + " ", headers, json_parse=False)
    with pytest.raises(WebhookVerificationError):
        Webhook(secrets[0]).verify(payload, {**headers, "webhook-id": id + "x"}, json_parse=False)
    with pytest.raises(WebhookVerificationError):
        Webhook(project_secret("new", "other")).verify(payload, headers, json_parse=False)


@given(one=st.lists(words, max_size=4), other=st.lists(words, max_size=4))
def test_the_same_event_has_the_same_id_and_another_event_another(one: list[str], other: list[str]) -> None:
    assert (message_id(*one) == message_id(*other)) is (one == other)
    assert len(message_id(*one)) == 36
    assert message_id(*one).removeprefix("msg_").isalnum()


def test_an_id_never_changes() -> None:
    assert message_id("team", "job-1", "completed") == "msg_uo2qocsbv43avdex54mokd2qtw7ja6aj"


async def test_without_a_rotation_there_is_one_secret() -> None:
    secrets = WebhookSecrets(Masters())
    assert await secrets.signing("team") == (project_secret(MASTER, "team"),)
    assert await secrets.current("team") == project_secret(MASTER, "team")


async def test_the_current_secret_stands_first_and_an_equal_one_is_not_repeated() -> None:
    masters = Masters(**{WEBHOOK_MASTER: "new", PREVIOUS_MASTER: "old"})
    secrets = WebhookSecrets(masters)
    assert await secrets.signing("team") == (project_secret("new", "team"), project_secret("old", "team"))
    masters.texts[PREVIOUS_MASTER] = "new"
    assert await secrets.signing("team") == (project_secret("new", "team"),)


@pytest.mark.parametrize("texts", [{"another": "secret"}, {PREVIOUS_MASTER: "old"}])
async def test_a_missing_master_makes_what_needs_it_503(texts: dict[str, str]) -> None:
    secrets = WebhookSecrets(Masters(**texts))
    for asked in (secrets.signing, secrets.current):
        with pytest.raises(ProviderUnavailable) as caught:
            await asked("team")
        assert caught.value.status == 503
        assert caught.value.__cause__ is None


async def test_a_previous_master_that_cannot_be_read_holds_the_message_back() -> None:
    masters = Masters()
    masters.unreachable.add(PREVIOUS_MASTER)
    secrets = WebhookSecrets(masters)
    with pytest.raises(ProviderUnavailable):
        await secrets.signing("team")
    assert await secrets.current("team") == project_secret(MASTER, "team")
