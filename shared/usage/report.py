"""What `/manage/usage` and `/manage/requests` show: sums and records, filtered and paged."""

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta

from shared import Json
from shared.access.audit import AuditLog
from shared.access.caller import Caller
from shared.access.paging import envelope, known_only, page_limit
from shared.access.validation import ProjectId, StrictBody, validated
from shared.access.writes import store_errors
from shared.containers import COUNTERS, USAGE
from shared.errors import InvalidValue
from shared.ports import Clock, DocumentStore, Operator, Query, Where
from shared.usage.recompute import Recomputation, all_pages
from shared.usage.recorder import UsageRecorder
from shared.usage.records import partition, record_view
from shared.usage.rollups import AMOUNTS, KIND, NANO, Amounts

GROUPS = {"project": "project", "key": "key_id", "user": "user", "model": "model", "day": "day"}
"""What `group_by` may name, and the field it means."""

_FILTERS = {"project_id": "project", "key_id": "key_id", "user": "user", "model": "model"}
_DEFAULT_DAYS = 30


class _Recompute(StrictBody):
    day: str
    project_id: ProjectId | None = None


class UsageReport:
    """Every method raises children of `ProxyError` only. Days are UTC days, `YYYY-MM-DD`."""

    def __init__(
        self, store: DocumentStore, recorder: UsageRecorder, audit: AuditLog, clock: Clock, days: int
    ) -> None:
        self._store = store
        self._recorder = recorder
        self._audit = audit
        self._clock = clock
        self._days = days
        self._recomputation = Recomputation(store, clock, days)

    async def sums(self, query: Mapping[str, str]) -> Json:
        """Sums by `group_by` (`project,key,user,model,day`; `project` if absent), the largest cost first.

        `from` and `to` are days, both included: the last 30 if absent.
        """
        known_only(query, ("from", "to", "group_by", *_FILTERS))
        groups = _groups(query.get("group_by") or "project")
        until = _day(query, "to") or self._today()
        since = _day(query, "from") or until - timedelta(days=_DEFAULT_DAYS - 1)
        where = [Where("kind", "=", KIND), *_between(since, until), *_filters(query)]
        found: dict[tuple[str | None, ...], Amounts] = {}
        total = dict.fromkeys(AMOUNTS, 0)
        with store_errors():
            async for stored in all_pages(self._store, COUNTERS, Query(tuple(where))):
                body = stored.body
                own = found.setdefault(
                    tuple(body[GROUPS[name]] for name in groups), dict.fromkeys(AMOUNTS, 0)
                )
                for name in AMOUNTS:
                    own[name] += body[name]
                    total[name] += body[name]
        rows = sorted(found.items(), key=lambda row: (-row[1]["cost_nano_usd"], -row[1]["requests"]))
        fields = [GROUPS[name] for name in groups]
        return {
            "object": "usage",
            "from": since.isoformat(),
            "to": until.isoformat(),
            "group_by": groups,
            "data": [{**dict(zip(fields, values, strict=True)), **_shown(own)} for values, own in rows],
            "total": _shown(total),
        }

    async def requests(self, query: Mapping[str, str]) -> Json:
        """Records, newest first. `status` is one (`429`) or a class (`5xx`); `after` takes `last_id`."""
        known_only(
            query, ("from", "to", "day", "status", "operation", "request_id", "limit", "after", *_FILTERS)
        )
        limit = page_limit(query)
        since, until = _day(query, "from"), _day(query, "to")
        day = _day(query, "day")
        if day is not None:
            since = until = day
        where = [*_between(since, until), *_filters(query), *_status(query.get("status", ""))]
        where += [Where(name, "=", query[name]) for name in ("operation", "request_id") if query.get(name)]
        own = None
        if since is not None and since == until and query.get("project_id"):
            own = partition(query["project_id"], since.isoformat())
        with store_errors():
            found = await self._store.query(
                USAGE,
                Query(tuple(where), "sort_key", True, limit + 1, query.get("after") or None, own),
            )
        page = envelope([stored.body for stored in found], limit, "sort_key")
        return {**page, "data": [record_view(body) for body in page["data"]]}

    async def recompute(self, caller: Caller, body: Json) -> Json:
        """Makes the sums of `day` (of `project_id`, or of all projects) again from the records."""
        wanted = validated(_Recompute, body)
        day = _parsed(wanted.day, "day")
        if not self._today() - timedelta(days=self._days - 1) <= day <= self._today():
            raise InvalidValue("'day' must be one of the days whose records are kept.", param="day")
        with store_errors():
            await self._audit.record(caller, "usage.recompute", wanted.project_id or "*", body)
            await self._recorder.flush()
            records, corrected = await self._recomputation.run(day, wanted.project_id)
        return {
            "object": "usage.recomputation",
            "day": wanted.day,
            "project_id": wanted.project_id,
            "records": records,
            "corrected": corrected,
        }

    def _today(self) -> date:
        return datetime.fromtimestamp(self._clock.time(), UTC).date()


def _groups(text: str) -> list[str]:
    groups = list(dict.fromkeys(part.strip() for part in text.split(",")))
    for group in groups:
        if group not in GROUPS:
            raise InvalidValue(f"'group_by' takes {', '.join(GROUPS)}.", param="group_by")
    return groups


def _filters(query: Mapping[str, str]) -> list[Where]:
    return [Where(field, "=", query[name]) for name, field in _FILTERS.items() if query.get(name)]


def _between(since: date | None, until: date | None) -> list[Where]:
    bounds: tuple[tuple[Operator, date | None], ...] = ((">=", since), ("<=", until))
    return [Where("day", operator, day.isoformat()) for operator, day in bounds if day is not None]


def _day(query: Mapping[str, str], name: str) -> date | None:
    return _parsed(query[name], name) if query.get(name) else None


def _parsed(text: str, param: str) -> date:
    try:
        day = date.fromisoformat(text)
    except ValueError:
        day = None
    if day is None or day.isoformat() != text:
        raise InvalidValue(f"'{param}' must be a day such as 2030-01-31.", param=param)
    return day


def _status(text: str) -> list[Where]:
    if not text:
        return []
    if len(text) == 3 and text.isascii() and text.isdigit():
        return [Where("status", "=", int(text))]
    if len(text) == 3 and text[0] in "12345" and text[1:].lower() == "xx":
        low = int(text[0]) * 100
        return [Where("status", ">=", low), Where("status", "<", low + 100)]
    raise InvalidValue("'status' must be a status such as 429, or a class such as 5xx.", param="status")


def _shown(amounts: Amounts) -> Json:
    """Amounts as they are shown: cost in US dollars, null where no request had a price."""
    shown: Json = {name: amount for name, amount in amounts.items() if name != "cost_nano_usd"}
    unpriced = amounts["requests"] == amounts["unpriced_requests"]
    shown["cost_usd"] = None if unpriced else amounts["cost_nano_usd"] / NANO
    return shown
