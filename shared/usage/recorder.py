"""Writes usage records within a second after the call, off its path."""

import asyncio
import logging
import secrets
from collections import deque
from collections.abc import Iterable, Iterator
from itertools import count
from operator import attrgetter
from typing import NamedTuple

from shared import Json
from shared.containers import COUNTERS, DAY_SECONDS, USAGE
from shared.errors import DocumentExists, StoreError, StoreThrottled, StoreUnavailable
from shared.ports import Clock, DocumentStore
from shared.usage.records import UsageRecord
from shared.usage.rollups import RollUp, RollUps

_BATCH = 100
_AT_ONCE = 8
_TURN = 3
"""Records that are prepared before the calls that run get their turn on the event loop."""
_LONGEST_PAUSE = 30.0
_LAST_FLUSH = 5.0
_CREATIONS = 3
_arrival = attrgetter("number")

_log = logging.getLogger("llmproxy.usage")


class _Waiting(NamedTuple):
    number: int
    id: str
    sort_key: str
    time: float
    record: UsageRecord


class UsageRecorder:
    """Gathers records in memory and writes them together every `flush_interval` seconds.

    Records keep their ids, so that one whose write failed can be written again; while the store is away, the
    latest `capacity` of them wait. Records and daily sums are kept for `days`. The sums are added after the
    records, at most once: a sum whose increment was lost is short until it is recomputed.
    """

    def __init__(
        self,
        store: DocumentStore,
        clock: Clock,
        *,
        days: int,
        flush_interval: float = 0.5,
        capacity: int = 50_000,
    ) -> None:
        self._store = store
        self._clock = clock
        self._time_to_live = days * DAY_SECONDS
        self._interval = flush_interval
        self._capacity = capacity
        self._waiting: deque[_Waiting] = deque()
        # With a mark of its own for each process, a number is enough to tell records of one moment apart.
        self._mark = secrets.token_hex(5)
        self._numbers = count()
        self._owed: dict[str, RollUp] = {}
        self._dropped = 0
        self._lock = asyncio.Lock()
        self._task: asyncio.Task[None] | None = None

    def __len__(self) -> int:
        """How many records wait."""
        return len(self._waiting)

    def record(self, record: UsageRecord) -> None:
        """Takes a record. Never raises, never waits: accounting must not break a call."""
        try:
            time = record.time if record.time is not None else self._clock.time()
            number = next(self._numbers)
            own = record.id or f"{self._mark}{number:08x}"
            sort_key = f"{int(time * 1000):013d}-{own}"
            self._waiting.append(_Waiting(number, record.id or sort_key, sort_key, time, record))
            self._trim()
            self._wake()
        except Exception:
            _log.exception("a usage record is lost")

    async def record_once(self, record: UsageRecord) -> Json:
        """Writes a record that has an id and a time of its own, unless there is one with this id already.

        Returns the document that is there now, whoever made it. Its sums are added only by who made it, as those of
        other records are. Raises `StoreUnavailable`: then it may be written, and to try again is safe.
        """
        if record.id is None or record.time is None:
            raise ValueError("a record that is written once has an id and a time")
        # The number tells our own write, whose answer was lost, from one that another process made before.
        sort_key = f"{int(record.time * 1000):013d}-{record.id}-{self._mark}{next(self._numbers):08x}"
        document = record.document(record.id, sort_key, record.time)
        for _ in range(_CREATIONS):
            try:
                await self._store.create(USAGE, document, time_to_live=self._time_to_live)
            except DocumentExists:
                found = await self._store.get(USAGE, record.id, document["partition"])
                if found is None:
                    continue
                if found.body.get("sort_key") != sort_key:
                    return found.body
            self._owe(await _sums([document]))
            self._wake()
            return document
        raise StoreUnavailable("a usage record comes and goes")

    async def flush(self) -> bool:
        """Writes what waits. Returns whether all of it is written."""
        async with self._lock:
            return await self._write()

    async def close(self) -> None:
        """Writes what waits, for at most a few seconds."""
        async with self._lock:
            if self._task is not None:
                self._task.cancel()
        if self._task is not None:
            await asyncio.gather(self._task, return_exceptions=True)
        try:
            async with asyncio.timeout(_LAST_FLUSH):
                await self.flush()
        except TimeoutError:
            _log.warning("the last flush of usage records took too long")
        if self._waiting:
            _log.error("%d usage records are lost: the store cannot be reached", len(self._waiting))

    def _trim(self) -> None:
        while len(self._waiting) > self._capacity:
            self._waiting.popleft()
            self._dropped += 1

    def _wake(self) -> None:
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            return  # a later record, or flush, will take this one along
        task = self._task
        if task is None or task.done() or task.get_loop() is not loop:
            self._task = loop.create_task(self._write_soon())

    async def _write_soon(self) -> None:
        pause = self._interval
        while self._waiting or self._owed:
            await asyncio.sleep(pause)
            try:
                written = await self.flush()
            except Exception:
                _log.exception("usage records cannot be written")
                written = False
            pause = self._interval if written else min(pause * 2, _LONGEST_PAUSE)

    async def _write(self) -> bool:
        if self._dropped:
            _log.error("%d usage records were dropped: too many wait for the store", self._dropped)
            self._dropped = 0
        # Taken out, not copied: what cannot be written goes back to the front.
        chunks = dict(enumerate(_chunks(self._waiting)))
        self._waiting.clear()
        turn = asyncio.Semaphore(_AT_ONCE)
        reachable = True

        async def write(number: int) -> None:
            nonlocal reachable
            async with turn:
                if not reachable:
                    return
                try:
                    written = await self._create(await _documents(chunks[number]))
                except StoreUnavailable as error:
                    reachable = False
                    _log.warning("usage records wait: %s", type(error).__name__)
                    return
                sums = await _sums(written)
                # Together, without a pause: what is written is owed once, or not yet written.
                del chunks[number]
                self._owe(sums)

        try:
            async with asyncio.TaskGroup() as writes:
                for number in list(chunks):
                    writes.create_task(write(number))
        finally:
            left = [waiting for chunk in chunks.values() for waiting in chunk]
            self._waiting.extendleft(sorted(left, reverse=True, key=_arrival))
            self._trim()
        await self._pay()
        return not left and not self._owed

    async def _create(self, documents: list[Json]) -> list[Json]:
        if not documents:
            return documents
        try:
            await self._store.create_many(USAGE, documents, time_to_live=self._time_to_live)
        except StoreUnavailable:
            raise
        except StoreError as error:
            # One that the store refuses must not keep the others waiting.
            if len(documents) == 1:
                _log.error("the usage record %s is refused: %s", documents[0]["id"], type(error).__name__)
                return []
            return [kept for document in documents for kept in await self._create([document])]
        return documents

    def _owe(self, sums: RollUps) -> None:
        for id, roll_up in sums.by_id.items():
            if id in self._owed:
                self._owed[id].merge(roll_up)
            else:
                self._owed[id] = roll_up

    async def _pay(self) -> None:
        turn = asyncio.Semaphore(_AT_ONCE)

        async def increment(id: str) -> None:
            async with turn:
                # Taken out first: an increment that may have been applied is not sent again.
                roll_up = self._owed.pop(id)
                amounts = {name: amount for name, amount in roll_up.amounts.items() if amount}
                initial = {**roll_up.head, **dict.fromkeys(roll_up.amounts, 0)}
                try:
                    await self._store.increment(COUNTERS, initial, amounts, time_to_live=self._time_to_live)
                except StoreThrottled:
                    self._owed[id] = roll_up  # refused before it was applied
                except StoreError:
                    day, project = roll_up.head["day"], roll_up.head["project"]
                    _log.warning("usage of %s on %s may be short: recompute it", project, day)

        async with asyncio.TaskGroup() as increments:
            for id in list(self._owed):
                increments.create_task(increment(id))


async def _sums(records: list[Json]) -> RollUps:
    sums = RollUps()
    for start in range(0, len(records), _TURN):
        sums.add_all(records[start : start + _TURN])
        await asyncio.sleep(0)
    return sums


async def _documents(chunk: Iterable[_Waiting]) -> list[Json]:
    documents: list[Json] = []
    for number, waiting in enumerate(chunk):
        if number % _TURN == _TURN - 1:
            await asyncio.sleep(0)  # calls go first
        try:
            documents.append(waiting.record.document(waiting.id, waiting.sort_key, waiting.time))
        except Exception:
            _log.exception("the usage record %s is lost", waiting.id)
    return documents


def _chunks(waiting: Iterable[_Waiting]) -> Iterator[list[_Waiting]]:
    """Records of one partition each, as many as one write takes."""
    groups: dict[tuple[str, float], list[_Waiting]] = {}
    for one in waiting:
        groups.setdefault((one.record.project, one.time // DAY_SECONDS), []).append(one)
    for group in groups.values():
        for start in range(0, len(group), _BATCH):
            yield group[start : start + _BATCH]
