"""Who holds which key: a copy of all keys in memory, kept young by asking the store what has changed."""

import asyncio
import logging
from collections.abc import AsyncIterator
from math import inf

from cachetools import TTLCache

from shared import Json
from shared.access.admin_keys import ADMIN, AdminKeys
from shared.access.caller import Caller
from shared.access.key_format import KeyParts, digest, split_key
from shared.access.known_key import REFUSED, KnownKey
from shared.clock import iso
from shared.containers import KEYS
from shared.errors import CatalogUnavailable, InvalidApiKey, StoreError
from shared.ports import Clock, DocumentStore, Query, SecretStore, Where

OVERLAP = 120.0
"""Seconds that each question reaches back: more than the clocks of two instances differ."""

REACH = 3600.0
"""Seconds without contact after which changes no longer do and all keys are read; tombstones live longer."""

_REFUSED_KEYS = 10_000

_log = logging.getLogger("llmproxy.access")


class KeyRing:
    """Checks keys against a copy that is at most `max_age` seconds old.

    - At two thirds of `max_age` a request starts a refresh that it does not wait for; beyond it, it waits.
    - A key that is not in the copy costs at most one question to the store in `lookup_interval` seconds,
      shared by all who ask; one that was found to be unknown is refused without another.
    - While the store cannot be reached, the copy serves for `outage_age` seconds after it was last confirmed.
    - Every `reload_interval` seconds all keys are read again, behind the requests, in case one was missed.

    No request waits longer than `patience` seconds for one answer of the store, a `page` of keys.
    """

    def __init__(
        self,
        store: DocumentStore,
        secrets: SecretStore,
        clock: Clock,
        *,
        max_age: float = 30.0,
        outage_age: float = 600.0,
        reload_interval: float = 600.0,
        lookup_interval: float = 1.0,
        patience: float = 3.0,
        page: int = 1000,
    ) -> None:
        self._store = store
        self._clock = clock
        self._admin = AdminKeys(secrets, clock, max_age)
        self._max_age = max_age
        self._refresh_age = max_age * 2 / 3
        self._outage_age = outage_age
        self._reload_interval = reload_interval
        self._lookup_interval = lookup_interval
        self._patience = patience
        self._page = page
        self._known: dict[str, KnownKey] = {}
        # The text of a key is random: one that the store does not know will not become valid later.
        self._refused: TTLCache[bytes, bool] = TTLCache(_REFUSED_KEYS, outage_age, timer=clock.monotonic)
        self._confirmed = -inf
        self._asked_until = 0.0
        self._reloaded = -inf
        self._begun = 0
        self._settled = 0
        self._retry_at = -inf
        self._failures = 0
        self._looked = -inf
        self._refreshing: asyncio.Task[bool] | None = None
        self._looking: asyncio.Task[bool] | None = None
        self._reloading: asyncio.Task[bool] | None = None

    def __len__(self) -> int:
        return len(self._known)

    def fresh(self, presented: str) -> Caller | None:
        """The caller, where that is certain without waiting; None means: ask `authenticate`."""
        age = self._clock.monotonic() - self._confirmed
        parts = split_key(presented)
        if parts is not None and age <= self._max_age:
            if age > self._refresh_age:
                self._refresh()
            known = self._find(parts)
            if known is not None and known.usable(self._clock.time()):
                return known.caller
        return ADMIN if self._admin.fresh(digest(presented)) else None

    async def authenticate(self, presented: str) -> Caller:
        """The holder of the key.

        Raises `InvalidApiKey` for an unknown, disabled or deleted key, `ExpiredApiKey`, and
        `CatalogUnavailable` where that cannot be told because the store or the secrets cannot be reached.
        """
        caller = self.fresh(presented)
        if caller is not None:
            return caller
        whole = digest(presented)
        parts = split_key(presented)
        if parts is None:
            admin = await self._admin.matches(whole)
            if admin is None:
                raise self._unavailable("secrets cannot be read")
            if not admin:
                raise InvalidApiKey(REFUSED)
            return ADMIN
        mark = self._begun
        if self._age() > self._max_age:
            await self._wait(self._refresh())
        known = self._find(parts)
        if known is None:
            # Any text may be the admin key, one that is shaped like a key too.
            admin = await self._admin.matches(whole)
            if admin:
                return ADMIN
            if whole in self._refused:
                raise InvalidApiKey(REFUSED)
            known = await self._look_up(parts, mark)
            if known is None:
                if admin is None:
                    raise self._unavailable("secrets cannot be read")
                self._refused[whole] = True
                raise InvalidApiKey(REFUSED)
        if self._age() > self._outage_age:
            raise self._unavailable()
        return known.admit(self._clock.time())

    def learn(self, body: Json) -> None:
        """Takes over a document of the container `keys` that this instance has just read or written."""
        try:
            known = KnownKey.from_document(body)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            _log.warning("key document %r is skipped: %s", body.get("id"), type(error).__name__)
            return
        before = self._known.get(known.caller.key_id)
        if before is None or before.updated_at <= known.updated_at:
            self._known[known.caller.key_id] = known

    async def close(self) -> None:
        tasks = [task for task in (self._refreshing, self._looking, self._reloading) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._admin.close()

    def _age(self) -> float:
        return self._clock.monotonic() - self._confirmed

    def _find(self, parts: KeyParts) -> KnownKey | None:
        known = self._known.get(parts.id)
        if known is not None and known.matches(digest(parts.secret), self._clock.time()):
            return known
        return None

    def _unavailable(self, reason: str = "the store cannot be reached") -> CatalogUnavailable:
        pause = max(1.0, self._retry_at - self._clock.monotonic())
        return CatalogUnavailable(f"API keys cannot be checked at the moment: {reason}.", retry_after=pause)

    async def _look_up(self, parts: KeyParts, mark: int) -> KnownKey | None:
        """Asks for what has changed, unless that was asked after `mark`: the key may be a moment old."""
        if self._settled <= mark:
            if self._looking is None:
                self._looking = asyncio.get_running_loop().create_task(self._look_again())
            await self._wait(self._looking, self._lookup_interval)
        if self._settled <= mark:
            raise self._unavailable()
        return self._find(parts)

    async def _look_again(self) -> bool:
        delay = self._looked + self._lookup_interval - self._clock.monotonic()
        if delay > 0:
            await asyncio.sleep(delay)
        if self._refreshing is not None and not self._refreshing.done():
            await asyncio.shield(self._refreshing)
        self._looked = self._clock.monotonic()
        # Whoever comes from now on needs a question that has not been asked yet.
        self._looking = None
        task = self._refresh()
        return await asyncio.shield(task) if task is not None else False

    async def _wait(self, task: "asyncio.Task[bool] | None", longer: float = 0.0) -> None:
        if task is not None:
            # The task is shared: a client that leaves must not end it for the others.
            await asyncio.wait((task,), timeout=self._patience + longer)

    def _refresh(self) -> "asyncio.Task[bool] | None":
        """The refresh under way, or a new one; None while the store is left alone after a failure."""
        if self._refreshing is not None and not self._refreshing.done():
            return self._refreshing
        if self._clock.monotonic() < self._retry_at:
            return None
        self._refreshing = asyncio.get_running_loop().create_task(self._bring_up_to_date())
        return self._refreshing

    async def _bring_up_to_date(self) -> bool:
        self._begun += 1
        begun, started, wall = self._begun, self._clock.monotonic(), self._clock.time()
        changes = started - self._confirmed <= REACH
        done = await (self._read_changes() if changes else self._read_all())
        if not done:
            self._failures += 1
            self._retry_at = self._clock.monotonic() + min(10.0, 2.0 ** (self._failures - 1))
            return False
        self._failures = 0
        self._settled, self._confirmed, self._asked_until = begun, started, wall
        reloading = self._reloading is not None and not self._reloading.done()
        if started - self._reloaded >= self._reload_interval and not reloading:
            self._reloading = asyncio.get_running_loop().create_task(self._read_all())
        return True

    async def _read_changes(self) -> bool:
        since = iso(self._asked_until - OVERLAP)
        return await self._read((Where("updated_at", ">=", since),), None)

    async def _read_all(self) -> bool:
        before, seen = set(self._known), set[str]()
        started = self._clock.monotonic()
        if not await self._read((), seen):
            return False
        for id in before - seen:
            del self._known[id]
        self._reloaded = started
        return True

    async def _read(self, where: tuple[Where, ...], seen: set[str] | None) -> bool:
        try:
            async for body in self._pages(where):
                self.learn(body)
                if seen is not None:
                    seen.add(str(body["id"]))
        except (StoreError, TimeoutError) as error:
            _log.warning("keys cannot be read: %s", type(error).__name__)
            return False
        except Exception:
            # No one awaits this task: whatever went wrong, it means that keys cannot be confirmed.
            _log.exception("keys cannot be read")
            return False
        return True

    async def _pages(self, where: tuple[Where, ...]) -> AsyncIterator[Json]:
        after: str | None = None
        while True:
            async with asyncio.timeout(self._patience):
                page = await self._store.query(KEYS, Query(where, limit=self._page, after=after))
            for stored in page:
                yield stored.body
            if len(page) < self._page:
                return
            after = page[-1].body["id"]
