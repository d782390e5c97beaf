"""Values out of LiteLLM's configuration, and remarks about what cannot be taken over."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from shared.catalog.names import looks_secret
from shared.transfer.litellm_file import Path

REFERENCE = "os.environ/"


class EntryRefused(Exception):
    """An entry that cannot become a model: where it is at fault, and why, without any value."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(reason)
        self.path = path
        self.reason = reason


@dataclass(slots=True)
class Remarks:
    """What people are told: (path, sentence)."""

    made: list[tuple[Path, str]] = field(default_factory=list)

    def add(self, path: Path, sentence: str) -> None:
        self.made.append((path, sentence))


@dataclass(frozen=True, slots=True)
class Value:
    """One value of the file and where it stands."""

    path: Path
    written: object

    @property
    def reference(self) -> str | None:
        """The variable that it names (`os.environ/NAME`)."""
        if isinstance(self.written, str) and self.written.strip().startswith(REFERENCE):
            return self.written.strip().removeprefix(REFERENCE)
        return None


class Fields:
    """The fields of one part of an entry. What was not taken in the end is to be remarked upon."""

    def __init__(self, path: Path, written: object, variables: Mapping[str, str], remarks: Remarks) -> None:
        self.path = path
        self._values: dict[str, Value] = {}
        self._variables = variables
        self._remarks = remarks
        if isinstance(written, Mapping):
            self.add(path, written)
        elif written is not None:
            raise EntryRefused(path, "must be a mapping")

    def add(self, path: Path, written: Mapping[str, object]) -> None:
        """Fields for names that are not there yet; a null counts as absent."""
        for name, value in written.items():
            if value is not None:
                self._values.setdefault(name, Value((*path, name), value))

    def take(self, name: str) -> Value | None:
        return self._values.pop(name, None)

    def rest(self) -> Iterator[tuple[str, Value]]:
        """All that nobody has taken yet."""
        while self._values:
            name = next(iter(self._values))
            yield name, self._values.pop(name)

    def text(self, name: str) -> str | None:
        """A text that is no secret. Refuses the entry where it names a variable whose value is not known."""
        value = self.take(name)
        return None if value is None else self.resolved(value)

    def resolved(self, value: Value) -> str:
        text: object = value.written
        if value.reference is not None:
            text = self._variables.get(value.reference)
            if text is None:
                raise EntryRefused(
                    value.path, f"is not known here: say --variable {value.reference}=… or write it out"
                )
        if isinstance(text, bool | dict | list):
            raise EntryRefused(value.path, "must be a text")
        text = str(text).strip()
        if looks_secret(text):
            raise EntryRefused(value.path, "looks like a secret itself")
        return text

    def number(self, name: str, *, whole: bool = False) -> float | int | None:
        """A number, also one that is written as text (YAML takes 1e-6 for one); a remark where it is none."""
        value = self.take(name)
        if value is None:
            return None
        try:
            text = self.resolved(value)
            number = float(text)
            if not math.isfinite(number) or number < 0 or (whole and number != int(number)):
                raise ValueError
        except (ValueError, EntryRefused):
            self._remarks.add(value.path, f"left out: is no {'whole ' if whole else ''}number of 0 or more")
            return None
        return int(number) if whole else number

    def flag(self, name: str) -> bool | None:
        value = self.take(name)
        if value is None or isinstance(value.written, bool):
            return None if value is None else bool(value.written)
        self._remarks.add(value.path, "left out: is neither true nor false")
        return None
