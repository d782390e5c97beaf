"""A text for a regular expression, written from the expression itself.

The expression is a client's, so it is never run: `re` can be made to backtrack for hours.
"""

import string

DIGITS = string.digits
LETTERS = string.ascii_lowercase
WORD = LETTERS + string.ascii_uppercase + DIGITS + "_"
PRINTABLE = "".join(chr(code) for code in range(0x20, 0x7F))
MAX_LENGTH = 10_000
MAX_NESTING = 50

_CLASSES = {
    "d": DIGITS,
    "w": WORD,
    "s": " \t\n",
    "D": "".join(sorted(set(PRINTABLE) - set(DIGITS), key=lambda sign: (not sign.isalpha(), sign))),
    "W": "".join(sorted(set(PRINTABLE) - set(WORD))),
    "S": LETTERS + "".join(sorted(set(PRINTABLE) - set(LETTERS) - {" "})),
}
_CONTROLS = {"n": "\n", "t": "\t", "r": "\r", "f": "\f", "v": "\v", "0": "\0"}


class UnknownPattern(ValueError):
    """An expression that is malformed, or needs look-around or back-references."""


def text_for(pattern: str, shortest: int = 0, longest: int | None = None) -> str:
    """A text that `pattern` (ECMA 262, as JSON Schema says) matches, within the lengths.

    Raises `UnknownPattern` where it finds none.
    """
    repeats = 0
    while repeats <= min(max(shortest, 1), MAX_LENGTH):
        text = _Writer(pattern, repeats).text()
        if len(text) >= shortest and (longest is None or len(text) <= longest):
            return text
        repeats = repeats + 1 if repeats < 64 else repeats * 2
    raise UnknownPattern(pattern)


class _Writer:
    """Writes one text: each open-ended quantifier is taken `repeats` times more often than it must be."""

    def __init__(self, pattern: str, repeats: int) -> None:
        self.pattern = pattern
        self.repeats = repeats
        self.at = 0
        self.nesting = 0

    def text(self) -> str:
        text = self._alternatives()
        if self.at < len(self.pattern):
            raise UnknownPattern(self.pattern)
        return text

    def _peek(self) -> str:
        return self.pattern[self.at] if self.at < len(self.pattern) else ""

    def _take(self) -> str:
        sign = self._peek()
        if not sign:
            raise UnknownPattern(self.pattern)
        self.at += 1
        return sign

    def _alternatives(self) -> str:
        """The first of `a|b|c`; the others are read and left."""
        first = self._sequence()
        while self._peek() == "|":
            self.at += 1
            self._sequence()
        return first

    def _sequence(self) -> str:
        written: list[str] = []
        length = 0
        while self._peek() not in ("", "|", ")"):
            part = self._atom()
            low, high = self._quantifier()
            count = low + self.repeats if high is None else min(high, max(low, 1))
            length += len(part) * count
            if length > MAX_LENGTH or count > MAX_LENGTH:
                raise UnknownPattern(self.pattern)
            written.append(part * count)
        return "".join(written)

    def _atom(self) -> str:
        sign = self._take()
        if sign in "^$":
            return ""
        if sign == "(":
            return self._group()
        if sign == "[":
            return self._class()
        if sign == ".":
            return "a"
        if sign == "\\":
            return self._escape()[0] if self._peek() not in "bB" else self._boundary()
        if sign in "*+?":
            raise UnknownPattern(self.pattern)
        return sign

    def _boundary(self) -> str:
        self._take()
        return ""

    def _group(self) -> str:
        self.nesting += 1
        if self.nesting > MAX_NESTING:
            raise UnknownPattern(self.pattern)
        if self._peek() == "?":
            self.at += 1
            kind = self._take()
            if kind == "<" and self._peek() not in "=!":
                while self._take() != ">":
                    pass
            elif kind != ":":
                raise UnknownPattern(self.pattern)
        text = self._alternatives()
        if self._take() != ")":
            raise UnknownPattern(self.pattern)
        self.nesting -= 1
        return text

    def _class(self) -> str:
        """One member of `[a-z0-9_]`, or one sign outside of `[^…]`."""
        negated = self._peek() == "^"
        if negated:
            self.at += 1
        members: list[str] = []
        while self._peek() != "]":
            low = self._member()
            if len(low) == 1 and self._peek() == "-" and self.pattern[self.at + 1 : self.at + 2] != "]":
                self.at += 1
                high = self._member()
                if len(high) != 1 or ord(high) < ord(low):
                    raise UnknownPattern(self.pattern)
                # The first ones of a range stand for it, except where it must be excluded whole.
                last = ord(high) if negated else min(ord(high), ord(low) + 1)
                members.extend(chr(code) for code in range(ord(low), min(last, 0x10FFFF) + 1))
            else:
                members.extend(low)
        self.at += 1
        if not negated:
            if not members:
                raise UnknownPattern(self.pattern)
            return members[0]
        outside = set(members)
        for sign in LETTERS + PRINTABLE:
            if sign not in outside:
                return sign
        raise UnknownPattern(self.pattern)

    def _member(self) -> str:
        sign = self._take()
        if sign != "\\":
            return sign
        if self._peek() == "b":
            self.at += 1
            return "\b"
        return self._escape()

    def _escape(self) -> str:
        """What stands for `\\d`, `\\n`, `\\u00e9`, `\\.`: one sign, or all members of a class."""
        sign = self._take()
        if sign in _CLASSES:
            return _CLASSES[sign]
        if sign in _CONTROLS:
            return _CONTROLS[sign]
        if sign in ("x", "u"):
            digits = 2 if sign == "x" else 4
            code = self.pattern[self.at : self.at + digits]
            self.at += digits
            try:
                letter = chr(int(code, 16))
                letter.encode()
            except (ValueError, UnicodeEncodeError):
                raise UnknownPattern(self.pattern) from None
            return letter
        if sign.isalnum():
            raise UnknownPattern(self.pattern)
        return sign

    def _quantifier(self) -> tuple[int, int | None]:
        """(least, most) repetitions of what was just read; `most` None is without end."""
        bounds: tuple[int, int | None] = (1, 1)
        sign = self._peek()
        if sign and sign in "*+?":
            self.at += 1
            bounds = {"*": (0, None), "+": (1, None), "?": (0, 1)}[sign]
        elif sign == "{":
            end = self.pattern.find("}", self.at)
            low, comma, high = self.pattern[self.at + 1 : end].partition(",")
            if end < 0 or not _count(low) or (high and not _count(high)):
                raise UnknownPattern(self.pattern)
            self.at = end + 1
            bounds = (int(low), (int(high) if high else None) if comma else int(low))
        else:
            return bounds
        if self._peek() == "?":
            self.at += 1
        return bounds


def _count(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 6
