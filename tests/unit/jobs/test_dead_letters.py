"""Dead letters: kept once, listed, put back into their hub, and never two jobs of one."""

import base64
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from shared import Json
from shared.access.caller import Caller
from shared.containers import AUDIT, DEAD_LETTERS
from shared.errors import (
    CatalogUnavailable,
    Conflict,
    InvalidValue,
    NotFound,
    StoreUnavailable,
    UnsupportedParameter,
)
from shared.jobs.job import Status
from shared.jobs.messages import Reason, Received
from shared.ports import Query
from tests.unit.jobs.intake_world import QUESTION, World, build_world

ADMIN = Caller("default", "admin", "admin")
DAY = 86_400.0


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    world = await build_world(tmp_path)
    yield world
    world.outages.down = False
    await world.services.close()


async def buried(world: World, body: Any = b"not json", **more: Any) -> Json:
    await world.send(body, **more)
    return (await world.letters())[0]


async def put_back(world: World, letter: Json) -> list[Received]:
    """Puts it back, and gives what is in its hub then."""
    await world.services.dead_letters.put_back(ADMIN, letter["id"])
    return [
        Received(
            letter["hub"],
            str(logged.partition),
            logged.sequence,
            logged.enqueued_at,
            logged.event.body,
            logged.event.properties,
        )
        for logged in await world.hubs.read(letter["hub"])
    ]


async def test_a_dead_letter_says_where_it_came_from_and_why(world: World) -> None:
    event = world.received(b'{"project_id": 7}', properties={"priority": 3, "from": "billing"})
    await world.take(event)
    letter = (await world.letters())[0]
    whole = await world.services.dead_letters.get(letter["id"])
    assert whole == {
        "object": "dead_letter",
        "id": letter["id"],
        "status": "dead",
        "reason": Reason.NO_PROJECT,
        "detail": "An event needs one 'project_id' of 1 to 128 characters.",
        "hub": "chat-jobs",
        "partition": "0",
        "sequence": event.sequence,
        "enqueued_at": "2027-01-15T07:59:59.800Z",
        "buried_at": "2027-01-15T08:00:00.000Z",
        "properties": {"priority": 3, "from": "billing"},
        "body_bytes": 17,
        "put_back_at": None,
        "body": '{"project_id": 7}',
    }
    assert "body" not in letter


@pytest.mark.parametrize("body", [b"", b"caf\xc3\xa9", b"\xff\xfe\x00", b"\0" * 1_000_000, b"x" * 1_000_000])
async def test_whatever_an_event_holds_is_kept_byte_for_byte(world: World, body: bytes) -> None:
    letter = await buried(world, body)
    whole = await world.services.dead_letters.get(letter["id"])
    kept = whole["body"].encode() if whole["body"] is not None else base64.b64decode(whole["body_base64"])
    assert kept == body
    assert json.dumps(whole)


async def test_an_event_that_is_too_large_to_be_kept_is_noted_and_cannot_be_put_back(world: World) -> None:
    letter = await buried(world, b"\xff" * 2_000_000)
    assert letter["body_bytes"] == 2_000_000
    assert (await world.services.dead_letters.get(letter["id"]))["body"] is None
    with pytest.raises(Conflict):
        await world.services.dead_letters.put_back(ADMIN, letter["id"])


async def test_an_event_that_is_delivered_again_is_one_dead_letter(world: World) -> None:
    event = world.received(b"not json")
    for seconds in (0, 10, DAY):
        world.clock.advance(seconds)
        await world.take(event)
    assert len(await world.letters()) == 1
    await world.send(b"not json")
    assert len(await world.letters()) == 2


async def test_the_list_goes_newest_first_over_days_in_pages(world: World) -> None:
    for _ in range(5):
        for _ in range(2):
            await world.send(b"not json")
            world.clock.advance(1)
        world.clock.advance(2 * DAY)
    seen: list[Json] = []
    query: dict[str, str] = {"limit": "3"}
    while True:
        page = await world.services.dead_letters.list(query)
        seen += page["data"]
        if not page["has_more"]:
            break
        query["after"] = page["last_id"]
    numbers = [letter["sequence"] for letter in seen]
    assert numbers == list(range(10, 0, -1))


async def test_a_dead_letter_goes_after_thirty_days(world: World) -> None:
    await buried(world)
    world.clock.advance(32 * DAY)
    assert await world.letters() == []


