"""Subtitles: when each piece of a text is said, as SubRip (`srt`) and as WebVTT (W3C)."""

from collections.abc import Sequence
from typing import NamedTuple


class Span(NamedTuple):
    """A piece of text, and when it is said, in seconds."""

    text: str
    start: float
    end: float


def spread(pieces: Sequence[str], seconds: float) -> list[Span]:
    """The pieces one after the other over the whole time, each as long as its text is."""
    total = sum(len(piece) for piece in pieces) or 1
    spans, passed = [], 0
    for piece in pieces:
        start, passed = passed, passed + len(piece)
        spans.append(
            Span(piece.strip(), round(seconds * start / total, 3), round(seconds * passed / total, 3))
        )
    return spans


def srt(spans: Sequence[Span]) -> str:
    blocks = [
        f"{number}\n{_clock(span.start, ',')} --> {_clock(span.end, ',')}\n{span.text}\n"
        for number, span in enumerate(spans, 1)
    ]
    return "\n".join(blocks) + "\n"


def vtt(spans: Sequence[Span]) -> str:
    blocks = [f"{_clock(span.start, '.')} --> {_clock(span.end, '.')}\n{span.text}\n" for span in spans]
    return "WEBVTT\n\n" + "\n".join(blocks) + "\n"


def _clock(seconds: float, mark: str) -> str:
    milliseconds = round(seconds * 1000)
    minutes, rest = divmod(milliseconds, 60_000)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02}:{minutes:02}:{rest // 1000:02}{mark}{rest % 1000:03}"
