"""Secrets of local mode: one JSON file, `{"name": "value"}`, readable by its owner alone."""

import os
import secrets
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import orjson

from shared.errors import SecretNotFound, SecretsUnavailable
from shared.secrets import secret_name, usable_text

_OWNER_ONLY = 0o600
_RANDOM_BYTES = 32
_FILE_TIME_STEP = 100_000_000  # nanoseconds


class LocalSecrets:
    """A `SecretStore` on a file that its owner edits: a change is seen at the next `get`.

    Names in the file may be written with underscores too, and as in a vault case does not matter.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._version: tuple[int, int, int] | None = None
        self._texts: dict[str, object] = {}

    async def get(self, name: str) -> str:
        texts = self._read()
        key = name.lower()
        if key not in texts:
            raise SecretNotFound(f"There is no secret {name} in {self._path.name}.")
        text = texts[key]
        if not isinstance(text, str):
            raise SecretsUnavailable(f"The secret {name} in {self._path.name} is not a text.")
        return usable_text(name, text)

    def ensure(self, names: Iterable[str]) -> tuple[str, ...]:
        """Makes those of `names` that are missing, 32 random bytes each, and returns which.

        What is there is kept. Safe while other processes do the same. Raises `SecretsUnavailable` where the
        file cannot be read or written.
        """
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with _locked(self._path.with_name(self._path.name + ".lock")):
                content = self._load()
                present = _by_name(content)
                missing = tuple(name for name in names if name.lower() not in present)
                if missing:
                    content.update({name: secrets.token_urlsafe(_RANDOM_BYTES) for name in missing})
                    self._write(content)
                return missing
        except OSError as error:
            raise SecretsUnavailable(f"{self._path.name} cannot be written: {error.strerror}.") from None

    async def close(self) -> None:
        self._version = None
        self._texts = {}

    def _read(self) -> dict[str, object]:
        try:
            version = _version(self._path)
            if version is None:
                return {}
            if version != self._version:
                self._texts = _by_name(self._load())
                self._version = version if _settled(version) else None
        except OSError as error:
            raise SecretsUnavailable(f"{self._path.name} cannot be read: {error.strerror}.") from None
        return self._texts

    def _load(self) -> dict[str, object]:
        """The file as it is; empty if there is none. A file that others may read is closed to them."""
        try:
            content = self._path.read_bytes()
        except FileNotFoundError:
            return {}
        with suppress(OSError):
            if self._path.stat().st_mode & 0o077:
                self._path.chmod(_OWNER_ONLY)
        try:
            texts = orjson.loads(content or b"{}")
        except orjson.JSONDecodeError as error:
            # Only where it broke: the decoder's own message is about what stands there.
            raise SecretsUnavailable(f"{self._path.name} is not JSON (line {error.lineno}).") from None
        if not isinstance(texts, dict):
            raise SecretsUnavailable(f'{self._path.name} must be an object: {{"name": "value"}}.')
        return texts

    def _write(self, content: dict[str, object]) -> None:
        """All or nothing: a reader sees the old file or the new one."""
        beside = self._path.with_name(f"{self._path.name}.{os.getpid()}.new")
        beside.unlink(missing_ok=True)
        descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _OWNER_ONLY)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(orjson.dumps(content, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))
                file.flush()
                os.fsync(file.fileno())
            os.replace(beside, self._path)
        except BaseException:
            beside.unlink(missing_ok=True)
            raise


def _by_name(content: dict[str, object]) -> dict[str, object]:
    """Under the vault's names in lower case. What cannot be a name is left out: no one can ask for it."""
    texts: dict[str, object] = {}
    for name, text in content.items():
        with suppress(ValueError):
            texts[secret_name(name).lower()] = text
    return texts


def _version(path: Path) -> tuple[int, int, int] | None:
    """Changes whenever the file does, also when an editor puts a new one in its place; None without one."""
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino


def _settled(version: tuple[int, int, int]) -> bool:
    """Whether a further write would show. File systems count time in steps of some milliseconds: two writes
    within one step look like one."""
    return time.time_ns() - version[0] > _FILE_TIME_STEP


if sys.platform == "win32":
    import msvcrt

    @contextmanager
    def _locked(path: Path) -> Iterator[None]:
        with path.open("a+b") as file:
            msvcrt.locking(file.fileno(), msvcrt.LK_LOCK, 1)
            try:
                yield
            finally:
                file.seek(0)
                msvcrt.locking(file.fileno(), msvcrt.LK_UNLCK, 1)

else:
    import fcntl

    @contextmanager
    def _locked(path: Path) -> Iterator[None]:
        """One process at a time; the lock ends with its holder, even with a killed one."""
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, _OWNER_ONLY)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)
