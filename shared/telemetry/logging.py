"""The log: JSON lines with the fields of docs/logging.md. Never prompts, completions or secrets."""

import atexit
import contextlib
import logging
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Any, NamedTuple, TextIO, TypedDict, Unpack

import orjson

from shared.clock import iso
from shared.telemetry.redaction import OWN_RECORD, ScrubFilter, scrub, text_of

ROOT = "llmproxy"
"""The logger above all of ours: `logging.getLogger("llmproxy.catalog")`."""

LINE_DELAY = 0.1
MOST_LINES = 64

DEBUG, INFO, WARNING, ERROR = logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR
_LEVELS = {DEBUG: "debug", INFO: "info", WARNING: "warning", ERROR: "error"}


class Fields(TypedDict, total=False):
    """What a line may say beside `time`, `level`, `logger` and `event`. mypy holds every call to it."""

    request_id: str
    project: str
    key_id: str
    method: str
    path: str
    operation: str
    model: str | None
    model_used: str | None
    provider: str | None
    status: int
    duration_ms: float
    time_to_first_token_ms: float | None
    streamed: bool
    attempts: int
    fallback: bool
    cache: str
    usage: dict[str, Any] | None
    cost_usd: float | None
    error_code: str | None
    message: str
    error: str
    traceback: list[str]
    document: str
    secret: str
    scope: str
    count: int
    wait_seconds: float


SCRUBBED_FIELDS = ("message", "path", "model")
"""Fields that may carry what others wrote: shortened, and cleaned of what looks like a credential."""

_LONGEST_TEXT = 4096
_DEEPEST_TRACE = 30
_QUIET = (
    # A line for each request costs a third of the CPU, and ours says more.
    "uvicorn.access",
    "azure",
    "azure_functions_worker",
    "azure_functions_runtime",
    "proxy_worker",
    # Addresses, which may hold keys.
    "httpx",
    "httpcore",
    "urllib3",
    "aiohttp.access",
    "openai",
    "google",
    "msal",
    "asyncio",
)
_SILENT = ("LiteLLM", "LiteLLM Router", "LiteLLM Proxy")
"""Loggers whose lines hold prompts, and come at any level. What they report reaches us as exceptions."""


def log_event(logger: logging.Logger, level: int, event: str, **fields: Unpack[Fields]) -> None:
    """Writes one line, whatever the fields hold. `event` is a word of docs/logging.md (`inference`)."""
    if logger.isEnabledFor(level):
        _emit(logger, level, event, fields)


def log_failure(logger: logging.Logger, event: str, failure: BaseException, **fields: Unpack[Fields]) -> None:
    """An unexpected exception, at level error: its class and where it was raised, without its text.

    The text of an exception may quote a request or a secret; the places do not.
    """
    if logger.isEnabledFor(ERROR):
        fields.update(_places(failure))
        _emit(logger, ERROR, event, fields)


def configure_logging(
    level: str, *, stream: TextIO | None = None, known_secrets: Callable[[], Iterable[str]] = tuple
) -> None:
    """Sets the log up, again if need be. `level` is `debug`, `info`, `warning` or `error`, for our own lines.

    With `stream` every record of the process is written to it as a JSON line: for a process that is ours.
    Without it the lines go to the handlers that the host has put on the root logger (Azure's worker passes
    them to Application Insights); there the text of a record is the line. Either way `known_secrets`, and
    what looks like a credential, is taken out of every record that a root handler writes.
    """
    logging.getLogger(ROOT).setLevel(level.upper())
    for name in _QUIET:
        logging.getLogger(name).setLevel(WARNING)
    for name in _SILENT:
        _replace_filter(logging.getLogger(name), _Silence())
    root = logging.getLogger()
    if stream is not None:
        for handler in root.handlers[:]:
            if isinstance(handler, _LineHandler):
                root.removeHandler(handler)
                handler.close()
        root.addHandler(_LineHandler(stream))
    for handler in root.handlers:
        _replace_filter(handler, _OwnLines())
        _replace_filter(handler, ScrubFilter(known_secrets))


class LineFormatter(logging.Formatter):
    """A JSON line of any record: ours are one already, others' become one with `event: "log"`."""

    def format(self, record: logging.LogRecord) -> str:
        text = record.getMessage()
        if hasattr(record, OWN_RECORD):
            return text
        fields: Fields = {"message": text}
        if record.exc_info and not record.exc_text:
            record.exc_text = self.formatException(record.exc_info)
        if record.exc_text:
            fields["traceback"] = record.exc_text.splitlines()
        return _line(record.created, record.levelno, record.name, "log", fields)


class _Event(NamedTuple):
    """A line of ours that is not written out yet."""

    created: float
    level: int
    logger: str
    name: str
    fields: Fields

    def record(self) -> logging.LogRecord:
        """What a handler of the `logging` package gets; its text is the line."""
        record = logging.LogRecord.__new__(logging.LogRecord)
        record.__dict__.update(_blank_record(self.logger, self.level))
        record.created, record.msecs = self.created, self.created % 1 * 1000
        record.msg = _line(self.created, self.level, self.logger, self.name, self.fields)
        setattr(record, OWN_RECORD, self.name)
        return record


