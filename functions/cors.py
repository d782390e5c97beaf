"""Which pages of other origins may call the app from a browser (the Fetch standard's CORS protocol).

Callers bring a key in a header of their own, never a cookie, so there is no credentials mode: an origin that is
allowed may read answers to requests that it could make anyway. An origin that is not gets no header of these, and
its browser keeps the answer from it; the request itself is served as any other.
"""

from functions.exchange import Exchange
from functions.replies import Reply
from shared.settings import Settings

MAX_AGE = b"7200"
"""Seconds that a browser may remember a preflight's answer: the most that Chromium takes."""
REQUEST_HEADERS = frozenset(
    """
accept accept-language api-key authorization cache-control content-language content-type idempotency-key if-match
if-none-match traceparent tracestate x-api-key x-request-id
""".split()
)
"""Request headers that a page may send, beside those that begin with one of `REQUEST_PREFIXES`."""
REQUEST_PREFIXES = ("openai-", "anthropic-", "x-stainless-")
EXPOSED = frozenset(
    b"""
allow etag location openai-processing-ms retry-after retry-after-ms x-request-id x-should-retry
""".split()
)
"""Headers of an answer that a page may read, beside those that begin with one of `EXPOSED_PREFIXES`."""
EXPOSED_PREFIXES = (b"x-llmproxy-", b"x-ratelimit-", b"x-upstream-")

_VARY = (b"vary", b"origin")
_ANY = (b"access-control-allow-origin", b"*")


class Cors:
    """The rules for one app. `origins` are as browsers write them; `*` stands for all."""

    __slots__ = ("_any", "_origins")

    def __init__(self, origins: tuple[str, ...]) -> None:
        self._any = "*" in origins
        self._origins = {origin: origin.encode() for origin in origins}

    def add_headers(self, exchange: Exchange, reply: Reply) -> None:
        """Adds to an answer what the browser of a page needs: every answer, for a page wants to read errors too."""
        if not self._any:
            # A cache must not hand what was made for one origin, or for none, to another.
            reply.raw_headers.append(_VARY)
        origin = exchange.header("origin")
        if origin is None:
            return
        if self._any:
            reply.raw_headers.append(_ANY)
        elif allowed := self._origins.get(origin):
            reply.raw_headers.append((b"access-control-allow-origin", allowed))
        else:
            return
        if exchange.method == "OPTIONS":
            _add_preflight(exchange, reply)
            return
        exposed = [
            name for name, _ in reply.raw_headers if name in EXPOSED or name.startswith(EXPOSED_PREFIXES)
        ]
        reply.raw_headers.append((b"access-control-expose-headers", b", ".join(exposed)))


def cors_of(settings: Settings) -> Cors | None:
    """The rules that the settings ask for; None where no other origin is allowed."""
    return Cors(settings.cors_origins) if settings.cors_origins else None


def _add_preflight(exchange: Exchange, reply: Reply) -> None:
    allowed = next((value for name, value in reply.raw_headers if name == b"allow"), b"")
    reply.raw_headers += (
        (b"access-control-allow-methods", allowed),
        (b"access-control-max-age", MAX_AGE),
    )
    asked = exchange.header("access-control-request-headers")
    if asked is not None:
        # A wildcard would not cover `Authorization`, so what is allowed is named.
        names = [name for part in asked.split(",") if may_send(name := part.strip().lower())]
        reply.raw_headers.append((b"access-control-allow-headers", ", ".join(names).encode()))


def may_send(name: str) -> bool:
    """Whether a page may send a request header of this lower-case name."""
    if name in REQUEST_HEADERS:
        return True
    return name.startswith(REQUEST_PREFIXES) and name.isascii() and name.replace("-", "").isalnum()
