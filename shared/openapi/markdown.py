"""The little of Markdown that descriptions use: paragraphs, code, emphasis, tables."""

import re
from html import escape


def rendered(text: str) -> str:
    """HTML of it; whatever else is in the text is shown as it stands."""
    return "".join(_block(block) for block in text.strip().split("\n\n") if block)


def _block(block: str) -> str:
    lines = block.strip().splitlines()
    if len(lines) > 2 and all(line.startswith("|") for line in lines):
        head, *rows = [[_inline(cell.strip()) for cell in line.strip("| ").split(" | ")] for line in lines]
        cells = "".join(f"<th>{cell}</th>" for cell in head)
        body = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in rows[1:])
        return f"<table><tr>{cells}</tr>{body}</table>"
    return f"<p>{_inline(' '.join(lines))}</p>"


def _inline(text: str) -> str:
    return re.sub(r"\*([^*]+)\*", r"<em>\1</em>", re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(text)))
