import asyncio
import logging
from dataclasses import fields, replace
from pathlib import Path

import pytest

from shared.adapters.sqlite import SqliteStore
from shared.clock import ManualClock
from shared.containers import COUNTERS
from shared.errors import StoreThrottled
from shared.usage.records import UsageRecord
from tests.unit.usage.books import DAYS, PLAIN, TODAY, Books


async def test_a_record_holds_what_is_known_of_a_call(books: Books) -> None:
    books.record()
    assert await books.recorder.flush()
    (written,) = await books.written()
    assert written["partition"] == f"search|{TODAY}"
    assert written["time"] == "2027-01-15T08:00:00.000Z"
    assert written["id"] == written["sort_key"]
    assert written["usage"] == {
        "prompt_tokens": 10,
        "completion_tokens": 5,
        "total_tokens": 15,
        "cached_tokens": 4,
        "reasoning_tokens": 2,
        "estimated": False,
    }
    assert written["time_to_first_token_ms"] == 12.346
    same = {item.name for item in fields(UsageRecord)} - {"id", "time", "usage", "time_to_first_token_ms"}
    assert {name: written[name] for name in same} == {name: getattr(PLAIN, name) for name in same}


async def test_a_record_is_written_within_a_second_without_being_asked(books: Books) -> None:
    recorder = books.new_recorder(flush_interval=0.01)
    recorder.record(PLAIN)
    async with asyncio.timeout(5):
        while not await books.sums():
            await asyncio.sleep(0.005)
    assert len(await books.written()) == 1
    recorder.record(PLAIN)  # the writer has gone to sleep, and wakes again
    async with asyncio.timeout(5):
        while len(await books.written()) < 2:
            await asyncio.sleep(0.005)
    await recorder.close()


def test_recording_needs_no_event_loop_and_is_settled_by_the_next_flush(
    tmp_path: Path,
) -> None:
    clock = ManualClock()
    books = Books(SqliteStore(tmp_path / "data.db", clock=clock), clock)
    books.record()

    async def settle() -> int:
        await books.recorder.flush()
        count = len(await books.written())
        await books.close()
        return count

    assert asyncio.run(settle()) == 1


async def test_records_wait_out_an_outage_and_are_written_once(books: Books) -> None:
    books.store.down = True
    for number in range(250):
        books.record(request_id=f"request-{number}", project=f"p{number % 3}")
    assert not await books.recorder.flush()
    assert len(books.recorder) == 250
    books.store.down = False
    books.store.lose = 2  # two batches are written, but nobody hears of it
    assert not await books.recorder.flush()
    assert await books.recorder.flush()
    written = await books.written()
    assert sorted(record["request_id"] for record in written) == sorted(
        f"request-{number}" for number in range(250)
    )
    assert sum(body["requests"] for body in (await books.sums()).values()) == 250


async def test_a_recorder_finds_its_way_back_after_an_outage_by_itself(books: Books) -> None:
    recorder = books.new_recorder(flush_interval=0.005)
    books.store.down = True
    recorder.record(PLAIN)
    async with asyncio.timeout(5):
        while not books.store.calls["create_many"]:
            await asyncio.sleep(0.001)
        books.store.down = False
        while not await books.sums():
            await asyncio.sleep(0.001)
    assert len(await books.written()) == 1
    await recorder.close()


async def test_a_store_that_is_away_is_asked_once_a_flush(books: Books) -> None:
    for number in range(2000):
        books.record(project=f"p{number}")
    books.store.down = True
    await books.recorder.flush()
    assert books.store.calls["create_many"] <= 8
    assert len(books.recorder) == 2000


async def test_the_oldest_records_go_when_too_many_wait_and_the_log_says_so(
    books: Books, caplog: pytest.LogCaptureFixture
) -> None:
    recorder = books.new_recorder(capacity=10)
    books.store.down = True
    for number in range(8):
        recorder.record(replace(PLAIN, request_id=f"request-{number}"))
    await recorder.flush()
    for number in range(8, 16):
        recorder.record(replace(PLAIN, request_id=f"request-{number}"))
    assert len(recorder) == 10
    books.store.down = False
    with caplog.at_level(logging.ERROR):
        assert await recorder.flush()
    assert "6 usage records were dropped" in caplog.text
    kept = sorted(int(record["request_id"].split("-")[1]) for record in await books.written())
    assert kept == list(range(6, 16))
    await recorder.close()


async def test_a_record_that_the_store_refuses_holds_up_no_other(
    books: Books, caplog: pytest.LogCaptureFixture
) -> None:
    books.store.too_large = "request-3"
    for number in range(5):
        books.record(request_id=f"request-{number}")
    assert await books.recorder.flush()
    assert [record["request_id"] for record in await books.written()].count("request-3") == 0
    assert len(await books.written()) == 4
    assert "DocumentTooLarge" in caplog.text
    assert sum(body["requests"] for body in (await books.sums()).values()) == 4


async def test_a_broken_record_breaks_nothing(books: Books, caplog: pytest.LogCaptureFixture) -> None:
    books.record(time=float("nan"))
    books.record(user=17)
    books.record(cost_usd=float("nan"), duration_ms=float("inf"))
    assert await books.recorder.flush()
    (written,) = await books.written()
    assert (written["cost_usd"], written["duration_ms"]) == (None, None)
    assert caplog.text.count("is lost") == 2


