"""The realtime sessions that run on this host, and the last ones that ended: who asked for which model."""

import secrets
from collections import OrderedDict
from dataclasses import dataclass
from typing import Literal

from shared import Json
from shared.errors import NotFound
from shared.ports import Clock

KEPT = 1000
"""Ended sessions that are remembered."""
_SHOWN = 128


@dataclass(slots=True)
class Session:
    """One session. `created` is in seconds since 1970."""

    id: str
    project: str
    model: str
    created: int
    status: Literal["active", "ended"] = "active"

    def view(self) -> Json:
        return {
            "id": self.id,
            "object": "realtime.session",
            "model": self.model,
            "created": self.created,
            "status": self.status,
        }


class Sessions:
    """Sessions by id, in memory: of the ended ones the last `kept`."""

    def __init__(self, clock: Clock, kept: int = KEPT) -> None:
        self._clock = clock
        self._kept = kept
        self._active: dict[str, Session] = {}
        self._ended: OrderedDict[str, Session] = OrderedDict()

    def begin(self, project: str, model: str) -> Session:
        session = Session("sess_" + secrets.token_hex(16), project, model, int(self._clock.time()))
        self._active[session.id] = session
        return session

    def end(self, session: Session) -> None:
        session.status = "ended"
        self._active.pop(session.id, None)
        self._ended[session.id] = session
        while len(self._ended) > self._kept:
            self._ended.popitem(last=False)

    def get(self, id: str, project: str) -> Session:
        """A session of this project. Raises `NotFound`, also for another project's."""
        session = self._active.get(id) or self._ended.get(id)
        if session is None or session.project != project:
            raise NotFound(f"There is no realtime session '{id[:_SHOWN]}'.")
        return session
