"""What the pipeline hands to a provider and what comes back: the provider port and its value objects."""

from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass
from dataclasses import field as dataclass_field
from threading import Lock
from typing import BinaryIO, Protocol

from shared import Json
from shared.catalog.documents import Model
from shared.errors import InvalidProviderResponse
from shared.wire.events import Event
from shared.wire.forms import form_fields
from shared.wire.usage import Usage

NO_STREAM = "The provider answered a streamed call without a stream."


@dataclass(frozen=True, slots=True)
class Upload:
    """One file of a multipart request, `size` in bytes. `content` is a seekable file that the request owns.

    A try that was given up may still be reading, on a thread of its own, when the next one begins: all read
    by `read_at`.
    """

    field: str
    filename: str
    content_type: str
    content: BinaryIO
    size: int
    _lock: Lock = dataclass_field(default_factory=Lock, repr=False, compare=False)

    def read_at(self, position: int, size: int) -> bytes:
        """Up to `size` bytes from `position`. Raises `ValueError` once the request has closed the file."""
        with self._lock:
            self.content.seek(position)
            return self.content.read(size)


@dataclass(frozen=True, slots=True)
class Form:
    """A multipart request: its fields in order, names as the client wrote them, and its files."""

    fields: tuple[tuple[str, str], ...]
    files: tuple[Upload, ...]

    def with_defaults(self, defaults: Mapping[str, object]) -> "Form":
        """The form with those of a JSON body's fields that it lacks, in the spelling of forms."""
        known = {name.removesuffix("[]") for name, _ in self.fields}
        missing = {name: value for name, value in defaults.items() if name not in known}
        return Form((*self.fields, *form_fields(missing)), self.files)


@dataclass(frozen=True, slots=True)
class Call:
    """One call of one deployment.

    `path` is OpenAI's, below `/v1/` (`chat/completions`). `body` is the client's, free of steering fields and with
    the catalog's `default_params` merged; `model` in it is still what the client wrote, and a provider
    replaces it. `body` is shared between tries: a provider copies what it changes. `headers` are those of the
    client's that may travel on. With `form` the request is multipart, and `body` holds its fields by name.
    `query` is the client's, to be passed on. A `bodiless` call sends nothing but its address.
    """

    operation: str
    path: str
    model: Model
    body: Json
    streamed: bool = False
    headers: Mapping[str, str] = dataclass_field(default_factory=dict)
    connect_timeout: float = 10.0
    form: Form | None = None
    method: str = "POST"
    query: tuple[tuple[str, str], ...] = ()
    bodiless: bool = False


@dataclass(frozen=True, slots=True)
class Answer:
    """A plain answer. `body` is JSON in OpenAI's format, as bytes; `content` the same, decoded.

    Where an operation answers in text, `content_type` says so and `content` is empty. `headers` are what a
    caller may see of the provider's. `dropped` names parameters that it cannot take.
    """

    body: bytes
    content: Json
    headers: Mapping[str, str] = dataclass_field(default_factory=dict)
    usage: Usage | None = None
    dropped: tuple[str, ...] = ()
    content_type: str = "application/json"


class AnsweredWhole(InvalidProviderResponse):
    """A streamed call was answered without a stream. `answer` is what came, for who needs no stream."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(NO_STREAM)
        self.answer = answer


class Events(Protocol):
    """An open stream of a provider: iterate it once, and close it whatever happens.

    Iteration ends when the provider ended the stream; `done` then says whether it did so with its own end
    mark (`[DONE]`). An error raises a child of `UpstreamError`, whatever was yielded before.
    """

    headers: Mapping[str, str]
    dropped: tuple[str, ...]
    done: bool

    def __aiter__(self) -> AsyncGenerator[Event, None]: ...

    async def aclose(self) -> None: ...


class Download(Protocol):
    """An open answer of bytes, relayed as they arrive. Close it whatever happens.

    Iteration ends when the answer is whole; one that breaks off raises a child of `UpstreamError`. `usage` is
    what the provider reported, for few do.
    """

    headers: Mapping[str, str]
    dropped: tuple[str, ...]
    content_type: str
    usage: Usage | None

    def __aiter__(self) -> AsyncGenerator[bytes, None]: ...

    async def aclose(self) -> None: ...


class Provider(Protocol):
    """One way of calling models. Errors are children of `ProxyError`, free of credentials.

    Waiting is bounded by the caller, who cancels: a provider closes its connection in `finally`.
    """

    async def send(self, call: Call) -> Answer:
        """A plain call."""
        ...

    async def open(self, call: Call) -> Events:
        """A streamed call: returns when the provider accepted it. Raises `AnsweredWhole` where it does not stream."""
        ...

    async def download(self, call: Call) -> Download:
        """A call that is answered in bytes (speech): returns when the provider accepted it."""
        ...

    async def probe(self, model: Model) -> bool:
        """Asks for a sign of life in the cheapest way: True if the provider answered, False if this
        provider has no free way to ask. Raises what a call would raise."""
        ...

    async def close(self) -> None: ...
