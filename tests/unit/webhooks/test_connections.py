"""What a webhook's host name leads to, judged at the time of the connection; and certificates."""

import ssl
from collections.abc import AsyncIterator

import pytest
import trustme

from shared.clock import SystemClock
from shared.providers.http_client import HttpClient
from shared.webhooks.delivery import ReceiverRefused, Webhooks
from shared.webhooks.outcome import Verdict
from shared.webhooks.signing import project_secret
from tests.unit.webhooks.receiver import MASTER, Masters, Names, Receiver, message_to, verified
from tests.upstreams.behaviours import Reply

HOST = "hooks.example.com"


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def certificate(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert(HOST).configure_cert(context)
    return context


@pytest.fixture
async def receiver(certificate: ssl.SSLContext) -> AsyncIterator[Receiver]:
    """One that speaks https as `hooks.example.com`."""
    async with Receiver(certificate) as running:
        yield running


@pytest.fixture
def names() -> Names:
    return Names()


@pytest.fixture(scope="module")
def trust(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


def service(names: Names, trust: ssl.SSLContext | None, *, local: bool) -> Webhooks:
    return Webhooks(Masters(), SystemClock(), local=local, resolver=lambda: names, tls=trust)


@pytest.fixture
async def webhooks(names: Names, trust: ssl.SSLContext) -> AsyncIterator[Webhooks]:
    """As on Azure: no loopback."""
    made = service(names, trust, local=False)
    yield made
    await made.close()


@pytest.fixture
async def local(names: Names, trust: ssl.SSLContext) -> AsyncIterator[Webhooks]:
    made = service(names, trust, local=True)
    yield made
    await made.close()


async def test_a_message_arrives_over_https(local: Webhooks, names: Names, receiver: Receiver) -> None:
    names.lead(HOST, ["127.0.0.1"])
    outcome = await local.deliver(message_to(f"https://{HOST}:{receiver.port}/hooks"))
    assert outcome.verdict is Verdict.DELIVERED
    assert receiver.requests[0].headers["host"] == f"{HOST}:{receiver.port}"
    assert verified(receiver.requests[0], project_secret(MASTER, "team"))


async def test_a_certificate_that_no_one_trusts_gets_no_message(names: Names, receiver: Receiver) -> None:
    names.lead(HOST, ["127.0.0.1"])
    trusting_no_test = service(names, None, local=True)
    outcome = await trusting_no_test.deliver(message_to(f"https://{HOST}:{receiver.port}"))
    await trusting_no_test.close()
    assert outcome.verdict is Verdict.TRY_AGAIN
    assert "Certificate" in outcome.reason
    assert not receiver.requests


async def test_another_hosts_certificate_gets_no_message(
    local: Webhooks, names: Names, receiver: Receiver
) -> None:
    names.lead("other.example.com", ["127.0.0.1"])
    outcome = await local.deliver(message_to(f"https://other.example.com:{receiver.port}"))
    assert outcome.verdict is Verdict.TRY_AGAIN
    assert not receiver.requests


REFUSED = [
    "127.0.0.1",
    "127.8.8.8",
    "::1",
    "10.0.0.4",
    "172.16.0.1",
    "192.168.1.1",
    "100.64.0.1",
    "169.254.169.254",
    "168.63.129.16",
    "0.0.0.0",
    "224.0.0.1",
    "240.0.0.1",
    "255.255.255.255",
    "fe80::1",
    "fe80::1%2",
    "fd00::1",
    "ff02::1",
    "::ffff:127.0.0.1",
    "::ffff:1.1.1.1",
    "64:ff9b::101:101",
    "2002:101:101::1",
    "2001:0:101:101::1",
    "not an address",
]


@pytest.mark.parametrize("address", REFUSED)
async def test_a_name_that_leads_to_an_inner_address_is_given_up(
    webhooks: Webhooks, names: Names, receiver: Receiver, address: str
) -> None:
    for answer in ([address], ["1.1.1.1", address], [address, "1.1.1.1"]):
        names.lead(HOST, answer)
        outcome = await webhooks.deliver(message_to(f"https://{HOST}:{receiver.port}"))
        assert (outcome.verdict, outcome.status) == (Verdict.GIVEN_UP, None)
        assert address not in outcome.reason
        assert HOST not in outcome.reason
    assert names.asked == [HOST] * 3
    assert receiver.connections == 0


@pytest.mark.parametrize("address", [a for a in REFUSED if a not in ("127.0.0.1", "127.8.8.8", "::1")])
async def test_in_local_mode_a_name_may_lead_to_loopback_alone(
    local: Webhooks, names: Names, receiver: Receiver, address: str
) -> None:
    for answer in ([address], ["127.0.0.1", address]):
        names.lead(HOST, answer)
        outcome = await local.deliver(message_to(f"https://{HOST}:{receiver.port}"))
        assert outcome.verdict is Verdict.GIVEN_UP
    assert not receiver.requests


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]", "10.0.0.4", "2130706433", "0x7f000001", "localhost"])
async def test_an_inner_address_that_came_past_the_check_at_submit_is_given_up(
    webhooks: Webhooks, names: Names, receiver: Receiver, host: str
) -> None:
    outcome = await webhooks.deliver(message_to(f"https://{host}:{receiver.port}"))
    assert outcome.verdict is Verdict.GIVEN_UP
    assert not names.asked


async def test_the_connection_goes_to_the_very_answer_that_was_checked(
    local: Webhooks, names: Names, receiver: Receiver
) -> None:
    # Who answers well for the check and otherwise for the connection finds that there is one question.
    names.lead(HOST, ["127.0.0.1"], ["10.0.0.4"])
    outcome = await local.deliver(message_to(f"https://{HOST}:{receiver.port}"))
    assert outcome.verdict is Verdict.DELIVERED
    assert names.asked == [HOST]


async def test_a_name_that_leads_elsewhere_at_the_next_try_is_refused_then(
    local: Webhooks, names: Names, receiver: Receiver
) -> None:
    names.lead(HOST, ["127.0.0.1"], ["10.0.0.4"], ["127.0.0.1"])
    receiver.script(Reply(status=503))
    message = message_to(f"https://{HOST}:{receiver.port}")
    verdicts = []
    for _ in range(3):
        verdicts.append((await local.deliver(message)).verdict)
        await local.close()  # what was looked up is forgotten
    assert verdicts == [Verdict.TRY_AGAIN, Verdict.GIVEN_UP, Verdict.DELIVERED]
    assert len(receiver.requests) == 2


async def test_a_name_that_no_one_knows_is_tried_again(webhooks: Webhooks, names: Names) -> None:
    outcome = await webhooks.deliver(message_to("https://nowhere.example.com"))
    assert outcome.verdict is Verdict.TRY_AGAIN
    assert names.asked == ["nowhere.example.com"]


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]", "10.0.0.4", "169.254.169.254"])
async def test_a_guard_is_asked_of_literal_addresses_before_there_is_a_socket(
    receiver: Receiver, host: str
) -> None:
    asked: list[str] = []

    def refuse(address: str) -> None:
        asked.append(address)
        raise ReceiverRefused

    client = HttpClient(guard=refuse, untrusted=True)
    with pytest.raises(ReceiverRefused):
        await client.session().get(f"https://{host}:{receiver.port}/")
    await client.close()
    assert asked == [host.strip("[]")], "no resolver is asked of a literal address"
    assert receiver.connections == 0
