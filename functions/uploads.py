"""Multipart requests: fields in any order, files spooled to a temporary file, within a limit."""

from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack

from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

from functions.exchange import Exchange
from shared import Json
from shared.errors import InvalidRequest, InvalidValue
from shared.providers.calls import Form, Upload

MAX_FILES = 32
MAX_FIELDS = 256
MAX_FIELD_BYTES = 1024 * 1024
_ANY_TYPE = "application/octet-stream"


async def read_form(exchange: Exchange, cleanup: AsyncExitStack) -> tuple[Form, Json]:
    """The form and its fields by name: a name that ends in `[]` or comes twice is a list.

    What is too large for memory is written to disk on threads. Files are closed by `cleanup`. Raises
    `RequestTooLarge` without reading on, or an `InvalidRequest`.
    """
    content_type = exchange.header("content-type") or ""
    if not content_type.lower().startswith("multipart/form-data"):
        raise InvalidRequest("The body must be multipart/form-data.", code="invalid_value")
    parser = _Parser(exchange)
    try:
        parsed = await parser.parse()
    except (MultiPartException, KeyError, UnicodeDecodeError) as error:
        reason = error.message if isinstance(error, MultiPartException) else "a header of it cannot be read"
        raise _malformed(reason.rstrip(".")) from None
    cleanup.push_async_callback(parsed.close)
    fields: list[tuple[str, str]] = []
    files: list[Upload] = []
    body: Json = {}
    for name, value in parsed.multi_items():
        if isinstance(value, UploadFile):
            files.append(_upload(name, value))
        else:
            fields.append((_safe(name), value))
            _add(body, name, value)
    return Form(tuple(fields), tuple(files)), body


class _Parser(MultiPartParser):
    """Reads the body of one request, which must go on to its last boundary."""

    def __init__(self, exchange: Exchange) -> None:
        super().__init__(
            exchange.request.headers,
            self._parts(exchange),
            max_files=MAX_FILES,
            max_fields=MAX_FIELDS,
            max_part_size=MAX_FIELD_BYTES,
        )
        self._ended = False

    def on_end(self) -> None:
        self._ended = True

    async def _parts(self, exchange: Exchange) -> AsyncGenerator[bytes, None]:
        async for part in exchange.parts(exchange.services.settings.max_upload_bytes):
            yield part
        if not self._ended:
            # Raised in here, it makes the parser close what it has written.
            raise MultiPartException("it ends before its last boundary")


def _upload(name: str, file: UploadFile) -> Upload:
    content_type = file.content_type or _ANY_TYPE
    if not (content_type.isascii() and content_type.isprintable()):
        content_type = _ANY_TYPE
    filename = _safe(file.filename or "file")
    return Upload(_safe(name), filename, content_type, file.file, file.size or 0)


def _safe(name: str) -> str:
    """A name as it came. Raises `InvalidValue` for what would break out of a header when it is sent on."""
    if any(character < " " or character == "\x7f" for character in name):
        raise _malformed("a name in it holds control characters")
    return name


def _malformed(reason: str) -> InvalidValue:
    return InvalidValue(f"The multipart body is malformed: {reason}.")


def _add(body: Json, name: str, value: str) -> None:
    key = name.removesuffix("[]")
    known = body.get(key)
    if isinstance(known, list):
        known.append(value)
    elif known is not None:
        body[key] = [known, value]
    else:
        body[key] = [value] if name.endswith("[]") else value
