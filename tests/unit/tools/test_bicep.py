"""Reading Bicep: what is written out as values, the rest as text."""

from pathlib import Path
from typing import Any

import pytest

from tools.bicep import Expression, Template, read_folder, read_template

EXAMPLE = r"""
targetScope = 'subscription'

@description('Required. It\'s a name.')
@minLength(1)
param name string

@allowed([
  'a'
  'b'
])
param choice string = 'a'

var rows = [
  { text: 'x', number: -1, yes: true, none: null, list: [], object: {}, other: name }
]

@batchSize(1)
resource things 'Microsoft.Example/things@2024-01-01' = [
  for (row, index) in rows: if (row.yes && !empty(choice)) {
    parent: owner[index]
    // A comment.
    name: '${name}-${row.text}'
    'quoted key': guid(owner.id)
  }
]

resource owner 'Microsoft.Example/owners@2024-01-01' existing = {
  name: name
}

module other 'modules/other.bicep' = if (choice == 'a') {
  name: 'other'
  dependsOn: [
    owner
  ]
}

@description('An address.')
output address string = inner.outputs.address
"""


def read(directory: Path, text: str, name: str = "main.bicep") -> Template:
    file = directory / name
    file.write_text(text, encoding="utf-8")
    return read_template(file)


@pytest.fixture
def example(tmp_path: Path) -> Template:
    template = read(tmp_path, EXAMPLE)
    assert template.problems == ()
    return template


def test_a_parameter_has_its_type_its_default_and_its_decorators(example: Template) -> None:
    name, choice = example.of("param")["name"], example.of("param")["choice"]
    assert (name.target, name.has_value, name.description) == ("string", False, "Required. It's a name.")
    assert name.decorators["minLength"] == [1]
    assert (choice.value, choice.decorators) == ("a", {"allowed": [["a", "b"]]})


def test_what_is_written_out_is_a_value_and_the_rest_is_text(example: Template) -> None:
    expected: list[Any] = [
        {
            "text": "x",
            "number": -1,
            "yes": True,
            "none": None,
            "list": [],
            "object": {},
            "other": Expression("name"),
        }
    ]
    assert example.value("rows") == expected


def test_a_loop_says_what_it_goes_through_and_under_which_condition(example: Template) -> None:
    things = example.of("resource")["things"]
    assert things.target == "Microsoft.Example/things@2024-01-01"
    assert things.over == Expression("rows")
    assert things.condition == "row.yes && !empty(choice)"
    assert things.value == {
        "parent": Expression("owner[index]"),
        "name": Expression("'${name}-${row.text}'"),
        "quoted key": Expression("guid(owner.id)"),
    }


def test_the_names_of_a_loop_are_its_own_and_no_property_is_a_name(example: Template) -> None:
    assert example.of("resource")["things"].names == {"rows", "choice", "owner", "name"}


def test_a_resource_that_is_there_already_and_a_module_on_a_condition_are_told_apart(
    example: Template,
) -> None:
    assert example.of("resource")["owner"].existing
    assert not example.of("resource")["things"].existing
    other = example.of("module")["other"]
    assert (other.target, other.condition) == ("modules/other.bicep", "choice == 'a'")
    assert other.value["dependsOn"] == [Expression("owner")]


def test_an_output_says_which_modules_output_it_asks_for(example: Template) -> None:
    assert example.of("output")["address"].outputs == {("inner", "address")}


@pytest.mark.parametrize(
    "broken", ["param x string = [", "var x = {", "resource x 'a@1' = {\n  name: \n}", "what"]
)
def test_what_cannot_be_understood_is_a_problem_with_its_line(tmp_path: Path, broken: str) -> None:
    [first, *_] = read(tmp_path, f"var good = 1\n{broken}\n").problems
    assert first.startswith("main.bicep:")


def test_a_parameters_file_gives_its_values(tmp_path: Path) -> None:
    text = "using 'main.bicep'\n\nparam name = 'x'\nparam size = int(readEnvironmentVariable('SIZE', '1'))\n"
    template = read(tmp_path, text, "main.bicepparam")
    assert template.problems == ()
    assert template.assigned == {
        "name": "x",
        "size": Expression("int(readEnvironmentVariable('SIZE', '1'))"),
    }


def test_a_folder_is_read_with_what_is_below_it(tmp_path: Path) -> None:
    (tmp_path / "modules").mkdir()
    read(tmp_path, "var x = 1\n")
    read(tmp_path / "modules", "var y = 2\n", "one.bicep")
    assert list(read_folder(tmp_path)) == ["main.bicep", "modules/one.bicep"]
