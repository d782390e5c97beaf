"""One try to deliver a webhook, over real connections."""

import asyncio
import gzip
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import FrozenInstanceError
from email.utils import formatdate

import pytest
from standardwebhooks import WebhookVerificationError

from shared.clock import ManualClock, SystemClock
from shared.errors import ProviderUnavailable
from shared.secrets import WEBHOOK_MASTER
from shared.webhooks.delivery import MAX_ANSWER, TIMEOUT, Message, Webhooks
from shared.webhooks.outcome import Verdict
from shared.webhooks.signing import PREVIOUS_MASTER, project_secret
from tests.unit.webhooks.receiver import (
    MASTER,
    PAYLOAD,
    Masters,
    Receiver,
    message_to,
    raw_receiver,
    verified,
)
from tests.upstreams.behaviours import Frame, Hang, HangUp, Reply, SoundReply, StreamReply

Speak = Callable[[asyncio.StreamWriter], Awaitable[None]]


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with Receiver() as running:
        yield running


@pytest.fixture
def masters() -> Masters:
    return Masters()


@pytest.fixture
async def webhooks(masters: Masters) -> AsyncIterator[Webhooks]:
    service = Webhooks(masters, SystemClock(), local=True)
    yield service
    await service.close()


@pytest.fixture
async def hasty(masters: Masters) -> AsyncIterator[Webhooks]:
    """One that waits for half a second in all."""
    service = Webhooks(masters, SystemClock(), local=True, timeout=0.5)
    yield service
    await service.close()


async def test_a_message_arrives_and_the_library_verifies_it(webhooks: Webhooks, receiver: Receiver) -> None:
    outcome = await webhooks.deliver(message_to(receiver.url + "/hooks"))
    assert (outcome.verdict, outcome.status) == (Verdict.DELIVERED, 200)
    received = receiver.requests[0]
    assert verified(received, project_secret(MASTER, "team")) == {
        "type": "chat.completion.completed",
        "timestamp": "2027-01-15T08:00:00.500Z",
        "data": {"id": "job-1", "status": "completed", "result": {"text": "Grüße"}},
    }
    assert received.raw == PAYLOAD
    assert (received.method, received.path) == ("POST", "/hooks")
    assert received.headers["webhook-id"] == "msg_1"
    assert received.headers["content-type"] == "application/json"
    assert received.headers["accept-encoding"] == "identity"
    assert received.headers["user-agent"].startswith("llm-proxy/")


async def test_another_projects_secret_does_not_verify(webhooks: Webhooks, receiver: Receiver) -> None:
    await webhooks.deliver(message_to(receiver.url))
    with pytest.raises(WebhookVerificationError):
        verified(receiver.requests[0], project_secret(MASTER, "other"))


async def test_while_the_master_is_rotated_the_old_and_the_new_secret_verify(
    webhooks: Webhooks, masters: Masters, receiver: Receiver
) -> None:
    masters.texts[WEBHOOK_MASTER] = "the-new-master-9876543210"
    masters.texts[PREVIOUS_MASTER] = MASTER
    await webhooks.deliver(message_to(receiver.url))
    assert len(receiver.requests[0].headers["webhook-signature"].split(" ")) == 2
    for master in ("the-new-master-9876543210", MASTER):
        assert verified(receiver.requests[0], project_secret(master, "team"))["data"]["id"] == "job-1"
    assert await webhooks.secrets.current("team") == project_secret("the-new-master-9876543210", "team")


async def test_every_try_has_the_same_id_and_body_and_a_time_of_its_own(
    masters: Masters, receiver: Receiver
) -> None:
    clock = ManualClock(time.time())
    webhooks = Webhooks(masters, clock, local=True)
    receiver.script(Reply(status=500), Reply(status=503))
    for _ in range(3):
        await webhooks.deliver(message_to(receiver.url))
        clock.advance(60.9)
    await webhooks.close()
    assert {request.headers["webhook-id"] for request in receiver.requests} == {"msg_1"}
    assert {request.raw for request in receiver.requests} == {PAYLOAD}
    stamps = [int(request.headers["webhook-timestamp"]) for request in receiver.requests]
    assert stamps[1] - stamps[0] in (60, 61)
    assert stamps[2] - stamps[0] in (121, 122)
    for request in receiver.requests:
        assert verified(request, project_secret(MASTER, "team"))["type"] == "chat.completion.completed"


