"""What a start shows on the console: the address, the routes, the demo models, the administrator's key."""

import shlex
from collections.abc import Iterable
from itertools import groupby
from pathlib import Path

WIDTH = 100
INDENT = 15
"""Characters: of a terminal's line, and of what stands before a value."""


def banner(
    address: str, routes: Iterable[str], models: Iterable[str], key: str, key_file: Path, secrets_file: Path
) -> str:
    """The text for a terminal. `routes` are templates (`/v1/models/{*id}`), `models` ids of demo models."""
    rows = {
        "Admin key": [key, f"(also in {key_file})"],
        "Demo models": wrapped(models, WIDTH - INDENT) or ["none"],
        "Secrets": [f"{secrets_file}, read again when it changes"],
        "Reference": [f"{address}/v1/docs"],
        "Routes": route_lines(routes, WIDTH - INDENT),
    }
    table = [
        f"  {title if first else '':<13}{line}"
        for title, lines in rows.items()
        for first, line in zip([True, *[False] * len(lines)], lines, strict=False)
    ]
    bearer = f'"Authorization: Bearer $(cat {shlex.quote(str(key_file))})"'
    return "\n".join(
        [
            "",
            f"  LLM Proxy is ready at {address}",
            "",
            *table,
            "",
            '  Try it (for a stream, add -N and "stream": true):',
            "",
            f"  curl {address}/v1/chat/completions \\",
            f"    -H {bearer} -H 'Content-Type: application/json' \\",
            '    -d \'{"model": "demo-chat", "messages": [{"role": "user", "content": "Hello"}]}\'',
            "",
            "  Ctrl-C ends it.",
            "",
        ]
    )


def route_lines(routes: Iterable[str], width: int) -> list[str]:
    """Routes as people ask for them, without parameters: a line for each first segment, wrapped at `width`."""
    bases = sorted({base for route in routes if (base := route.partition("{")[0].rstrip("/"))})
    groups = groupby(bases, key=lambda base: base.split("/")[1])
    return [line for _, group in groups for line in wrapped(group, width)]


def wrapped(words: Iterable[str], width: int) -> list[str]:
    """Words in lines of at most `width` characters, each word whole."""
    lines: list[str] = []
    for word in words:
        if lines and len(lines[-1]) + 2 + len(word) <= width:
            lines[-1] += "  " + word
        else:
            lines.append(word)
    return lines
