"""The log: JSON lines of a written schema, never with a credential in them."""

import ast
import io
import json
import logging
import re
import subprocess
import sys
import time
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from shared.telemetry.logging import Fields, configure_logging, log_event, log_failure

ROOT = Path(__file__).parents[2]
DOCUMENT = (ROOT / "docs" / "logging.md").read_text()
ALWAYS = ["time", "level", "logger", "event"]


@pytest.fixture(autouse=True)
def logging_as_it_was() -> Iterator[None]:
    """The tests configure the process's logging: what they change is put back."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    filters = {handler: handler.filters[:] for handler in handlers}
    named = [
        logger for logger in logging.root.manager.loggerDict.values() if isinstance(logger, logging.Logger)
    ]
    levels = {logger: (logger.level, logger.filters[:]) for logger in named}
    propagates = {logger: logger.propagate for logger in named}
    for one in named:
        one.propagate = True  # a server of another test has silenced uvicorn's
    yield
    for one, before_it in propagates.items():
        one.propagate = before_it
    root.handlers[:] = handlers
    root.setLevel(level)
    for handler, before in filters.items():
        handler.filters[:] = before
    for logger in logging.root.manager.loggerDict.values():
        if isinstance(logger, logging.Logger):
            logger.level, logger.filters = levels.get(logger, (logging.NOTSET, []))
            logger.manager._clear_cache()  # type: ignore[attr-defined]


@pytest.fixture
def stream() -> io.StringIO:
    return io.StringIO()


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    """What is written, with what waits to be: lines are written together, a moment later."""
    for handler in logging.getLogger().handlers:
        handler.flush()
    return [json.loads(line) for line in stream.getvalue().splitlines()]


@pytest.fixture
def logger() -> logging.Logger:
    return logging.getLogger("llmproxy.test")


# Lines


def test_a_line_is_one_json_object_with_time_level_logger_and_event(
    stream: io.StringIO, logger: logging.Logger
) -> None:
    configure_logging("info", stream=stream)
    log_event(logger, logging.INFO, "inference", request_id="req-1", status=200, usage={"total_tokens": 3})
    (line,) = lines(stream)
    assert list(line)[:4] == ALWAYS
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line.pop("time"))
    assert line == {
        "level": "info",
        "logger": "llmproxy.test",
        "event": "inference",
        "request_id": "req-1",
        "status": 200,
        "usage": {"total_tokens": 3},
    }


@pytest.mark.parametrize(
    ("level", "written"),
    [("debug", 4), ("info", 3), ("warning", 2), ("error", 1)],
)
def test_the_level_says_what_is_written(
    stream: io.StringIO, logger: logging.Logger, level: str, written: int
) -> None:
    configure_logging(level, stream=stream)
    for severity in (logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR):
        log_event(logger, severity, "http")
    assert len(lines(stream)) == written


def test_a_line_below_the_level_looks_at_no_field(stream: io.StringIO, logger: logging.Logger) -> None:
    configure_logging("warning", stream=stream)
    looked: list[int] = []

    class Watched:
        def __str__(self) -> str:
            looked.append(1)
            return "watched"

    fields: dict[str, Any] = {"document": Watched()}
    log_event(logger, logging.INFO, "http", **fields)
    assert looked == []
    log_event(logger, logging.ERROR, "http", **fields)
    assert looked == [1]


class Unspeakable:
    def __str__(self) -> str:
        raise RuntimeError("no")


CIRCLE: list[Any] = []
CIRCLE.append(CIRCLE)


@pytest.mark.parametrize(
    "value",
    [
        object(),
        Unspeakable(),
        2**80,
        float("nan"),
        "half a pair \ud800",
        b"bytes",
        {1: "x"},
        {(1, 2): "x"},
        CIRCLE,
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_value_that_is_not_json_loses_no_line(
    stream: io.StringIO, logger: logging.Logger, value: object
) -> None:
    configure_logging("info", stream=stream)
    fields: dict[str, Any] = {"document": value, "message": value, "request_id": "req-1"}
    log_event(logger, logging.INFO, "http", **fields)
    (line,) = lines(stream)
    assert (line["event"], line["request_id"]) == ("http", "req-1")


def test_a_line_end_in_a_field_does_not_make_a_second_line(
    stream: io.StringIO, logger: logging.Logger
) -> None:
    configure_logging("info", stream=stream)
    log_event(logger, logging.INFO, "http", path='/x\n{"event": "forged"}', message="a\r\nb 100% %s")
    (line,) = lines(stream)
    assert line["path"] == '/x\n{"event": "forged"}'
    assert line["message"] == "a\r\nb 100% %s"


def test_a_long_text_is_cut(stream: io.StringIO, logger: logging.Logger) -> None:
    configure_logging("info", stream=stream)
    log_event(logger, logging.INFO, "http", message="x" * 100_000)
    (line,) = lines(stream)
    assert len(line["message"]) == 4096


def test_a_failure_is_told_by_class_and_place_never_by_its_text(
    stream: io.StringIO, logger: logging.Logger
) -> None:
    configure_logging("info", stream=stream)
    try:
        try:
            raise KeyError("prompt-not-to-be-shown")
        except KeyError as error:
            raise TypeError("prompt-not-to-be-shown") from error
    except TypeError as error:
        log_failure(logger, "log", error, request_id="req-1")
    (line,) = lines(stream)
    assert line["level"] == "error"
    assert line["error"] == "TypeError < KeyError"
    assert line["traceback"][-1].endswith("test_a_failure_is_told_by_class_and_place_never_by_its_text")
    assert line["request_id"] == "req-1"
    assert "not-to-be-shown" not in stream.getvalue()


# Other writers


def test_plain_calls_of_our_modules_become_lines_without_the_exceptions_text(
    stream: io.StringIO, logger: logging.Logger
) -> None:
    configure_logging("info", stream=stream)
    try:
        raise ValueError("prompt-not-to-be-shown")
    except ValueError:
        logger.exception("the document %r is skipped", "m1")
    (line,) = lines(stream)
    assert (line["event"], line["message"]) == ("log", "the document 'm1' is skipped")
    assert line["error"] == "ValueError"
    assert "not-to-be-shown" not in stream.getvalue()


def test_other_libraries_records_become_lines_with_their_traceback(stream: io.StringIO) -> None:
    configure_logging("info", stream=stream)
    try:
        raise ValueError("details")
    except ValueError:
        logging.getLogger("library").exception("it %s", "broke")
    (line,) = lines(stream)
    assert (line["event"], line["logger"], line["message"]) == ("log", "library", "it broke")
    assert line["traceback"][-1] == "ValueError: details"


@pytest.mark.parametrize(
    "name",
    [
        "uvicorn.access",
        "azure.core.pipeline.policies.http_logging_policy",
        "azure_functions_worker",
        "httpx",
        "openai",
    ],
)
def test_talkative_libraries_are_quiet_below_a_warning(stream: io.StringIO, name: str) -> None:
    logging.getLogger().setLevel(logging.DEBUG)
    configure_logging("debug", stream=stream)
    logging.getLogger(name).info("a line for each request")
    assert lines(stream) == []
    logging.getLogger(name).warning("trouble")
    assert [line["message"] for line in lines(stream)] == ["trouble"]


@pytest.mark.parametrize("name", ["LiteLLM", "LiteLLM Router", "LiteLLM Proxy"])
def test_loggers_that_write_prompts_are_silent_whatever_level_they_are_given(
    stream: io.StringIO, name: str
) -> None:
    configure_logging("debug", stream=stream)
    library = logging.getLogger(name)
    library.setLevel(logging.DEBUG)
    own = io.StringIO()
    handler = logging.StreamHandler(own)
    library.addHandler(handler)
    try:
        library.error("the request was: prompt")
    finally:
        library.removeHandler(handler)
    assert stream.getvalue() == own.getvalue() == ""


def test_configuring_again_writes_no_line_twice(stream: io.StringIO, logger: logging.Logger) -> None:
    configure_logging("error", stream=io.StringIO())
    configure_logging("info", stream=stream)
    log_event(logger, logging.INFO, "http")
    assert len(lines(stream)) == 1


# Azure, whose worker puts a handler of its own on the root logger


class WorkersHandler(logging.Handler):
    """Takes records as Azure's worker does: formatted by `logging`'s own formatter."""

    def __init__(self) -> None:
        super().__init__()
        self.taken: list[str] = []
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.taken.append(self.format(record))
        self.records.append(record)


@pytest.fixture
def worker() -> WorkersHandler:
    handler = WorkersHandler()
    logging.getLogger().handlers[:] = [handler]
    return handler


def test_on_azure_each_line_is_handed_to_the_worker_once(
    worker: WorkersHandler, logger: logging.Logger
) -> None:
    configure_logging("info")
    configure_logging("info")
    log_event(logger, logging.INFO, "inference", message="100% done")
    logger.warning("plain %s", "call")
    assert [json.loads(text)["event"] for text in worker.taken] == ["inference", "log"]
    assert [record.levelno for record in worker.records] == [logging.INFO, logging.WARNING]


def test_on_azure_a_librarys_record_stays_as_it_is_but_for_credentials(worker: WorkersHandler) -> None:
    configure_logging("info", known_secrets=lambda: ["known-secret-text"])
    logging.getLogger("library").warning("sent %s", "known-secret-text")
    assert worker.taken == ["sent [redacted]"]


# Credentials


def test_a_fake_secret_reaches_no_record_no_argument_and_no_traceback(worker: WorkersHandler) -> None:
    secret = "fake-secret-0123456789"
    configure_logging("debug", known_secrets=lambda: [secret])
    library = logging.getLogger("library")
    try:
        raise ValueError(f"refused: {secret}")
    except ValueError:
        library.exception("called with %s and %r", secret, {"key": secret}, stack_info=True)
    library.error(f"in the text: {secret}")
    library.error("%(key)s", {"key": secret})
    log_event(logging.getLogger("llmproxy.test"), logging.ERROR, "log", message=secret, document=secret)
    assert len(worker.records) == 4
    for record, text in zip(worker.records, worker.taken, strict=True):
        everything = f"{text} {record.__dict__}"
        assert secret not in everything
        assert record.exc_info is None
    assert "ValueError: refused: [redacted]" in worker.taken[0]
    assert json.loads(worker.taken[3])["document"] == "[redacted]"


def test_secrets_that_come_later_are_taken_out_too(worker: WorkersHandler) -> None:
    known: list[str] = []
    configure_logging("info", known_secrets=lambda: known)
    logging.getLogger("library").warning("rotated-secret")
    known.append("rotated-secret")
    logging.getLogger("library").warning("rotated-secret")
    assert worker.taken == ["rotated-secret", "[redacted]"]


def test_what_looks_like_a_credential_is_taken_out_though_nobody_knows_it(
    stream: io.StringIO, logger: logging.Logger
) -> None:
    configure_logging("info", stream=stream)
    logging.getLogger("library").warning("GET https://host/v1?key=%s", "AIzaSyA-0123456789012345678901234567")
    log_event(
        logger,
        logging.WARNING,
        "http",
        message="Authorization: Bearer abc.def-012345",
        model="sk-0123456789ab",
    )
    assert [line["message"] for line in lines(stream)] == [
        "GET https://host/v1?key=[redacted]",
        "Authorization: Bearer [redacted]",
    ]
    assert lines(stream)[1]["model"] == "[redacted]"


def test_a_record_whose_arguments_do_not_fit_is_written_and_breaks_nothing(stream: io.StringIO) -> None:
    configure_logging("info", stream=stream)
    logging.getLogger("library").warning("%d of %d", "one")
    assert [line["message"] for line in lines(stream)] == ["%d of %d"]


# The schema


def documented(section: str) -> list[str]:
    part = DOCUMENT.split(f"## {section}\n")[1].split("\n## ")[0]
    return re.findall(r"^\| `([^`]+)` \|", part, re.MULTILINE)


def test_the_document_lists_the_fields_that_the_code_has_in_their_order() -> None:
    assert documented("Fields") == ALWAYS + list(typing.get_type_hints(Fields))


def test_the_document_lists_the_events_that_the_code_writes() -> None:
    assert sorted(documented("Events")) == sorted({"log", *written_events()})


def written_events() -> set[str]:
    """The event of every call of `log_event` and `log_failure` in the product's code."""
    events = set()
    for path in [*ROOT.glob("shared/**/*.py"), *ROOT.glob("functions/**/*.py"), ROOT / "function_app.py"]:
        if not path.exists() or path == ROOT / "shared" / "telemetry" / "logging.py":
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                position = {"log_event": 2, "log_failure": 1}.get(node.func.id)
                if position is not None:
                    event = node.args[position]
                    place = f"{path}:{node.lineno}: write the event as a text"
                    assert isinstance(event, ast.Constant), place
                    assert isinstance(event.value, str), place
                    events.add(event.value)
    return events


def test_logging_costs_a_start_nothing_heavy() -> None:
    program = (
        "import sys, shared.telemetry.logging\n"
        "print([name for name in sys.modules if name.startswith(('azure', 'litellm', 'openai'))])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT, timeout=60
    )
    assert done.stdout.strip() == "[]"


def test_lines_that_wait_are_written_before_a_warning_and_in_order(
    stream: io.StringIO, logger: logging.Logger
) -> None:
    configure_logging("info", stream=stream)
    log_event(logger, logging.INFO, "http", path="/first")
    log_event(logger, logging.WARNING, "http", path="/second")
    written = [json.loads(line)["path"] for line in stream.getvalue().splitlines()]
    assert written == ["/first", "/second"]


def test_a_line_is_written_soon_without_anything_after_it(
    stream: io.StringIO, logger: logging.Logger
) -> None:
    configure_logging("info", stream=stream)
    log_event(logger, logging.INFO, "http")
    give_up = time.monotonic() + 5
    while not stream.getvalue() and time.monotonic() < give_up:
        time.sleep(0.01)
    assert stream.getvalue().count("\n") == 1
