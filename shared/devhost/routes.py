"""Routes of HTTP functions, matched as Azure's host matches them."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar
from urllib.parse import unquote

T = TypeVar("T")

_PARAMETER = re.compile(r"\{(\*?)(\w+)(\??)\}")
_SLASH = re.compile("%2f", re.IGNORECASE)
_CACHE_LIMIT = 256


@dataclass(frozen=True, slots=True)
class Route(Generic[T]):
    """`name` is the function's, `template` its route with the prefix (`v1/models/{*id}`), `methods` what it takes."""

    name: str
    template: str
    methods: frozenset[str]
    target: T


class Matcher(Generic[T]):
    """Finds the function for a path: of several that match, the host takes the first by name."""

    def __init__(self, routes: Iterable[Route[T]]) -> None:
        ordered = sorted(routes, key=lambda route: route.name.lower())
        self._routes = [(pattern(route.template), route) for route in ordered]
        self._literal: dict[tuple[str, str], Route[T]] = {}

    def find(self, method: str, path: str) -> tuple[Route[T], Mapping[str, str]] | None:
        """The route and its path parameters, or None. `path` is decoded but for `%2F`."""
        known = self._literal.get((method, path))
        if known is not None:
            return known, {}
        for expression, route in self._routes:
            match = expression.fullmatch(path)
            if match and method in route.methods:
                parameters = {name: value for name, value in match.groupdict().items() if value is not None}
                if "{" not in route.template and len(self._literal) < _CACHE_LIMIT:
                    self._literal[(method, path)] = route
                return route, parameters
        return None


def pattern(template: str) -> re.Pattern[str]:
    """The expression for a route template: literal segments without case, `{name}`, `{name?}`, `{*rest}`.

    Raises ValueError for a template that Azure's host would take but the local host does not know.
    """
    expression = ""
    for segment in (part for part in template.strip("/").split("/") if part):
        parameter = _PARAMETER.fullmatch(segment)
        if parameter is None:
            if "{" in segment:
                raise ValueError(f"the local host cannot serve the route segment {segment!r}")
            expression += "/" + re.escape(segment)
        elif parameter[1]:
            expression += f"(?:/(?P<{parameter[2]}>.*))?"
        else:
            expression += f"(?:/(?P<{parameter[2]}>[^/]+))" + parameter[3]
    return re.compile((expression or "/") + "/?", re.IGNORECASE | re.DOTALL)


def decoded_path(raw: str) -> str:
    """A path as Kestrel hands it on: percent-decoded once, but for `%2F`, which stays."""
    if "%" not in raw:
        return raw
    return "%2F".join(unquote(part) for part in _SLASH.split(raw))
