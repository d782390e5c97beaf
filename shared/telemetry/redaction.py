"""Credentials out of texts that others wrote: providers' messages, libraries' log records."""

import logging
import re
from collections.abc import Callable, Iterable
from urllib.parse import quote

import orjson

REDACTED = "[redacted]"

_SHORTEST_SECRET = 6
"""Shorter texts are not looked for: they would take ordinary words out of a message."""

_VALUE = r"(?!\[redacted\])(?P<secret>[^\s\"'\\&,;<>{}()]+)"

# Each pattern names what must go `secret` and keeps what stands around it. It is tried only where one of the
# words before it occurs (in lower case), which most texts lack. All are bounded or take no step back, so that
# a hostile message costs no more than its length.
_SHAPES = tuple(
    (tuple(words.split()), re.compile(pattern, re.IGNORECASE | re.DOTALL))
    for words, pattern in (
        # a private key, also within JSON, also cut off
        (
            "-----begin",
            r"(?P<secret>-----BEGIN [A-Z ]{0,40}PRIVATE KEY-----"
            r".*?(?:-----END [A-Z ]{0,40}PRIVATE KEY-----|\Z))",
        ),
        # user:password@ in an address
        ("://", r"://(?P<secret>[^\s/@\"'<>]{1,512})(?=@)"),
        # JSON web tokens
        ("eyj", r"\b(?P<secret>eyJ[\w-]{6,}\.[\w-]{6,}(?:\.[\w-]*){0,3})"),
        # our own keys; the id is not secret and finds the key
        ("llmp_", r"\bllmp_(?:[0-9a-z]{4,32}_)?(?P<secret>[0-9a-z]{8,})"),
        # keys that say whose they are: OpenAI and many after it, Google, Groq, Hugging Face, GitHub,
        # webhooks, xAI, AWS
        (
            "sk- sk_ pk- pk_ rk- rk_ aiza ya29. gsk_ hf_ gho_ ghp_ ghs_ ghu_ whsec_ xai- akia asia",
            r"\b(?P<secret>[spr]k[-_][\w*-]{8,}|AIza[\w-]{10,}|ya29\.[\w.-]{10,}"
            r"|(?:gsk|hf|gh[opsu]|whsec)_[\w+/=]{12,}|xai-[\w-]{16,}|(?:AKIA|ASIA)[A-Z0-9]{12,})",
        ),
        # names whose value is a credential, however it is written: name=value, name: value, "name": "value"
        (
            "key token secret assertion passw signature authorization cookie",
            r"(?:(?:api[-_ ]?|(?:access|account|private|subscription|functions)[-_]?)key|[-_]token"
            r"|client[-_]?secret|client[-_]assertion|password|passwd|signature|authorization|cookie)"
            r"\\?[\"']?\s{0,4}[=:]\s{0,4}(?:\\?[\"'])?(?:(?:bearer|basic)\s{1,4})?" + _VALUE,
        ),
        # Bearer and Basic credentials, but not a plain word after "bearer"
        (
            "bearer basic",
            r"\b(?:bearer|basic)\s{1,4}(?P<secret>[\w.~+/=-]{20,}|[a-z]*[0-9_~+/=.-][\w.~+/=-]{3,})",
        ),
        # names for which that holds in queries and connection strings only
        (
            "key= sig= token= secret= pwd= code=",
            r"(?:(?<![a-z])(?:key|sig|token|secret|pwd)|[?&]code)=" + _VALUE,
        ),
    )
)


def scrub(text: str, secrets: Iterable[str] = ()) -> str:
    """`text` without credentials: without `secrets`, known ones, and without what looks like one."""
    return _without_shapes(_without(text, _spellings(secrets)))


class ScrubFilter(logging.Filter):
    """Scrubs every record that passes: its text, its arguments, its traceback. For handlers and loggers.

    `known` gives the secrets at hand. The traceback is kept as text, without the exception, so that no
    handler can write it out anew.
    """

    def __init__(self, known: Callable[[], Iterable[str]] = tuple) -> None:
        super().__init__()
        self._known = known
        self._secrets: tuple[str, ...] = ()
        self._spellings: tuple[str, ...] = ()

    def filter(self, record: logging.LogRecord) -> bool:
        secrets = tuple(self._known())
        if secrets != self._secrets:
            self._secrets, self._spellings = secrets, _spellings(secrets)
        record.msg = self._scrubbed(text_of(record), record)
        record.args = None
        if record.exc_info:
            record.exc_text = record.exc_text or _FORMATTER.formatException(record.exc_info)
            record.exc_info = None
        if record.exc_text:
            record.exc_text = self._scrubbed(record.exc_text, record)
        if record.stack_info:
            record.stack_info = self._scrubbed(record.stack_info, record)
        return True

    def _scrubbed(self, text: str, record: logging.LogRecord) -> str:
        text = _without(text, self._spellings)
        # Our own lines were scrubbed field by field, and must stay JSON.
        return text if hasattr(record, OWN_RECORD) else _without_shapes(text)


OWN_RECORD = "llmproxy_event"
"""The attribute that marks a record whose text is already one of our JSON lines."""

_FORMATTER = logging.Formatter()


def text_of(record: logging.LogRecord) -> str:
    """A record's text with its arguments."""
    try:
        return record.getMessage()
    except Exception:  # a library's format string and arguments that do not fit must not break the call
        return str(record.msg)


def _without(text: str, spellings: tuple[str, ...]) -> str:
    for spelling in spellings:
        if spelling in text:
            text = text.replace(spelling, REDACTED)
    return text


def _spellings(secrets: Iterable[str]) -> tuple[str, ...]:
    """Each secret as it is, as in an address and as in JSON; the longest first: one may hold another."""
    spellings = set()
    for secret in secrets:
        if len(secret) >= _SHORTEST_SECRET:
            encoded = secret.encode(errors="replace").decode()
            spellings |= {secret, quote(encoded, safe=""), orjson.dumps(encoded).decode()[1:-1]}
    return tuple(sorted(spellings, key=len, reverse=True))


def _without_shapes(text: str) -> str:
    lowered = text.lower()
    for words, shape in _SHAPES:
        for word in words:  # a plain loop: this runs for every line of the log
            if word in lowered:
                text = shape.sub(_masked, text)
                break
    return text


def _masked(match: re.Match[str]) -> str:
    whole, start = match.group(), match.start()
    return whole[: match.start("secret") - start] + REDACTED + whole[match.end("secret") - start :]
