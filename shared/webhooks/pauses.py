"""When a webhook that did not arrive is sent again."""

import hashlib

PAUSES = (15.0, 60.0, 300.0, 1800.0, 7200.0)
"""Seconds before each of the five tries after the first: two and a half hours in all."""
LONGEST_PAUSE = 7200.0
"""Seconds that a receiver's `Retry-After` can ask for at most."""
_SPREAD = 0.2


def next_pause(message_id: str, tries: int, retry_after: float | None = None) -> float | None:
    """Seconds from the end of try number `tries` (the first is 1) to the next one; None: there is none.

    Never sooner than the receiver asked for. Up to a fifth is added, another share for each message, so that
    those that failed together do not come back together; the same message always gets the same share.
    """
    if tries < 1:
        raise ValueError("a pause follows a try")
    if tries > len(PAUSES):
        return None
    digest = hashlib.sha256(f"{message_id}.{tries}".encode()).digest()
    share = int.from_bytes(digest[:4], "big") / 2**32
    pause = max(PAUSES[tries - 1], min(retry_after or 0.0, LONGEST_PAUSE))
    return pause * (1 + _SPREAD * share)