class _LineHandler(logging.Handler):
    """Writes lines together, at most `LINE_DELAY` seconds late; a warning or worse at once, with what waits.

    An event of ours waits as it is: to write out many in one go costs less than writing out each in the
    middle of its request.
    """

    def __init__(self, stream: TextIO) -> None:
        super().__init__()
        self.setFormatter(LineFormatter())
        self._stream = stream
        self._waiting: deque[_Event | str] = deque()
        self._timer: threading.Timer | None = None
        atexit.register(self.flush)

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self._take(self.format(record), record.levelno)
        except Exception:
            self.handleError(record)

    def take(self, event: _Event) -> None:
        """Keeps an event of ours until the next flush."""
        self._take(event, event.level)

    def _take(self, line: _Event | str, level: int) -> None:
        self._waiting.append(line)
        if level >= WARNING or len(self._waiting) >= MOST_LINES:
            self.flush()
        elif self._timer is None:
            self._timer = timer = threading.Timer(LINE_DELAY, self._flush_in_time)
            timer.daemon = True
            timer.start()

    def flush(self) -> None:
        with self.lock or contextlib.nullcontext():
            lines = []
            while self._waiting:
                line = self._waiting.popleft()
                with contextlib.suppress(Exception):  # one line must not cost the others
                    lines.append(line if isinstance(line, str) else self._written_out(line))
            if lines:
                with contextlib.suppress(OSError, ValueError):
                    self._stream.write("\n".join(lines) + "\n")
                    self._stream.flush()

    def _flush_in_time(self) -> None:
        self._timer = None
        self.flush()

    def _written_out(self, event: _Event) -> str:
        record = event.record()
        self.filter(record)
        return record.getMessage()

    def close(self) -> None:
        self.flush()
        atexit.unregister(self.flush)
        super().close()


class _OwnLines(logging.Filter):
    """What our modules write with plain calls of `logging` becomes a line too, exceptions without text."""

    def filter(self, record: logging.LogRecord) -> bool:
        ours = record.name == ROOT or record.name.startswith(ROOT + ".")
        if ours and not hasattr(record, OWN_RECORD):
            fields: Fields = {"message": text_of(record)}
            if record.exc_info and record.exc_info[1]:
                fields.update(_places(record.exc_info[1]))
            record.msg = _line(record.created, record.levelno, record.name, "log", fields)
            record.args = record.exc_info = record.exc_text = None
            setattr(record, OWN_RECORD, "log")
        return True


class _Silence(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        return False


def _replace_filter(target: logging.Handler | logging.Logger, new: logging.Filter) -> None:
    for old in [old for old in target.filters if type(old) is type(new)]:
        target.removeFilter(old)
    target.addFilter(new)


def _emit(logger: logging.Logger, level: int, event: str, fields: Fields) -> None:
    noted = _Event(time.time(), level, logger.name, event, fields)
    handlers = logger.root.handlers
    if len(handlers) == 1 and type(handlers[0]) is _LineHandler and not logger.handlers:
        handlers[0].take(noted)
    else:
        logger.handle(noted.record())


@lru_cache(maxsize=64)
def _blank_record(logger: str, level: int) -> dict[str, object]:
    """What all records of a logger have in common: to find that out again for each costs more than the line."""
    return logging.LogRecord(logger, level, "", 0, "", (), None).__dict__


def _line(created: float, level: int, logger: str, event: str, fields: Fields) -> str:
    line: dict[str, object] = {
        "time": iso(created),
        "level": _LEVELS.get(level) or logging.getLevelName(level).lower(),
        "logger": logger,
        "event": event,
        **fields,
    }
    for name in SCRUBBED_FIELDS:
        text = line.get(name)
        if text is not None:
            line[name] = _clean_name(text) if type(text) is str and len(text) < 256 else _clean(text)
    try:
        return orjson.dumps(line, default=_described, option=orjson.OPT_NON_STR_KEYS).decode()
    except (TypeError, ValueError, RecursionError):
        # A number over 64 bits, half a surrogate pair, a circle: rare, and no reason to lose the line.
        return orjson.dumps({name: _described(value) for name, value in line.items()}).decode()


def _clean(value: object) -> str:
    return scrub(_described(value))


@lru_cache(maxsize=1024)
def _clean_name(text: str) -> str:
    """Models and paths come again and again."""
    return _clean(text)


def _described(value: object) -> str:
    try:
        text = str(value)
    except Exception:
        text = f"<{type(value).__name__}>"
    return text[:_LONGEST_TEXT].encode(errors="replace").decode()


def _places(failure: BaseException) -> Fields:
    return {
        "error": " < ".join(type(link).__name__ for link in _chain(failure)),
        "traceback": [
            f"{frame.filename}:{frame.lineno} {frame.name}"
            for frame in traceback.extract_tb(failure.__traceback__)[-_DEEPEST_TRACE:]
        ],
    }


def _chain(error: BaseException | None) -> Iterable[BaseException]:
    for _ in range(_DEEPEST_TRACE):
        if error is None:
            return
        yield error
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
