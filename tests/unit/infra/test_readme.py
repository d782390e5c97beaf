"""The folder's own page against the templates."""

import re

from tests.unit.infra.templates import FOLDER, bicep_files, templates

PAGE = (FOLDER / "README.md").read_text(encoding="utf-8")


def test_every_file_is_named() -> None:
    assert {path for path in bicep_files() if f"`{path}`" not in PAGE} == set()


def test_every_variable_stands_beside_its_parameter() -> None:
    shown = dict(re.findall(r"^\| `([A-Z_]+)` \|.*?\| `(\w+)`", PAGE, re.MULTILINE))
    text = (FOLDER / "main.bicepparam").read_text(encoding="utf-8")
    read = re.findall(r"^param (\w+) = .*readEnvironmentVariable\('(\w+)'", text, re.MULTILINE)
    assert shown == {variable: parameter for parameter, variable in read}


def test_defaults_are_those_of_the_template() -> None:
    declared = templates()["main.bicep"].of("param")
    for default, name in re.findall(r"^\| `[A-Z_]+` \| `([\w]+)` \| `(\w+)`", PAGE, re.MULTILINE):
        value = declared[name].value
        assert default == (str(value).lower() if isinstance(value, bool) else str(value)), name


def test_every_output_is_named() -> None:
    assert {name for name in templates()["main.bicep"].of("output") if f"`{name}`" not in PAGE} == set()
