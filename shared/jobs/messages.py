"""What an event of a jobs hub says. Pure: an event in, a message out, whatever it holds.

Wake        a job lies in the store and may be run
Cancel      a job is to be cancelled
Direct      a job that a publisher sends without HTTP: docs/job-message.schema.json
Malformed   none of these: a dead letter
"""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import ClassVar, TypeAlias

import orjson
from pydantic import TypeAdapter, ValidationError

from shared import Json
from shared.access.validation import ProjectId
from shared.clock import iso
from shared.errors import InvalidRequest, InvalidValue
from shared.jobs.fields import PRIORITIES
from shared.jobs.ids import JOB_ID, id_of_event
from shared.jobs.job import JobOptions
from shared.jobs.wakeups import RUN

CANCEL = "cancel"
"""The `action` of a message that cancels."""
DEAD_LETTER = "dead_letter_id"
"""The property of an event that was put back: the id of the dead letter that it was."""
INSIDE = ("payload", "request_params")
"""Where the body of a direct message may lie, if not at the top."""
_IDS = ("execution_id", "request_id")
_ADDRESS = ("action", "project_id", *_IDS)
_WAKE = frozenset((*_ADDRESS, "priority"))
_PROJECT: TypeAdapter[str] = TypeAdapter(ProjectId)

Property: TypeAlias = str | int | float | bool


class Reason(StrEnum):
    """Why an event is a dead letter."""

    NOT_JSON = "not_json"
    NO_PROJECT = "invalid_project_id"
    BAD_ID = "invalid_execution_id"
    ID_TAKEN = "id_taken"
    UNKNOWN_JOB = "unknown_job"
    FAILED = "internal_error"


@dataclass(frozen=True, slots=True)
class Received:
    """An event as a hub delivered it. `enqueued_at` is when the hub took it, in seconds since 1970.

    A host may leave out where an event lies: `partition` is empty, `sequence` None and `enqueued_at` 0 then.
    """

    hub: str
    partition: str
    sequence: int | None
    enqueued_at: float
    body: bytes
    properties: Mapping[str, Property] = field(default_factory=dict)

    @property
    def dead_letter(self) -> str | None:
        """The id of the dead letter that it was before it was put back."""
        id = self.properties.get(DEAD_LETTER)
        return id if isinstance(id, str) and id else None

    def id_in(self, namespace: str) -> str:
        """The id of a job that it is: the same at every delivery, also of what was put back more than once."""
        if self.dead_letter is not None:
            return id_of_event(namespace, DEAD_LETTER, self.dead_letter, 0, "")
        return self.place_in(namespace)

    def place_in(self, namespace: str) -> str:
        """Stands for where the event lies, in the form of a job's id."""
        if self.sequence is None or not self.partition:
            # Nothing says where it lies: then what it holds must tell it from the others.
            content = hashlib.sha256(self.body).hexdigest()
            return id_of_event(namespace, self.hub, self.partition, -1, f"{iso(self.enqueued_at)} {content}")
        return id_of_event(namespace, self.hub, self.partition, self.sequence, iso(self.enqueued_at))


@dataclass(frozen=True, slots=True)
class Wake:
    """`priority` orders the events of a batch, 1 first; the job's own lies in the store."""

    received: Received
    id: str
    project: str
    priority: int


@dataclass(frozen=True, slots=True)
class Cancel:
    received: Received
    id: str
    project: str
    priority: ClassVar[int] = 0


@dataclass(frozen=True, slots=True)
class Direct:
    """A job from a publisher. `body` is what an HTTP client would post; `fault` why it is none that can run."""

    received: Received
    id: str
    project: str
    priority: int
    body: Json
    fault: InvalidRequest | None = None


@dataclass(frozen=True, slots=True)
class Malformed:
    """A dead letter. `detail` is a sentence for people, without what the event holds."""

    received: Received
    reason: Reason
    detail: str
    priority: ClassVar[int] = 0


