"""The local host matches routes as Azure's host does."""

from datetime import UTC, datetime

import pytest

from shared.devhost.routes import Matcher, Route, decoded_path, pattern
from shared.devhost.timers import next_run

GET = frozenset(("GET",))


def matcher(*routes: tuple[str, str]) -> Matcher[str]:
    return Matcher(Route(name, template, GET, name) for name, template in routes)


def test_of_several_routes_the_first_by_name_is_taken() -> None:
    found = matcher(("b_specific", "v1/models"), ("a_general", "{*path}")).find("GET", "/v1/models")
    assert found is not None
    assert found[0].name == "a_general"


@pytest.mark.parametrize(
    ("template", "path", "parameters"),
    [
        ("v1/models/{*id}", "/v1/models", {}),
        ("v1/models/{*id}", "/v1/models/", {"id": ""}),
        ("v1/models/{*id}", "/V1/Models/a/b%2Fc", {"id": "a/b%2Fc"}),
        ("jobs/{id}/status", "/jobs/7/status", {"id": "7"}),
        ("jobs/{id?}", "/jobs", {}),
        ("{*path}", "/", {"path": ""}),
        ("health", "/health/", {}),
    ],
)
def test_templates_match(template: str, path: str, parameters: dict[str, str]) -> None:
    found = matcher(("f", template)).find("GET", path)
    assert found is not None
    assert {name: value for name, value in found[1].items() if value} == {
        name: value for name, value in parameters.items() if value
    }


@pytest.mark.parametrize(
    ("template", "path"),
    [("health", "/healthy"), ("jobs/{id}", "/jobs/1/2"), ("a.b", "/aXb"), ("jobs/{id}", "/jobs/")],
)
def test_templates_do_not_match(template: str, path: str) -> None:
    assert matcher(("f", template)).find("GET", path) is None


def test_a_method_that_is_not_registered_is_not_found() -> None:
    assert matcher(("f", "x")).find("POST", "/x") is None


def test_an_unknown_kind_of_template_stops_the_start() -> None:
    with pytest.raises(ValueError, match="id:int"):
        pattern("jobs/{id:int}")


def test_paths_are_decoded_once_and_slashes_stay() -> None:
    assert decoded_path("/a%20b/c%2Fd/e%2fg/%25/%252F") == "/a b/c%2Fd/e%2Fg/%/%2F"


def test_schedules_have_seconds_first() -> None:
    noon = datetime(2026, 1, 1, 12, 0, 30, tzinfo=UTC)
    assert next_run("0 * * * * *", noon) == datetime(2026, 1, 1, 12, 1, tzinfo=UTC)
    assert next_run("*/10 * * * * *", noon) == datetime(2026, 1, 1, 12, 0, 40, tzinfo=UTC)
    assert next_run("0 30 4 * * *", noon) == datetime(2026, 1, 2, 4, 30, tzinfo=UTC)
