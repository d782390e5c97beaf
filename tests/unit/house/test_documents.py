"""What README and docs say against what the code does."""

import json
import re
import tomllib
from pathlib import Path

import pytest

from functions import create_app
from functions.azure_flavour import find_target
from shared import VERSION
from shared.bootstrap import build_services
from shared.catalog.documents import parse_document
from shared.catalog.model_types import MODEL_TYPES, OPERATIONS
from shared.catalog.parameters import Parameters
from shared.devhost.functions import read_functions
from shared.devhost.routes import Matcher
from shared.inference.operations_table import operations_table
from shared.secrets import PROXY_SECRETS
from shared.settings import Settings, settings_table

ROOT = Path(__file__).resolve().parents[3]
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]
README = (ROOT / "README.md").read_text(encoding="utf-8")
OPERATIONS_PAGE = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
MODELS = (ROOT / "docs" / "models.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"^```json\n(.*?)^```", MODELS, re.MULTILINE | re.DOTALL)


def table_rows(text: str, heading: str) -> list[list[str]]:
    """The cells of the first table below a heading, without its head."""
    section = text.split(f"\n## {heading}\n", 1)[1]
    lines = re.search(r"(?:^\|.*\|\n)+", section, re.MULTILINE)
    assert lines is not None, f"no table below {heading}"
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines[0].splitlines()[2:]]


def test_the_readme_has_at_most_200_lines() -> None:
    assert len(README.splitlines()) <= 200


def test_the_readme_lists_every_setting_with_its_default_and_meaning() -> None:
    expected = [
        [f"`{name}`", f"`{default}`" if default else "", meaning]
        for name, default, meaning in settings_table()
    ]
    assert [[cell.strip() for cell in row] for row in table_rows(README, "Configure")] == expected


def test_the_readme_names_every_secret_of_the_proxy() -> None:
    assert {name for name in PROXY_SECRETS if f"`{name}`" in README} == set(PROXY_SECRETS)


def test_every_route_that_the_readme_names_exists(tmp_path: Path) -> None:
    services = build_services(Settings(mode="local", local_dir=tmp_path))
    routes = read_functions(create_app(services), "").routes
    matcher = Matcher([route for route in routes if route.name != "zz_fallback"])
    named = set(re.findall(r"(?<![\w.])/(?:v1|api|openai|health|manage)[\w/{}.-]*", README))
    assert len(named) >= 24
    for path in named:
        found = matcher.find("POST", re.sub(r"\{\w+\}", "x", path.rstrip(".")))
        assert found is not None, path
        if path.startswith("/openai/") and not path.endswith("/"):
            assert find_target(path.removeprefix("/openai/")) is not None, path


def test_every_route_of_the_app_is_in_the_readme(tmp_path: Path) -> None:
    services = build_services(Settings(mode="local", local_dir=tmp_path))
    routes = read_functions(create_app(services), "").routes
    for route in routes:
        base = route.template.partition("{")[0].rstrip("/")
        assert f"/{base}" in README, route.template


def test_the_table_of_operations_is_what_the_code_says() -> None:
    [shown] = re.findall(
        r"^<!-- operations: .*? -->\n(.*?)^<!-- end of operations -->", OPERATIONS_PAGE, re.M | re.DOTALL
    )
    assert shown == operations_table()


def test_every_target_of_make_that_the_readme_names_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = set(re.findall(r"\bmake ([a-z-]+)", "\n".join(re.findall(r"^make.*|`make [^`]*`", README, re.M))))
    assert named >= {"run", "test", "bench"}
    assert named <= targets


def test_every_folder_of_tests_is_in_a_suite() -> None:
    configured = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["pytest"]["ini_options"]
    # The worker suite needs Python 3.13 and Azure's runtime library, and has a target of its own.
    suites = {*configured["testpaths"], "tests/worker"}
    folders = {path.relative_to(ROOT).parts[1] for path in (ROOT / "tests").rglob("test_*.py")}
    assert folders == {suite.removeprefix("tests/") for suite in suites}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_relative_link_leads_somewhere(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)]+)\)", text):
        if not target.startswith(("http://", "https://")):
            path, _, anchor = target.partition("#")
            file = page.parent / path if path else page
            assert file.exists(), target
            if anchor:
                headings = re.findall(r"^#+ (.*)$", file.read_text(encoding="utf-8"), re.MULTILINE)
                assert anchor in {re.sub(r"[^\w -]", "", head.lower()).replace(" ", "-") for head in headings}


def test_every_path_in_the_readmes_code_spans_is_there() -> None:
    spans = re.findall(
        r"`((?:shared|functions|tests|benchmarks|docs)/[\w./]*|[\w.]+\.(?:py|example))`", README
    )
    assert spans
    for path in spans:
        assert (ROOT / path).exists(), path


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda text: str(json.loads(text)["id"]))
def test_each_example_of_a_model_is_one_that_manage_takes(example: str) -> None:
    _, warnings = parse_document(json.loads(example), strict=True)
    assert warnings == []


def test_there_is_an_example_or_a_row_for_each_model_type() -> None:
    exemplified = {json.loads(example).get("model_type") for example in EXAMPLES}
    below_vertex = set(re.findall(r"^\| `(GoogleVertex\w*)` \| `", MODELS, re.MULTILINE))
    assert set(MODEL_TYPES) <= exemplified | below_vertex


def test_the_page_about_models_has_every_parameter_and_no_other() -> None:
    rows = table_rows(MODELS, "Parameters")
    named = {name for row in rows for name in re.findall(r"`(\w+)`", row[0])}
    assert named == set(Parameters.model_fields)


def test_the_page_about_models_has_every_operation() -> None:
    assert f"Operations: {', '.join(f'`{name}`' for name in OPERATIONS)}." in MODELS


def test_the_changelog_tells_of_this_version_or_of_what_is_not_released_yet() -> None:
    heads = re.findall(r"^## \[(.*?)\]", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert heads[0] in ("Unreleased", VERSION)
