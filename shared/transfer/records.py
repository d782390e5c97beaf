"""One document of the catalog as a line of a file: checked as `/manage` checks it, always written the same."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated, Literal, get_args

import orjson
from pydantic import StringConstraints

from shared import Json
from shared.access.key_fields import EDITABLE, KeyFields, Time
from shared.access.key_format import ID_LENGTH
from shared.access.projects import ProjectFields
from shared.access.validation import ProjectId, StrictBody, validated
from shared.catalog.documents import Model, parse_document
from shared.catalog.invalid import InvalidDocument
from shared.containers import KEYS, MODELS, PROJECTS, Container
from shared.errors import ProxyError

Kind = Literal["project", "model", "group", "key"]
KINDS: tuple[Kind, ...] = get_args(Kind)
"""In the order of a file: what others name comes first."""

CONTAINERS: dict[Kind, Container] = {"project": PROJECTS, "model": MODELS, "group": MODELS, "key": KEYS}

_WRITERS = ("updated_at", "revision")
"""What the last writer leaves in a document: of no use elsewhere, and another one sets its own."""
_EXACT = 2**53
"""Up to here a whole number is the same in every store, as 1 and as 1.0."""


class Refused(Exception):
    """A line that cannot be imported. The text gives the reason and repeats no value."""


class _KeyOwn(StrictBody):
    """What a key has beside its editable fields: digests (SHA-256, hexadecimal), never a secret."""

    id: Annotated[str, StringConstraints(pattern=rf"^[0-9A-Za-z]{{{ID_LENGTH}}}$")]
    secret_sha256: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
    previous_sha256: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")] | None = None
    previous_until: Time | None = None


class _ProjectOwn(StrictBody):
    id: ProjectId


@dataclass(frozen=True, slots=True)
class Record:
    """A document that can be stored: `body` is what the store keeps, without the marks of its last writer.

    `projects` are those that it names; `oddities` are sentences about what can serve and is still odd.
    """

    kind: Kind
    body: Json
    projects: tuple[str, ...] = ()
    oddities: tuple[str, ...] = field(default=(), compare=False)

    @property
    def id(self) -> str:
        return str(self.body["id"])

    @property
    def container(self) -> Container:
        return CONTAINERS[self.kind]

    @property
    def line(self) -> bytes:
        return line_of(self.kind, self.body)

    def differing(self, stored: Mapping[str, object]) -> list[str]:
        """Names of the fields in which a stored document says something else, whenever each was made."""
        ours, theirs = stored_part(self.body), stored_part(stored)
        if self.kind == "model" and theirs.get("kind") == "model":
            del theirs["kind"]
        return sorted(
            name
            for name in (ours.keys() | theirs.keys()) - {"created_at"}
            if name not in ours
            or name not in theirs
            or _text(_ordered(ours[name])) != _text(_ordered(theirs[name]))
        )


def read_record(kind: object, written: Json, endpoint_hosts: Sequence[str] = ()) -> Record:
    """A document of this kind, by the rules of `/manage`. Raises `Refused`.

    Unlike there, a key comes with the digest of its secret and may have expired, and `created_at` is kept.
    """
    if kind not in KINDS:
        raise Refused(f"kind: must be one of {', '.join(KINDS)}")
    try:
        # Numbers and nestings that this refuses could not be written back.
        orjson.dumps(written)
    except orjson.JSONEncodeError:
        raise Refused("holds numbers or a nesting that cannot be stored") from None
    body = stored_part(written)
    _check_time(body)
    try:
        if kind == "project":
            return Record("project", _project(body))
        if kind == "key":
            key = _key(body)
            return Record("key", key, (str(key["project"]),))
    except ProxyError as error:
        raise Refused(error.message.rstrip(".")) from None
    return _model(kind == "group", body, endpoint_hosts)


def kind_of(container: Container, body: Mapping[str, object]) -> Kind:
    """What a stored document is."""
    if container is MODELS:
        return "group" if body.get("kind") == "group" else "model"
    return "key" if container is KEYS else "project"


def stored_part(body: Mapping[str, object]) -> Json:
    """A document without nulls, which count as absent, its last writer's marks, and the database's own fields."""
    return {
        name: value
        for name, value in body.items()
        if value is not None and name not in _WRITERS and not name.startswith("_")
    }


def line_of(kind: Kind, body: Mapping[str, object]) -> bytes:
    """One line of JSON in ASCII, which every shell and editor leaves as it is; names in order below kind and id."""
    rest = {name: value for name, value in stored_part(body).items() if name not in ("kind", "id")}
    head = {"kind": kind, "id": body["id"]}
    return _text({**head, **{name: _ordered(rest[name]) for name in sorted(rest)}}) + b"\n"


def _project(body: Json) -> Json:
    own = {name: value for name, value in body.items() if name in ("id", "created_at")}
    fields = {name: value for name, value in body.items() if name not in own}
    id = validated(_ProjectOwn, {name: value for name, value in own.items() if name == "id"}).id
    return {**own, "id": id, **validated(ProjectFields, fields).model_dump()}


def _key(body: Json) -> Json:
    created = {name: value for name, value in body.items() if name == "created_at"}
    fields = {name: value for name, value in body.items() if name in EDITABLE}
    rest = {name: value for name, value in body.items() if name not in fields and name not in created}
    own = validated(_KeyOwn, rest)
    if (own.previous_sha256 is None) != (own.previous_until is None):
        raise Refused("previous_sha256: goes with previous_until")
    return {**own.model_dump(exclude_none=True), **validated(KeyFields, fields).model_dump(), **created}


def _model(group: bool, body: Json, endpoint_hosts: Sequence[str]) -> Record:
    written = {name: value for name, value in body.items() if name != "kind"}
    if group:
        written = {"kind": "group", **written}
    try:
        document, oddities = parse_document(written, strict=True, endpoint_hosts=endpoint_hosts)
    except InvalidDocument as invalid:
        raise Refused(str(invalid)) from None
    if isinstance(document, Model):
        return Record("model", written, document.projects, tuple(oddities))
    return Record("group", written, (), tuple(oddities))


def _check_time(body: Json) -> None:
    written = body.get("created_at")
    if written is None:
        return
    try:
        if not isinstance(written, str) or datetime.fromisoformat(written).tzinfo is None:
            raise ValueError
    except ValueError:
        raise Refused("created_at: must be an ISO 8601 time with its zone") from None


def _text(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":"), allow_nan=False).encode("ascii")


def _ordered(value: object) -> object:
    if isinstance(value, Mapping):
        return {str(name): _ordered(value[name]) for name in sorted(value)}
    if isinstance(value, list | tuple):
        return [_ordered(item) for item in value]
    if isinstance(value, float) and value.is_integer() and abs(value) < _EXACT:
        # A store may give 1.0 back as 1.
        return int(value)
    return value
