"""The body of a webhook: `{"type", "timestamp", "data"}`, with a link where the result is too large."""

import orjson

from shared import Json
from shared.clock import iso

MAX_DATA_BYTES = 1024 * 1024
"""Bytes of `data`, as JSON, up to which it goes along whole."""


def webhook_payload(type: str, at: float, data: Json, *, public_url: str, result_path: str) -> bytes:
    """The JSON of one event; the same bytes go out at every try. `data` is left as it is.

    `type` is such as `chat.completion.completed`, `at` the time of the event in seconds since 1970. If `data`
    is over 1 MB, `result_url` takes the place of `result`: `public_url`, the app's address as receivers see
    it, and `result_path`, which begins with a slash.
    """
    written = orjson.dumps(data)
    if len(written) > MAX_DATA_BYTES and "result" in data:
        if not result_path.startswith("/"):
            raise ValueError("the path to a result must begin with a slash")
        link = public_url.rstrip("/") + result_path
        written = orjson.dumps(
            {
                "result_url" if name == "result" else name: link if name == "result" else value
                for name, value in data.items()
            }
        )
    return orjson.dumps({"type": type, "timestamp": iso(at), "data": orjson.Fragment(written)})
