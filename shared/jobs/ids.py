"""Ids of jobs: random, derived from an idempotency key, or from an event's place in its hub."""

import hashlib
import re
import secrets

import orjson

from shared import Json

JOB_ID = re.compile(r"[A-Za-z0-9._-]{1,128}")
"""What the id of a job looks like, whoever made it."""
_LENGTH = 32


def new_id() -> str:
    return f"job_{secrets.token_hex(_LENGTH // 2)}"


def id_of_key(project: str, idempotency_key: str) -> str:
    """The same id for the same project and `Idempotency-Key`."""
    return f"job_{_digest('key', project, idempotency_key)}"


def id_of_event(namespace: str, hub: str, partition: str, sequence: int, time: str) -> str:
    """The same id whenever the event at that place is delivered. `time` is when the hub took it."""
    return f"job_{_digest('event', namespace, hub, partition, str(sequence), time)}"


def new_lease() -> str:
    return secrets.token_hex(8)


def canonical(content: Json) -> bytes:
    """The same bytes for equal JSON, whatever the order of its fields. Raises `TypeError` where it is too deep."""
    return orjson.dumps(content, option=orjson.OPT_SORT_KEYS)


def fingerprint(project: str, operation: str, content: bytes) -> str:
    """Stands for what was submitted; `content` is canonical."""
    return hashlib.sha256(b"\0".join((project.encode(), operation.encode(), content))).hexdigest()


def _digest(*parts: str) -> str:
    framed = b"".join(len(part.encode()).to_bytes(4, "big") + part.encode() for part in parts)
    return hashlib.sha256(framed).hexdigest()[:_LENGTH]