async def test_texts_of_clients_are_cut(books: Books) -> None:
    books.record(user="u" * 5000, model_requested="m" * 5000)
    await books.recorder.flush()
    (written,) = await books.written()
    assert (len(written["user"]), len(written["model_requested"])) == (256, 256)


async def test_a_record_of_a_job_has_the_jobs_id(books: Books) -> None:
    books.record(id="job_1")
    books.record(id="job_1")
    await books.recorder.flush()
    (written,) = await books.written()
    assert written["id"] == "job_1"
    assert written["sort_key"] == "1800000000000-job_1"


async def test_a_record_belongs_to_the_day_of_its_time(books: Books) -> None:
    books.record(time=1_800_000_000.0 - 86_400)
    await books.recorder.flush()
    (written,) = await books.written()
    assert (written["day"], written["partition"]) == ("2027-01-14", "search|2027-01-14")


async def test_records_and_sums_are_kept_as_long_as_the_setting_says(books: Books) -> None:
    books.record()
    await books.recorder.flush()
    books.clock.advance(DAYS * 86_400 - 1)
    assert len(await books.written()) == len(await books.sums()) == 1
    books.clock.advance(2)
    assert len(await books.written()) == len(await books.sums()) == 0


async def test_sums_add_up_by_project_key_user_model_and_day(books: Books) -> None:
    for _ in range(3):
        books.record()
    books.record(status=502, usage=None, cost_usd=None, model=None)
    books.record(user=None)
    await books.recorder.flush()
    books.record()
    await books.recorder.flush()
    sums = {(body["user"], body["model"]): body for body in (await books.sums()).values()}
    assert set(sums) == {("u1", "gpt"), ("u1", None), (None, "gpt")}
    four = sums["u1", "gpt"]
    assert (four["project"], four["key_id"], four["day"], four["kind"]) == ("search", "k1", TODAY, "usage")
    assert (four["requests"], four["errors"], four["unpriced_requests"]) == (4, 0, 0)
    assert (four["prompt_tokens"], four["completion_tokens"], four["total_tokens"]) == (40, 20, 60)
    assert (four["cached_tokens"], four["reasoning_tokens"]) == (16, 8)
    assert four["cost_nano_usd"] == 4 * 12_300
    failed = sums["u1", None]
    assert (failed["requests"], failed["errors"], failed["unpriced_requests"]) == (1, 1, 1)


async def test_names_with_any_character_have_sums_of_their_own(books: Books) -> None:
    for project, user in (
        ("a|b", "c"),
        ("a", "b|c"),
        ("a", "b/c#?"),
        ("a", "グループ"),
        ("a", ""),
        ("a", None),
    ):
        books.record(project=project, user=user)
    await books.recorder.flush()
    assert [body["requests"] for body in (await books.sums()).values()] == [1] * 6


async def test_a_sum_that_was_refused_for_now_is_added_later_and_one_that_was_lost_is_not(
    books: Books, caplog: pytest.LogCaptureFixture
) -> None:
    books.store.failing["increment"] = StoreThrottled("later", 1.0)
    books.record()
    assert not await books.recorder.flush()
    books.record()
    books.store.failing.clear()
    assert await books.recorder.flush()
    assert [body["requests"] for body in (await books.sums()).values()] == [2]
    books.store.refused = {COUNTERS}
    books.record()
    assert await books.recorder.flush()
    assert f"usage of search on {TODAY} may be short" in caplog.text
    books.store.refused = set()
    assert await books.recorder.flush()
    assert [body["requests"] for body in (await books.sums()).values()] == [2]


async def test_closing_writes_what_waits(books: Books) -> None:
    books.record()
    await books.recorder.close()
    assert len(await books.written()) == 1


async def test_closing_without_a_store_says_what_is_lost(
    books: Books, caplog: pytest.LogCaptureFixture
) -> None:
    books.record()
    books.store.down = True
    await books.recorder.close()
    assert "1 usage records are lost" in caplog.text


async def test_a_record_of_every_call_under_load_is_written_once(books: Books) -> None:
    recorder = books.new_recorder(flush_interval=0.001)
    for number in range(1500):
        recorder.record(replace(PLAIN, request_id=str(number)))
        if number % 100 == 0:
            await asyncio.sleep(0)
    await recorder.close()
    (sum,) = (await books.sums()).values()
    assert sum["requests"] == 1500
    found = [record["request_id"] for record in await books.written()]
    assert sorted(map(int, found)) == list(range(1500))


async def test_a_record_that_is_written_once_stays_as_it_is_and_counts_once(books: Books) -> None:
    first = replace(PLAIN, id="job-1", time=books.clock.time() - 5.0)
    written = await books.recorder.record_once(first)
    other = books.new_recorder()
    assert await other.record_once(replace(first, cost_usd=9.0)) == written
    assert await books.recorder.record_once(first) == written
    assert await books.written() == [written]
    assert (written["id"], written["cost_usd"]) == ("job-1", PLAIN.cost_usd)
    for recorder in (books.recorder, other):
        assert await recorder.flush()
    assert {body["requests"] for body in (await books.sums()).values()} == {1}
    await other.close()


async def test_only_a_record_with_an_id_and_a_time_can_be_written_once(books: Books) -> None:
    for incomplete in (PLAIN, replace(PLAIN, id="job-1"), replace(PLAIN, time=1.0)):
        with pytest.raises(ValueError, match="an id and a time"):
            await books.recorder.record_once(incomplete)
