"""A multipart body as it is sent, with a length of its own. To be imported late: it needs aiohttp."""

from typing import Any

import orjson
from aiohttp import FormData
from aiohttp.payload import IOBasePayload

from shared.catalog.documents import Model
from shared.providers.calls import Form, Upload
from shared.providers.files import SharedReader
from shared.wire.parameters import STEERING


class UploadPayload(IOBasePayload):
    """An uploaded file whose size is known, so that the whole body needs no chunks: not every server takes those.

    It is read on threads, a piece at a time.
    """

    def __init__(self, upload: Upload) -> None:
        super().__init__(
            SharedReader(upload),
            disposition="form-data",
            filename=upload.filename,
            content_type=upload.content_type,
        )
        self._upload = upload

    @property
    def size(self) -> int:
        return self._upload.size


def form_body(form: Form, model: Model) -> FormData:
    """The form as the provider gets it: the client's and what the catalog presets, but for what steers the proxy.
    `model` is the deployment's.

    It can be sent once. Names that are not ASCII go as they are, in UTF-8, as browsers send them.
    """
    made = FormData(quote_fields=False, default_to_multipart=True)
    if not any(name == "model" for name, _ in form.fields):
        made.add_field("model", model.deployment)
    for name, value in form.fields:
        if name.removesuffix("[]") not in STEERING:
            made.add_field(name, model.deployment if name == "model" else value)
    given = {name.removesuffix("[]") for name, _ in form.fields}
    for name, value in model.parameters.default_params.items():
        if name not in given:
            _add_preset(made, name, value)
    for file in form.files:
        made.add_field(
            file.field, UploadPayload(file), filename=file.filename, content_type=file.content_type
        )
    return made


def _add_preset(made: FormData, name: str, value: Any) -> None:
    """A value of the catalog as a form has it: text as it is, a list as several fields, all else in JSON."""
    if isinstance(value, list):
        for item in value:
            _add_preset(made, f"{name}[]", item)
    elif value is not None:
        made.add_field(name, value if isinstance(value, str) else orjson.dumps(value).decode())