async def test_the_address_goes_out_as_it_was_written(webhooks: Webhooks) -> None:
    heads: list[bytes] = []
    async with raw_receiver(send_nothing_back, heads) as url:
        outcome = await webhooks.deliver(message_to(url + "/a%2Fb/../c?token=%7E+x&next={y}"))
    assert outcome.verdict is Verdict.DELIVERED
    assert [head.splitlines()[0] for head in heads] == [b"POST /a%2Fb/../c?token=%7E+x&next={y} HTTP/1.1"]


async def send_nothing_back(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")
    await writer.drain()


@pytest.mark.parametrize(
    ("status", "verdict"),
    [
        *((status, Verdict.DELIVERED) for status in (200, 201, 202, 204, 299)),
        *((status, Verdict.TRY_AGAIN) for status in (408, 429, 500, 502, 503, 504, 507, 599)),
        *((status, Verdict.GIVEN_UP) for status in (300, 304, 400, 401, 403, 404, 405, 409, 410, 413, 422)),
    ],
)
async def test_the_status_says_what_comes_next(
    webhooks: Webhooks, receiver: Receiver, status: int, verdict: Verdict
) -> None:
    receiver.script(Reply(b"", status=status))
    outcome = await webhooks.deliver(message_to(receiver.url))
    assert (outcome.verdict, outcome.status) == (verdict, status)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_not_followed(webhooks: Webhooks, receiver: Receiver, status: int) -> None:
    async with Receiver() as elsewhere:
        receiver.script(Reply(status=status, headers={"location": elsewhere.url}))
        outcome = await webhooks.deliver(message_to(receiver.url))
        assert (outcome.verdict, outcome.status) == (Verdict.GIVEN_UP, status)
        assert "redirect" in outcome.reason
        assert not elsewhere.requests


async def test_the_receiver_says_when_to_come_back(webhooks: Webhooks, receiver: Receiver) -> None:
    receiver.script(Reply(status=429, headers={"retry-after": "120"}))
    assert (await webhooks.deliver(message_to(receiver.url))).retry_after == 120
    date = formatdate(time.time() + 300, usegmt=True)
    receiver.script(Reply(status=503, headers={"retry-after": date}))
    after = (await webhooks.deliver(message_to(receiver.url))).retry_after
    assert after is not None
    assert 290 < after <= 300


async def test_a_receiver_that_hangs_up_or_is_not_there_is_tried_again(webhooks: Webhooks) -> None:
    async with Receiver() as receiver:
        receiver.script(HangUp())
        outcome = await webhooks.deliver(message_to(receiver.url))
        assert (outcome.verdict, outcome.status) == (Verdict.TRY_AGAIN, None)
        assert len(receiver.requests) == 1, "a try is one request"
    outcome = await webhooks.deliver(message_to(receiver.url))
    assert (outcome.verdict, outcome.status) == (Verdict.TRY_AGAIN, None)
    assert "ClientConnectorError" in outcome.reason
    assert receiver.url not in outcome.reason


async def test_a_receiver_that_says_nothing_is_left_after_the_time_for_a_try(
    hasty: Webhooks, receiver: Receiver
) -> None:
    assert TIMEOUT == 10.0
    receiver.script(Hang())
    outcome = await hasty.deliver(message_to(receiver.url))
    assert (outcome.verdict, outcome.status) == (Verdict.TRY_AGAIN, None)
    assert "in time" in outcome.reason
    await receiver.wait_disconnected()


async def drip_headers(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\n")
    while True:
        writer.write(b"x-more: 1\r\n")
        await writer.drain()
        await asyncio.sleep(0.05)


async def repeat_interim_answers(writer: asyncio.StreamWriter) -> None:
    while True:
        writer.write(b"HTTP/1.1 103 Early Hints\r\n\r\n")
        await writer.drain()
        await asyncio.sleep(0.01)


async def send_no_http(writer: asyncio.StreamWriter) -> None:
    writer.write(b"220 mail.example.com ESMTP\r\n")
    await writer.drain()


async def send_a_header_without_end(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nx-long: ")
    while True:
        writer.write(b"a" * 65536)
        await writer.drain()


async def break_off_in_the_head(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-le")
    await writer.drain()


@pytest.mark.parametrize(
    "speak",
    [
        drip_headers,
        repeat_interim_answers,
        send_no_http,
        send_a_header_without_end,
        break_off_in_the_head,
    ],
)
async def test_an_answer_that_is_none_is_tried_again_within_the_time(hasty: Webhooks, speak: Speak) -> None:
    async with raw_receiver(speak) as url:
        async with asyncio.timeout(5):
            outcome = await hasty.deliver(message_to(url))
    assert (outcome.verdict, outcome.status) == (Verdict.TRY_AGAIN, None)


async def test_an_answer_without_end_is_read_to_a_small_bound(webhooks: Webhooks) -> None:
    written = 0
    ended = asyncio.Event()

    async def endless(writer: asyncio.StreamWriter) -> None:
        nonlocal written
        writer.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
        try:
            while True:
                writer.write(b"1000\r\n" + b"x" * 4096 + b"\r\n")
                await writer.drain()
                written += 4096
        finally:
            ended.set()

    async with raw_receiver(endless) as url:
        outcome = await webhooks.deliver(message_to(url))
        async with asyncio.timeout(5):
            await ended.wait()
    assert outcome.verdict is Verdict.DELIVERED
    # What the two kernels' buffers took is not ours; what came on beyond them would be many times that.
    assert written < MAX_ANSWER + 16 * 1024 * 1024


async def test_a_body_that_stalls_or_breaks_off_does_not_undo_the_status(
    hasty: Webhooks, receiver: Receiver
) -> None:
    receiver.script(
        StreamReply(frames=[Frame("1")], ending="stall"),
        StreamReply(frames=[Frame("1")], ending="cut"),
        SoundReply([b"short"], length=1000, ending="cut"),
    )
    for _ in range(3):
        assert (await hasty.deliver(message_to(receiver.url))).verdict is Verdict.DELIVERED


async def test_a_compressed_answer_is_not_unpacked(webhooks: Webhooks, receiver: Receiver) -> None:
    packed = gzip.compress(b"\0" * 8_000_000)
    headers = {"content-encoding": "gzip"}
    receiver.script(Reply(packed, headers=headers), Reply(b"this is not gzip", headers=headers))
    for _ in range(2):
        assert (await webhooks.deliver(message_to(receiver.url))).verdict is Verdict.DELIVERED


async def test_nothing_is_kept_from_one_try_to_the_next(webhooks: Webhooks, receiver: Receiver) -> None:
    receiver.always(Reply(b"ok", headers={"set-cookie": "session=1"}))
    for _ in range(3):
        await webhooks.deliver(message_to(receiver.url))
    assert receiver.connections == 3
    assert all("cookie" not in request.headers for request in receiver.requests)


async def test_a_proxy_in_the_environment_is_not_asked(
    webhooks: Webhooks, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    assert (await webhooks.deliver(message_to(receiver.url))).verdict is Verdict.DELIVERED


async def test_who_stops_waiting_closes_the_connection(webhooks: Webhooks, receiver: Receiver) -> None:
    receiver.script(Hang())
    trying = asyncio.create_task(webhooks.deliver(message_to(receiver.url)))
    await receiver.wait_requests(1)
    trying.cancel()
    with pytest.raises(asyncio.CancelledError):
        await trying
    await receiver.wait_disconnected()


@pytest.mark.parametrize("name", [WEBHOOK_MASTER, PREVIOUS_MASTER])
async def test_without_the_masters_nothing_is_sent(
    webhooks: Webhooks, masters: Masters, receiver: Receiver, name: str
) -> None:
    masters.unreachable.add(name)
    with pytest.raises(ProviderUnavailable, match="cannot be read"):
        await webhooks.deliver(message_to(receiver.url))
    masters.unreachable.clear()
    del masters.texts[WEBHOOK_MASTER]
    with pytest.raises(ProviderUnavailable, match="cannot be read"):
        await webhooks.deliver(message_to(receiver.url))
    assert not receiver.requests


async def test_tries_at_the_same_time_do_not_disturb_each_other(
    webhooks: Webhooks, receiver: Receiver
) -> None:
    messages = [message_to(receiver.url, id=f"msg_{n}", project=f"project-{n % 3}") for n in range(30)]
    outcomes = await asyncio.gather(*map(webhooks.deliver, messages))
    assert {outcome.verdict for outcome in outcomes} == {Verdict.DELIVERED}
    assert {request.headers["webhook-id"] for request in receiver.requests} == {m.id for m in messages}
    for request in receiver.requests:
        project = f"project-{int(request.headers['webhook-id'][4:]) % 3}"
        verified(request, project_secret(MASTER, project))


async def test_it_opens_nothing_before_the_first_use_and_can_be_used_after_it_was_closed(
    webhooks: Webhooks, receiver: Receiver
) -> None:
    await webhooks.close()
    for _ in range(2):
        assert (await webhooks.deliver(message_to(receiver.url))).verdict is Verdict.DELIVERED
        await webhooks.close()


async def test_no_secret_payload_or_address_is_in_a_log_or_an_outcome(
    webhooks: Webhooks, hasty: Webhooks, receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    secret = project_secret(MASTER, "team")
    address = receiver.url + "/hooks/a-path-that-is-a-secret?token=hidden-in-the-query"
    receiver.script(Reply(status=500, body={"echo": "what-it-said"}), HangUp(), Reply(status=404))
    outcomes = [await webhooks.deliver(message_to(address)) for _ in range(4)]
    receiver.script(Hang())
    outcomes.append(await hasty.deliver(message_to(address)))
    outcomes.append(await webhooks.deliver(message_to("http://127.0.0.1:1/a-path-that-is-a-secret")))
    outcomes.append(await webhooks.deliver(message_to("http://10.0.0.1/a-path-that-is-a-secret")))
    shown = repr(outcomes) + repr(message_to(address))
    for record in caplog.records:
        if record.name == "aiohttp.access":
            continue  # the receiver's own log
        shown += record.getMessage() + repr(record.args) + repr(record.exc_info)
    signatures = [request.headers["webhook-signature"] for request in receiver.requests]
    hidden = [MASTER, secret, secret[6:], "a-path-that-is-a-secret", "hidden-in-the-query", "Grüße"]
    for text in [*hidden, "what-it-said", *signatures]:
        assert text not in shown
    lines = [record.getMessage() for record in caplog.records if record.name == "llmproxy.webhooks"]
    assert len(lines) == 7
    assert '"status":500' in lines[0]
    assert "msg_1: try_again" in lines[0]
    assert "msg_1: delivered" in lines[3]
    assert "in time" in lines[4]
    assert '"project":"team"' in lines[6]


@pytest.mark.parametrize("id", ["", "a.b", "a b", "a\r\nx: y", "é", "x" * 256])
def test_a_message_with_an_id_that_could_forge_another_cannot_be_made(id: str) -> None:
    with pytest.raises(ValueError, match="id"):
        message_to("https://hooks.example.com", id=id)


def test_a_message_does_not_change() -> None:
    message = message_to("https://hooks.example.com")
    with pytest.raises(FrozenInstanceError):
        message.url = "https://elsewhere.example.com"  # type: ignore[misc]
    assert isinstance(message, Message)
