"""A multipart body as it is sent, with a length of its own. To be imported late: it needs aiohttp."""

from typing import IO, cast

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
            cast("IO[bytes]", SharedReader(upload)),
            disposition="form-data",
            filename=upload.filename,
            content_type=upload.content_type,
        )
        self._upload = upload

    @property
    def size(self) -> int:
        return self._upload.size


def form_body(form: Form, model: Model) -> FormData:
    """The form as the provider gets it: that of the call, but for `model` and what steers the proxy.

    It can be sent once. Names that are not ASCII go as they are, in UTF-8, as browsers send them.
    """
    made = FormData(quote_fields=False, default_to_multipart=True)
    if not any(name == "model" for name, _ in form.fields):
        made.add_field("model", model.deployment)
    for name, value in form.fields:
        if name.removesuffix("[]") not in STEERING:
            made.add_field(name, model.deployment if name == "model" else value)
    for file in form.files:
        made.add_field(
            file.field, UploadPayload(file), filename=file.filename, content_type=file.content_type
        )
    return made
