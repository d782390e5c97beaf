"""The relay core: frames both ways one at a time, the end of either side, silence and length."""

import asyncio
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as some

from shared.realtime.relay import Closed, Ended, Frame, relay


class Party:
    """One side of a relay, spoken for by a test: what it says, what it was sent, and whether it takes frames."""

    def __init__(self) -> None:
        self.says: asyncio.Queue[Frame | Closed] = asyncio.Queue()
        self.got: list[Frame] = []
        self.heard = 0
        self.closed: list[Closed] = []
        self.takes = asyncio.Event()
        self.takes.set()
        self.broken = False

    async def receive(self) -> Frame | Closed:
        said = await self.says.get()
        self.heard += 1
        return said

    async def send(self, frame: Frame) -> None:
        await self.takes.wait()
        if self.broken:
            raise ConnectionResetError
        self.got.append(frame)

    async def close(self, closed: Closed) -> None:
        self.closed.append(closed)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0)


def started(
    client: Party, provider: Party, idle: float = 60.0, longest: float = 60.0
) -> "asyncio.Task[Ended]":
    return asyncio.create_task(relay(client, provider, lambda frame: None, idle=idle, longest=longest))


async def test_frames_pass_in_order_and_as_they_are() -> None:
    client, provider = Party(), Party()
    seen: list[Frame] = []
    running = asyncio.create_task(relay(client, provider, seen.append, idle=60, longest=60))
    for frame in ("one", b"\x00two", "", "three"):
        client.says.put_nowait(frame)
        provider.says.put_nowait(frame)
    client.says.put_nowait(Closed(1000, "done"))
    ended = await running
    assert ended == Ended(Closed(1000, "done"), "client")
    assert provider.got == ["one", b"\x00two", "", "three"]
    assert client.got == seen[: len(client.got)]
    assert provider.closed == [Closed(1000, "done")]


async def test_one_frame_at_most_is_held_for_a_side_that_takes_none() -> None:
    client, provider = Party(), Party()
    client.takes.clear()
    for number in range(100):
        provider.says.put_nowait(str(number))
    running = started(client, provider)
    await until(lambda: provider.heard == 1)
    for _ in range(20):
        await asyncio.sleep(0)
    assert provider.heard == 1
    client.takes.set()
    await until(lambda: len(client.got) == 100)
    client.says.put_nowait(Closed(1000))
    await running


@pytest.mark.parametrize(
    ("code", "told"),
    [
        (1000, 1000),
        (1001, 1001),
        (1005, 1000),
        (1006, 1011),
        (1015, 1011),
        (1004, 1011),
        (3000, 3000),
        (4999, 4999),
    ],
)
async def test_what_cannot_stand_in_a_close_frame_is_told_as_1011(code: int, told: int) -> None:
    client, provider = Party(), Party()
    running = started(client, provider)
    provider.says.put_nowait(Closed(code, "why"))
    ended = await running
    assert ended == Ended(Closed(code, "why"), "provider")
    assert client.closed == [Closed(told, "why")]


@given(some.integers(0, 70_000), some.text(max_size=200))
def test_every_close_frame_can_be_sent(code: int, reason: str) -> None:
    sendable = Closed(code, reason).sendable()
    assert 1000 <= sendable.code <= 4999
    assert sendable.code not in (1004, 1005, 1006, 1015)
    assert len(sendable.reason.encode()) <= 123
    assert reason.startswith(sendable.reason)


async def test_silence_ends_it_on_both_sides() -> None:
    client, provider = Party(), Party()
    ended = await relay(client, provider, lambda frame: None, idle=0.02, longest=60)
    assert (ended.closed.code, ended.by) == (1001, "proxy")
    assert client.closed == provider.closed == [ended.closed]


async def test_talk_goes_on_past_the_limit_of_silence_and_ends_at_that_of_length() -> None:
    client, provider = Party(), Party()
    loop = asyncio.get_running_loop()
    running = started(client, provider, idle=0.2, longest=0.5)
    began = loop.time()
    while not running.done():
        client.says.put_nowait("still here")
        await asyncio.wait({running}, timeout=0.02)
    assert loop.time() - began >= 0.45
    assert (await running).closed.reason == "The session took longer than it may."


async def test_a_side_that_takes_no_more_may_still_say_why() -> None:
    client, provider = Party(), Party()
    provider.broken = True
    running = started(client, provider)
    client.says.put_nowait("lost")
    await until(lambda: client.heard == 1)
    provider.says.put_nowait(Closed(3000, "no credit"))
    assert await running == Ended(Closed(3000, "no credit"), "provider")
    assert client.closed == [Closed(3000, "no credit")]


async def test_a_side_that_breaks_off_without_a_word_is_told_as_1011() -> None:
    client, provider = Party(), Party()
    client.broken = True
    running = started(client, provider)
    provider.says.put_nowait("lost")
    ended = await running
    assert ended == Ended(Closed(1006), "client")
    assert provider.closed == [Closed(1011)]


async def test_a_relay_that_is_cancelled_says_goodbye_to_both() -> None:
    client, provider = Party(), Party()
    running = started(client, provider)
    await asyncio.sleep(0)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert client.closed == provider.closed == [Closed(1001)]


async def test_a_fault_of_ours_closes_both_with_1011() -> None:
    client, provider = Party(), Party()

    def fails(frame: Frame) -> None:
        raise ZeroDivisionError

    provider.says.put_nowait("x")
    with pytest.raises(ZeroDivisionError):
        await relay(client, provider, fails, idle=60, longest=60)
    assert client.closed == provider.closed == [Closed(1011)]
