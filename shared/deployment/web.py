"""A small HTTP client of the standard library: JSON to one server, one answer within a time limit."""

import http.client
import json
import ssl
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from contextlib import closing
from dataclasses import dataclass
from typing import TypeVar
from urllib.parse import urlsplit

from shared import Json

LARGEST_ANSWER = 4 * 1024 * 1024
"""Bytes. A server that sends more is not the one that was meant."""

_CHUNK = 64 * 1024
_LOOPBACK = ("localhost", "127.0.0.1", "::1")

Result = TypeVar("Result")


class CannotAsk(Exception):
    """No answer came, or none that can be read. The message says why, in one line and without credentials."""


@dataclass(frozen=True, slots=True)
class Answer:
    """`headers` have names in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Json:
        """The body as a JSON object. Raises `CannotAsk`."""
        try:
            content = json.loads(self.body)
        except ValueError:
            raise CannotAsk("the answer is not JSON") from None
        if not isinstance(content, dict):
            raise CannotAsk("the answer is not a JSON object")
        return content

    def problem(self) -> str:
        """Status, and where the body is an error of OpenAI's or Azure's form, its code and message."""
        try:
            error = json.loads(self.body)["error"]
            parts = [str(error[name]) for name in ("code", "message") if error.get(name)]
        except (ValueError, LookupError, TypeError, AttributeError):
            parts = []
        text = " ".join(": ".join(parts).split())[:300]
        return f"status {self.status}" + (f", {text}" if text else "")


class Server:
    """Asks one server. A redirect is an answer like any other: a credential never follows it.

    Raises ValueError for an address that is not `https://host…`; `http://` is for this machine only.
    """

    def __init__(self, address: str) -> None:
        parts = urlsplit(address.strip())
        secure = parts.scheme == "https"
        host = parts.hostname or ""
        if parts.scheme not in ("https", "http") or not host or parts.username or parts.password:
            raise ValueError("must be an address such as https://host")
        if not secure and host not in _LOOPBACK:
            raise ValueError("must begin with https:// (http:// only for this machine)")
        self.host = host
        self._port = parts.port
        self._prefix = parts.path.rstrip("/")
        self._context = ssl.create_default_context() if secure else None

    def ask(
        self,
        method: str,
        path: str,
        body: Json | None = None,
        *,
        bearer: str | None = None,
        timeout: float = 30.0,
    ) -> Answer:
        """One request; `timeout` is in seconds for all of it. Raises `CannotAsk`."""
        deadline = time.monotonic() + timeout
        return within(timeout, lambda: self._ask(method, path, body, bearer, deadline))

    def _ask(self, method: str, path: str, body: Json | None, bearer: str | None, deadline: float) -> Answer:
        headers = {"accept": "application/json", "connection": "close"}
        if bearer is not None:
            headers["authorization"] = f"Bearer {bearer}"
        payload = None
        if body is not None:
            payload = json.dumps(body).encode()
            headers["content-type"] = "application/json"
        connection = self._connection(max(0.01, deadline - time.monotonic()))
        try:
            connection.request(method, self._prefix + path, payload, headers)
            with closing(connection.getresponse()) as response:
                headers = {name.lower(): value for name, value in response.getheaders()}
                return Answer(response.status, headers, _content(response, deadline))
        except TimeoutError:
            raise CannotAsk("no answer in time") from None
        except ssl.SSLError as error:
            raise CannotAsk(f"no secure connection: {error.reason or type(error).__name__}") from None
        except OSError as error:
            raise CannotAsk(f"no connection: {error.strerror or type(error).__name__}") from None
        except (http.client.HTTPException, ValueError) as error:
            raise CannotAsk(f"the answer is not HTTP ({type(error).__name__})") from None
        finally:
            connection.close()

    def _connection(self, timeout: float) -> http.client.HTTPConnection:
        if self._context is not None:
            return http.client.HTTPSConnection(self.host, self._port, timeout=timeout, context=self._context)
        return http.client.HTTPConnection(self.host, self._port, timeout=timeout)


def _content(response: http.client.HTTPResponse, deadline: float) -> bytes:
    content = bytearray()
    while chunk := response.read1(_CHUNK):
        content += chunk
        if len(content) > LARGEST_ANSWER:
            raise CannotAsk(f"the answer is longer than {LARGEST_ANSWER} bytes")
        if time.monotonic() > deadline:
            raise TimeoutError
    return bytes(content)


def within(seconds: float, work: Callable[[], Result]) -> Result:
    """What `work` gives, if it does so in time. Raises `CannotAsk`, and leaves it behind on a daemon thread.

    A socket's own time-out starts anew with each byte, and none covers looking up a name.
    """
    result: Future[Result] = Future()

    def run() -> None:
        try:
            result.set_result(work())
        except BaseException as error:
            result.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    try:
        return result.result(timeout=seconds)
    except TimeoutError:
        raise CannotAsk("no answer in time") from None
