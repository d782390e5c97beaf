"""The file of an export: a first line that says what it is, then a line of JSON for each document."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import orjson

from shared import Json
from shared.transfer.records import KINDS, Kind

FORMAT = "llmproxy-catalog"
VERSION = 1


class NotAnExport(Exception):
    """A file that is no export of this format, as a sentence."""


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a file by its number, from 1. `document` is None where the line is no JSON object."""

    number: int
    document: Json | None


@dataclass(frozen=True, slots=True)
class ExportFile:
    """The lines of a file, and how many of each kind its first line promises; None where it does not say."""

    lines: tuple[Line, ...]
    promised: Mapping[Kind, int] | None

    def shortfall(self) -> str | None:
        """What is wrong with the number of lines: a file that was cut off looks whole otherwise."""
        if self.promised is None:
            return None
        found = [line.document.get("kind") for line in self.lines if line.document is not None]
        for kind, number in self.promised.items():
            if found.count(kind) != number:
                return (
                    f"the first line promises {number} of kind {kind}, and the file has {found.count(kind)}"
                )
        return None


def first_line(counts: Mapping[Kind, int]) -> bytes:
    """`{"format","version","counts"}`; the counts tell a file that was cut off from a whole one."""
    head = {"format": FORMAT, "version": VERSION, "counts": {kind: counts.get(kind, 0) for kind in KINDS}}
    return orjson.dumps(head) + b"\n"


def read_file(content: bytes) -> ExportFile:
    """Takes a file apart. Raises `NotAnExport` unless its first line says this format and version."""
    lines = list(_lines(content.removeprefix(b"\xef\xbb\xbf")))
    if not lines:
        raise NotAnExport("the file is empty: an export has at least a first line")
    head = lines[0].document or {}
    if head.get("format") != FORMAT:
        raise NotAnExport(f'the first line does not say "format": "{FORMAT}"')
    if head.get("version") != VERSION:
        raise NotAnExport(f"the first line does not say version {VERSION}, the one that is read here")
    return ExportFile(tuple(lines[1:]), _promised(head.get("counts")))


def _lines(content: bytes) -> Iterator[Line]:
    for number, text in enumerate(content.split(b"\n"), 1):
        if not text.strip():
            continue
        try:
            document = orjson.loads(text)
        except orjson.JSONDecodeError:
            document = None
        yield Line(number, document if isinstance(document, dict) else None)


def _promised(counts: object) -> Mapping[Kind, int] | None:
    if not isinstance(counts, Mapping):
        return None
    return {kind: counts[kind] for kind in KINDS if isinstance(counts.get(kind), int)}