async def test_a_list_refuses_what_it_does_not_know(world: World) -> None:
    for query in ({"after": "x"}, {"limit": "0"}):
        with pytest.raises(InvalidValue):
            await world.services.dead_letters.list(query)
    with pytest.raises(UnsupportedParameter):
        await world.services.dead_letters.list({"hub": "x"})


@pytest.mark.parametrize("id", ["", "x", "9" * 13 + "-" + "a" * 32, "0" * 13 + "-" + "a" * 32])
async def test_what_is_not_there_is_not_found(world: World, id: str) -> None:
    with pytest.raises(NotFound):
        await world.services.dead_letters.get(id)
    with pytest.raises(NotFound):
        await world.services.dead_letters.put_back(ADMIN, id)


async def test_what_is_put_back_is_published_as_it_was_and_noted(world: World) -> None:
    cancel = json.dumps({"action": "cancel", "execution_id": "mine", "project_id": "team"}).encode()
    letter = await buried(world, cancel, hub="chat-jobs-priority", properties={"large": 2**40, "priority": 1})
    # The job that it was for has arrived meanwhile.
    await world.send({"project_id": "team", "execution_id": "mine", **QUESTION})
    (event,) = await put_back(world, letter)
    assert event.body == cancel
    assert event.properties == {"large": str(2**40), "priority": 1, "dead_letter_id": letter["id"]}
    await world.take(event)
    found = await world.services.job_store.get("mine")
    assert found is not None
    assert found.job.status is Status.CANCELLED
    after = await world.services.dead_letters.get(letter["id"])
    assert (after["status"], after["put_back_at"]) == ("put_back", "2027-01-15T08:00:00.000Z")
    (entry,) = await world.outages.query(AUDIT, Query())
    assert (entry.body["action"], entry.body["target"]) == ("dead_letter.retry", letter["id"])


async def test_a_second_try_is_refused_until_the_event_has_come_back(world: World) -> None:
    letter = await buried(world)
    (event,) = await put_back(world, letter)
    with pytest.raises(Conflict):
        await world.services.dead_letters.put_back(ADMIN, letter["id"])
    # Delivered twice, it came back once.
    await world.take(event)
    await world.take(event)
    assert [each["id"] for each in await world.letters()] == [letter["id"]]
    assert (await world.letters())[0]["status"] == "dead"
    await put_back(world, letter)
    with pytest.raises(Conflict):
        await world.services.dead_letters.put_back(ADMIN, letter["id"])


async def test_an_event_that_was_put_back_twice_is_one_job(world: World) -> None:
    await world.send({"project_id": "team", "execution_id": "mine", **QUESTION})
    body = json.dumps({"project_id": "team", **QUESTION}).encode()
    again = {"dead_letter_id": "1800000000000-" + "a" * 32}
    first = await world.send(body, properties=again)
    second = await world.send(body, properties=again)
    assert first == second
    assert first is not None
    assert await world.jobs() == 2


async def test_an_event_that_only_says_it_was_put_back_is_a_dead_letter_of_its_own(world: World) -> None:
    for claimed in ("x", "9999999999999-" + "a" * 32, ""):
        await world.send(b"not json", properties={"dead_letter_id": claimed})
    assert len(await world.letters()) == 3


async def test_without_a_hub_nothing_is_put_back_and_it_can_be_tried_again(world: World) -> None:
    letter = await buried(world)
    world.hubs.down = True
    with pytest.raises(CatalogUnavailable):
        await world.services.dead_letters.put_back(ADMIN, letter["id"])
    assert (await world.services.dead_letters.get(letter["id"]))["status"] == "dead"
    world.hubs.down = False
    assert len(await put_back(world, letter)) == 1


async def test_a_note_whose_answer_was_lost_counts_once(world: World) -> None:
    letter = await buried(world)
    world.outages.lost_races = 1
    (event,) = await put_back(world, letter)
    assert (await world.services.dead_letters.get(letter["id"]))["status"] == "put_back"
    await world.take(event)
    assert (await world.services.dead_letters.get(letter["id"]))["status"] == "dead"


async def test_without_a_store_a_dead_letter_is_not_lost_but_comes_again(world: World) -> None:
    event = world.received(b"not json")
    world.outages.refused = {DEAD_LETTERS}
    with pytest.raises(StoreUnavailable):
        await world.take(event)
    world.outages.down = True
    with pytest.raises(CatalogUnavailable):
        await world.services.dead_letters.list({})
    world.outages.down, world.outages.refused = False, set()
    await world.take(event)
    assert len(await world.letters()) == 1
