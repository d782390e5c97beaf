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


async def read_form(exchange: Exchange, cleanup: AsyncExitStack) -> tuple[Form, Json]:
    """The form and its fields by name: a name that ends in `[]` or comes twice is a list.

    Files are closed by `cleanup`. Raises `RequestTooLarge` without reading on, or an `InvalidRequest`.
    """
    content_type = exchange.header("content-type") or ""
    if not content_type.lower().startswith("multipart/form-data"):
        raise InvalidRequest("The body must be multipart/form-data.", code="invalid_value")
    parser = MultiPartParser(
        exchange.request.headers,
        _parts(exchange),
        max_files=MAX_FILES,
        max_fields=MAX_FIELDS,
        max_part_size=MAX_FIELD_BYTES,
    )
    try:
        parsed = await parser.parse()
    except (MultiPartException, KeyError, UnicodeDecodeError) as error:
        reason = error.message if isinstance(error, MultiPartException) else "a header of it cannot be read"
        raise InvalidValue(f"The multipart body is malformed: {reason}.") from None
    cleanup.push_async_callback(parsed.close)
    fields: list[tuple[str, str]] = []
    files: list[Upload] = []
    body: Json = {}
    for name, value in parsed.multi_items():
        if isinstance(value, UploadFile):
            files.append(
                Upload(
                    name,
                    value.filename or "file",
                    value.content_type or "application/octet-stream",
                    value.file,
                    value.size or 0,
                )
            )
        else:
            fields.append((name, value))
            _add(body, name, value)
    return Form(tuple(fields), tuple(files)), body


async def _parts(exchange: Exchange) -> AsyncGenerator[bytes, None]:
    async for part in exchange.parts(exchange.services.settings.max_upload_bytes):
        yield part


def _add(body: Json, name: str, value: str) -> None:
    key = name.removesuffix("[]")
    known = body.get(key)
    if isinstance(known, list):
        known.append(value)
    elif known is not None:
        body[key] = [known, value]
    else:
        body[key] = [value] if name.endswith("[]") else value
