"""No two routes overlap but for the last one, which answers what no other does."""

import itertools
import re
from pathlib import Path

import pytest

from functions import create_app
from functions.http import METHODS
from shared.bootstrap import build_services
from shared.devhost.functions import HttpTarget, read_functions, route_prefix
from shared.devhost.host import HOST_JSON
from shared.devhost.routes import Route, pattern
from shared.settings import Settings

FALLBACK = "zz_fallback"


@pytest.fixture
def routes(tmp_path: Path) -> list[Route[HttpTarget]]:
    app = create_app(build_services(Settings(mode="local", local_dir=tmp_path)))
    return read_functions(app, route_prefix(HOST_JSON))[0]


def samples(template: str) -> list[str]:
    """Paths that a template matches, with every parameter filled by words of other routes too."""
    words = ["x", "models", "completions", "chat", "v1", "ready", "keys"]
    paths = []
    for word, rest in itertools.product(words, ["", "x", "chat/completions", "a/b/c"]):
        path = re.sub(r"\{\*\w+\}", rest, template)
        paths.append("/" + re.sub(r"\{\w+\??\}", word, path).strip("/"))
    return paths


def test_no_two_routes_overlap(routes: list[Route[HttpTarget]]) -> None:
    for one, other in itertools.permutations([route for route in routes if route.name != FALLBACK], 2):
        for path in samples(one.template):
            assert not pattern(other.template).fullmatch(path), f"{path}: {one.name} and {other.name}"


def test_the_fallback_is_last_by_name_and_matches_everything(routes: list[Route[HttpTarget]]) -> None:
    assert max(route.name for route in routes) == FALLBACK
    fallback = next(route for route in routes if route.name == FALLBACK)
    for path in ("/", "/x", "/a/b/c", "/v1/nope"):
        assert pattern(fallback.template).fullmatch(path)


def test_every_route_takes_every_method(routes: list[Route[HttpTarget]]) -> None:
    """Azure's host answers a method that no function takes with an empty 404."""
    for route in routes:
        assert route.methods == set(METHODS), route.name


def test_no_route_lies_where_the_hosts_own_do(routes: list[Route[HttpTarget]]) -> None:
    for route in routes:
        assert not route.template.startswith(("admin", "runtime"))