Message: TypeAlias = Wake | Cancel | Direct | Malformed


def read_message(received: Received, namespace: str) -> Message:
    """What the event says; it never raises. `namespace` is that of the hubs, and tells ids of one from another's."""
    try:
        top = orjson.loads(received.body)
    except orjson.JSONDecodeError:
        return Malformed(received, Reason.NOT_JSON, "The event is not JSON in UTF-8.")
    if not isinstance(top, dict):
        return Malformed(received, Reason.NOT_JSON, "The event is no JSON object.")
    inside = _inside(top)
    found = [part for part in (top, inside) if part is not None]

    projects = _given(found, ("project_id",))
    if len(projects) != 1 or (project := _project(projects[0])) is None:
        detail = "An event needs one 'project_id' of 1 to 128 characters."
        return Malformed(received, Reason.NO_PROJECT, detail)
    ids = _given(found, _IDS)
    id = ids[0] if ids else received.id_in(namespace)
    if len(ids) > 1 or not isinstance(id, str) or not JOB_ID.fullmatch(id):
        detail = "'execution_id' takes one id of 1 to 128 letters, digits, '.', '_' and '-'."
        return Malformed(received, Reason.BAD_ID, detail)

    actions = _given(found, ("action",))
    if actions == [CANCEL]:
        if not ids:
            return Malformed(received, Reason.BAD_ID, "A cancellation needs the job's 'execution_id'.")
        return Cancel(received, id, project)
    priority = _priority(received, found)
    if actions == [RUN] and ids and inside is None and top.keys() <= _WAKE:
        return Wake(received, id, project, priority)
    body, fault = _body(top, inside)
    if actions and actions != [RUN]:
        fault = InvalidValue(f"'action' must be '{RUN}' or '{CANCEL}'.", param="action")
    return Direct(received, id, project, priority, body, fault)


def _inside(top: Json) -> Json | None:
    """The object under `payload` or `request_params`, if there is one of them."""
    found = [top[name] for name in INSIDE if isinstance(top.get(name), dict)]
    return found[0] if len(found) == 1 else None


def _given(parts: list[Json], names: tuple[str, ...]) -> list[object]:
    """The different values that are given under these names, wherever."""
    values: list[object] = []
    for part in parts:
        for name in names:
            value = part.get(name)
            if value is not None and not any(_equal(value, known) for known in values):
                values.append(value)
    return values


def _project(value: object) -> str | None:
    try:
        return _PROJECT.validate_python(value, strict=True)
    except ValidationError:
        return None


def _priority(received: Received, parts: list[Json]) -> int:
    for given in (received.properties.get("priority"), *(part.get("priority") for part in parts)):
        if isinstance(given, str):
            # Some publishers' properties are text only.
            given = PRIORITIES.get(given) or (int(given) if re.fullmatch("[0-9]{1,2}", given) else None)
        if isinstance(given, int) and not isinstance(given, bool) and 1 <= given <= 10:
            return given
    return JobOptions().priority


def _body(top: Json, inside: Json | None) -> tuple[Json, InvalidRequest | None]:
    """What is submitted: fields beside `payload` count as if they were in it."""
    body = {name: value for name, value in top.items() if name not in _ADDRESS}
    if inside is not None:
        del body[next(name for name in INSIDE if body.get(name) is inside)]
    for name in INSIDE:
        if body.get(name) is not None:
            return body, InvalidValue(f"'{name}' must be an object, and the only one.", param=name)
        body.pop(name, None)
    for name, value in (inside or {}).items():
        if name in _ADDRESS:
            continue
        if name in body and not _equal(body[name], value):
            return body, InvalidValue(f"'{name}' is given twice, with two values.", param=name)
        body[name] = value
    return body, None


def _equal(one: object, other: object) -> bool:
    try:
        return one == other
    except RecursionError:  # what is nested as deep as the parser allows
        return False
