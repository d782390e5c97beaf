"""What is large about a job, apart from its head: the request and the result, compressed and in numbered parts."""

import asyncio
import base64
import gzip
from collections.abc import Sequence

import orjson

from shared import Json
from shared.containers import DAY_SECONDS, JOB_PAYLOADS
from shared.jobs.job import Job, Status
from shared.ports import DocumentStore, Query

KEPT = 30 * DAY_SECONDS
"""Seconds that a payload stays by itself: one whose head was never written, or lost its race, goes away."""
PART = 1_500_000
"""Characters of one part; an item of the store is at most 2 MB."""
_LARGE = 64 * 1024


class PayloadMissing(Exception):
    """A part that the head names is not there."""


class Payloads:
    """Every method raises `StoreUnavailable` when the store cannot serve it."""

    def __init__(self, store: DocumentStore) -> None:
        self._store = store

    async def put_request(self, job: str, fingerprint: str, content: Json) -> int:
        """Stores what was submitted; returns the number of parts. Safe to repeat."""
        return await self._put(job, _request(fingerprint), orjson.dumps(content))

    async def request(self, job: Job) -> Json:
        """What was submitted. Raises `PayloadMissing`."""
        content: Json = orjson.loads(await self._get(job.id, _request(job.fingerprint), job.request_parts))
        return content

    async def put_result(self, job: str, lease: str, result: bytes) -> int:
        """Stores a result under the lease that made it; returns the number of parts. Safe to repeat."""
        return await self._put(job, _result(lease), result)

    async def result(self, job: Job) -> bytes:
        """The result's JSON. Raises `PayloadMissing`."""
        return await self._get(job.id, _result(job.result_lease or ""), job.result_parts)

    async def keep_request(self, job: Job, seconds: int) -> None:
        """Lets the request live that much longer. Raises `PayloadMissing`."""
        await self._keep(job.id, _request(job.fingerprint), job.request_parts, seconds)

    async def settle(self, job: Job, seconds: int) -> None:
        """Gives request and result their last lifetime; what other leases have left goes."""
        wanted = {*_ids(_request(job.fingerprint), job.request_parts)}
        if job.result_lease is not None:
            wanted.update(_ids(_result(job.result_lease), job.result_parts))
        # A worker may have stored a result, whole or in part, that its job then did not end with.
        tidy = job.started_at is None or job.status is Status.COMPLETED
        if tidy and not job.lost_leases and not job.retry_count:
            await asyncio.gather(*(self._touch(job.id, id, seconds) for id in sorted(wanted)))
            return
        for stored in await self._store.query(JOB_PAYLOADS, Query(partition=job.id, limit=1000)):
            id = str(stored.body["id"])
            if id in wanted:
                await self._touch(job.id, id, seconds)
            else:
                await self._store.delete(JOB_PAYLOADS, id, job.id)

    async def remove(self, job: Job) -> None:
        """Deletes request and result at once."""
        for stored in await self._store.query(JOB_PAYLOADS, Query(partition=job.id, limit=1000)):
            await self._store.delete(JOB_PAYLOADS, str(stored.body["id"]), job.id)

    async def drop_result(self, job: str, lease: str, parts: int) -> None:
        """Deletes a result that lost its race."""
        for id in _ids(_result(lease), parts):
            await self._store.delete(JOB_PAYLOADS, id, job)

    async def _put(self, job: str, name: str, data: bytes) -> int:
        # A large one takes longer to compress than the event loop should wait.
        parts = _packed(data) if len(data) < _LARGE else await asyncio.to_thread(_packed, data)
        for id, text in zip(_ids(name, len(parts)), parts, strict=True):
            # Whatever is there has the same content; its lifetime begins anew.
            await self._store.upsert(JOB_PAYLOADS, {"id": id, "job": job, "data": text}, time_to_live=KEPT)
        return len(parts)

    async def _get(self, job: str, name: str, count: int) -> bytes:
        parts = []
        for id in _ids(name, count):
            stored = await self._store.get(JOB_PAYLOADS, id, job)
            if stored is None:
                raise PayloadMissing(f"{job}: the part {id} is not there")
            parts.append(str(stored.body["data"]))
        if sum(map(len, parts)) < _LARGE:
            return _unpacked(parts)
        return await asyncio.to_thread(_unpacked, parts)

    async def _keep(self, job: str, name: str, count: int, seconds: int) -> None:
        for id in _ids(name, count):
            if not await self._touch(job, id, seconds):
                raise PayloadMissing(f"{job}: the part {id} is not there")

    async def _touch(self, job: str, id: str, seconds: int) -> bool:
        return await self._store.keep(JOB_PAYLOADS, id, job, time_to_live=seconds)


def _request(fingerprint: str) -> str:
    return f"request-{fingerprint[:16]}"


def _result(lease: str) -> str:
    return f"result-{lease}"


def _ids(name: str, count: int) -> list[str]:
    return [f"{name}-{number:03d}" for number in range(count)]


def _packed(data: bytes) -> list[str]:
    text = base64.b64encode(gzip.compress(data, 5, mtime=0)).decode()
    return [text[start : start + PART] for start in range(0, len(text), PART)]


def _unpacked(parts: Sequence[str]) -> bytes:
    return gzip.decompress(base64.b64decode("".join(parts)))
