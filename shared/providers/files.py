"""Uploaded files, read by several tries in turn."""

import io

from shared.providers.calls import Upload


class SharedReader(io.RawIOBase):
    """A view of an uploaded file with a position of its own, so that a second try begins at the start.

    Closing it leaves the file open: the request owns that.
    """

    def __init__(self, upload: Upload) -> None:
        super().__init__()
        self._upload = upload
        self._position = 0

    @property
    def name(self) -> str:
        """The file's name, as clients of OpenAI's API look for it."""
        return self._upload.filename

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._upload.size}[whence]
        self._position = max(0, base + offset)
        return self._position

    def tell(self) -> int:
        return self._position

    def read(self, size: int | None = -1) -> bytes:
        wanted = self._upload.size - self._position if size is None or size < 0 else size
        data = self._upload.read_at(self._position, max(0, wanted))
        self._position += len(data)
        return data

    def readinto(self, buffer: "memoryview | bytearray") -> int:  # type: ignore[override]
        data = self.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)
