"""What the command line does: files, words for people on standard error, and the exit status."""

import argparse
import asyncio
import contextlib
import os
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from shared.bootstrap import build_services
from shared.clock import iso
from shared.errors import CatalogUnavailable
from shared.services import Services
from shared.settings import Settings
from shared.transfer.exporting import export_catalog
from shared.transfer.importing import OUTCOMES, CatalogImport, Outcome
from shared.transfer.lines import NotAnExport, read_file
from shared.transfer.records import KINDS, Record, Refused, read_record


class Misused(Exception):
    """Something about the call or its file is wrong, so nothing was done. One line for people."""


async def run(asked: argparse.Namespace) -> int:
    """Does what was asked. Returns 0, or 1 where something was left out, refused or stopped.

    Raises `SettingError`, `Misused`, and children of `ProxyError`.
    """
    settings = Settings.from_environment()
    content = b"" if asked.verb == "export" else await asyncio.to_thread(_read, asked.file)
    services = build_services(settings)
    try:
        if asked.verb == "export":
            return await _export(services, asked.file)
        found = await asyncio.to_thread(
            _from_litellm if asked.litellm else _records, services, asked, content
        )
        takes = CatalogImport(
            services.store, services.projects, services.audit, services.clock, dry_run=asked.dry_run
        )
        return await _import(found, takes, asked.dry_run)
    finally:
        await services.close()


async def _export(services: Services, file: str) -> int:
    export = await export_catalog(services.store, services.settings.endpoint_hosts)
    await asyncio.to_thread(_write, file, export.content)
    for sentence in export.left_out:
        _say(f"left out: {sentence}")
    for sentence in export.doubtful:
        _say(f"written, but no import will take it: {sentence}")
    _say(", ".join(f"{export.counts[kind]} {kind}s" for kind in KINDS))
    return 1 if export.left_out or export.doubtful else 0


async def _import(found: Iterable[tuple[str, Record | str]], takes: CatalogImport, dry_run: bool) -> int:
    """Takes each record; a text in the place of one is the reason why it is none."""
    counts: Counter[Outcome] = Counter()
    for where, record in found:
        if isinstance(record, str):
            counts["refused"] += 1
            _say(f"{where}: refused: {record}")
            continue
        try:
            result = await takes.take(record)
        except CatalogUnavailable as error:
            _say(f"{where}: stopped: {error.message} What comes before it is done: import the file again.")
            return 1
        counts[result.outcome] += 1
        detail = "; ".join(text for text in (result.detail, *record.oddities) if text)
        label = f"{where}: {record.kind} {record.id!a}"
        _say(f"{label}: {result.outcome}{': ' if detail else ''}{detail}")
    _say(("dry run, nothing was written: " if dry_run else "") + _sum(counts))
    return 1 if counts["refused"] else 0


def _records(
    services: Services, asked: argparse.Namespace, content: bytes
) -> Iterable[tuple[str, Record | str]]:
    """The lines of an export."""
    if asked.variable:
        raise Misused("--variable goes with --litellm")
    try:
        file = read_file(content)
    except NotAnExport as error:
        raise Misused(f"{_name(asked.file)}: {error}") from None
    found: list[tuple[str, Record | str]] = []
    for line in file.lines:
        where = f"line {line.number}"
        if line.document is None:
            found.append((where, "is no JSON object"))
            continue
        body = {name: value for name, value in line.document.items() if name != "kind"}
        try:
            record = read_record(line.document.get("kind"), body, services.settings.endpoint_hosts)
        except Refused as refused:
            found.append((where, str(refused)))
        else:
            found.append((where, record))
    shortfall = file.shortfall()
    if shortfall is not None:
        found.append(("the whole file", f"{shortfall}; if that is on purpose, take out its counts"))
    return found


def _from_litellm(
    services: Services, asked: argparse.Namespace, content: bytes
) -> Iterable[tuple[str, Record | str]]:
    """The documents that a configuration of LiteLLM becomes; says what could not be taken over."""
    from shared.transfer.litellm_config import convert
    from shared.transfer.litellm_file import NotReadable

    variables = dict(pair.partition("=")[::2] for pair in asked.variable)
    try:
        conversion = convert(
            content,
            now=iso(services.clock.time()),
            variables=variables,
            endpoint_hosts=services.settings.endpoint_hosts,
        )
    except NotReadable as error:
        raise Misused(f"{_name(asked.file)}: {error}") from None
    for where, sentence in conversion.remarks:
        _say(f"{where}: {sentence}")
    models = [
        record for _, record in conversion.found if isinstance(record, Record) and record.kind == "model"
    ]
    unpriced = sum("costs" not in model.body for model in models)
    if unpriced:
        _say(f"{unpriced} of {len(models)} models have no costs in the file: what they cost stays unknown")
    if conversion.secrets:
        _say(f"secrets that the vault must hold: {', '.join(conversion.secrets)}")
    return conversion.found


def _sum(counts: Counter[Outcome]) -> str:
    return ", ".join(f"{counts[outcome]} {outcome}" for outcome in OUTCOMES)


def _read(file: str) -> bytes:
    try:
        return sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
    except OSError as error:
        raise Misused(f"{file} cannot be read: {error.strerror}") from None


def _write(file: str, content: bytes) -> None:
    """Whole or not at all, and for its owner alone: it holds the digests of keys."""
    if file == "-":
        sys.stdout.buffer.write(content)
        sys.stdout.buffer.flush()
        return
    path = Path(file)
    try:
        if path.exists() and not path.is_file():
            path.write_bytes(content)
            return
        handle, partial = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        try:
            with os.fdopen(handle, "wb") as stream:
                stream.write(content)
                stream.flush()
                os.fsync(stream.fileno())
            os.replace(partial, path)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(partial)
            raise
    except OSError as error:
        raise Misused(f"{file} cannot be written: {error.strerror}") from None


def _name(file: str) -> str:
    return "standard input" if file == "-" else file


def _say(text: str) -> None:
    print(text, file=sys.stderr)
