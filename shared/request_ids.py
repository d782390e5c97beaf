"""The id of a request: the client's own where it is safe to repeat, else a new one."""

import os
import re

_SAFE = re.compile(r"[A-Za-z0-9._:\-]{8,128}")


def request_id(asked: str | None) -> str:
    """`asked` is the header `x-request-id`, or None."""
    return asked if asked and _SAFE.fullmatch(asked) else os.urandom(16).hex()
