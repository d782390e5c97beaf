"""Which function a request goes to, as Azure's host decides it."""

import re
from dataclasses import dataclass
from typing import Self
from urllib.parse import unquote

PARAMETER = re.compile(r"\{(?P<rest>\*{0,2})(?P<name>\w+)(?::[^}?]+)?(?P<optional>\??)\}")
ENCODED_SLASH = re.compile(r"(%2f)", re.IGNORECASE)


def decoded_path(raw: str) -> str:
    """The path as Kestrel hands it on: percent-decoded once, but for `%2F`."""
    return "".join(
        part if ENCODED_SLASH.fullmatch(part) else unquote(part) for part in ENCODED_SLASH.split(raw)
    )


@dataclass(frozen=True, slots=True)
class HttpRoute:
    """One HTTP function. No `methods` means all of them."""

    function: str
    pattern: re.Pattern[str]
    methods: frozenset[str]

    @classmethod
    def of(cls, function: str, prefix: str, template: str, methods: list[str]) -> Self:
        """From a function's binding; `prefix` is host.json's `routePrefix`."""
        pattern = ""
        for segment in f"{prefix.strip('/')}/{template.strip('/')}".split("/"):
            if not segment:
                continue
            found = PARAMETER.fullmatch(segment)
            if found is None:
                pattern += "/" + re.escape(segment)
            elif found["rest"]:
                pattern += f"(?:/(?P<{found['name']}>.*))?"
            else:
                pattern += f"(?:/(?P<{found['name']}>[^/]+)){found['optional']}"
        # ASP.NET compares without case and ignores a slash at the end.
        compiled = re.compile(f"{pattern}/?", re.IGNORECASE | re.DOTALL)
        return cls(function, compiled, frozenset(method.upper() for method in methods))


class HttpRoutes:
    """Where several routes match, the host takes the function whose name comes first in the alphabet."""

    def __init__(self, routes: list[HttpRoute]) -> None:
        self._routes = sorted(routes, key=lambda route: route.function.lower())

    def find(self, method: str, raw_path: str) -> tuple[str, dict[str, str]] | None:
        """The function and its path parameters; None where the host answers an empty 404 by itself."""
        path = decoded_path(raw_path)
        for route in self._routes:
            found = route.pattern.fullmatch(path)
            if found and (not route.methods or method in route.methods):
                return route.function, {name: text for name, text in found.groupdict().items() if text}
        return None
