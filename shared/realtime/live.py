"""Sessions that the proxy relays: opened at the provider before the client is let in, accounted at their end."""

from collections.abc import Mapping
from dataclasses import dataclass

from shared.errors import ClientGone, InternalError, ProviderUnreachable
from shared.inference.deadlines import Deadlines
from shared.inference.operations import REALTIME
from shared.inference.pipeline import Inference
from shared.inference.record import CallRecord
from shared.providers.calls import Call, Provider
from shared.realtime.asked import Asked
from shared.realtime.relay import ABNORMAL, GOING_AWAY, Closed, Ended, Side, relay
from shared.realtime.sessions import Session, Sessions
from shared.realtime.upstream import RealtimeUpstream
from shared.wire.realtime import Tally

IDLE = 900.0
"""Seconds without any frame after which a session is ended, where its model sets no `idle_timeout`."""
LONGEST = 3600.0
"""Seconds after which a session is ended; OpenAI's own limit is the same."""


@dataclass(frozen=True, slots=True)
class LiveSession:
    """A session that is open at the provider. `run` or `abandon` it."""

    session: Session
    record: CallRecord
    provider: Side
    idle: float


class Live:
    """Opens, relays and accounts sessions. `longest` is in seconds, and so is a session's `idle`."""

    def __init__(
        self,
        inference: Inference,
        upstream: RealtimeUpstream,
        sessions: Sessions,
        *,
        idle: float = IDLE,
        longest: float = LONGEST,
    ) -> None:
        self.sessions = sessions
        self._inference = inference
        self._upstream = upstream
        self._idle = idle
        self._longest = longest

    async def open(self, asked: Asked, query: Mapping[str, str]) -> LiveSession:
        """Opens a session at the provider. `query` travels on. Raises a `ProxyError`."""

        async def attempt(provider: Provider, call: Call, limits: Deadlines) -> Side:
            return await self._upstream.connect(call, limits, query)

        side, record = await self._inference.begin(asked.request(REALTIME), attempt)
        model = record.model
        idle = (model.parameters.idle_timeout if model else None) or self._idle
        session = self.sessions.begin(asked.caller.project, model.id if model else "")
        return LiveSession(session, record, side, idle)

    async def run(self, live: LiveSession, client: Side) -> Ended:
        """Relays until the session ends, whoever ends it, and accounts what its responses used."""
        tally = Tally()

        status: int = InternalError.status
        code: str | None = InternalError.code
        try:
            ended = await relay(client, live.provider, tally.note, idle=live.idle, longest=self._longest)
            status, code = _outcome(ended)
        finally:
            self.sessions.end(live.session)
            self._inference.settle(live.record, status, code, tally.usage)
        return ended

    async def abandon(self, live: LiveSession) -> None:
        """Ends a session whose client was gone before it began."""
        self.sessions.end(live.session)
        self._inference.settle(live.record, ClientGone.status, ClientGone.code)
        await live.provider.close(Closed(GOING_AWAY))


def _outcome(ended: Ended) -> tuple[int, str | None]:
    """The status and error code of the record: a session that was closed properly went well."""
    if ended.by == "provider" and ended.closed.code == ABNORMAL:
        return ProviderUnreachable.status, ProviderUnreachable.code
    return 200, None
