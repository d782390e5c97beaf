"""What a compiler would say of the Bicep's own words, and how the house writes it."""

import posixpath
import re
from typing import Any

import pytest

from tests.unit.infra.templates import FOLDER, bicep_files, module, templates
from tools.bicep import Declaration, Expression, Template, read_folder

BUILT_IN = {"resourceGroup", "subscription", "environment", "az", "sys"}
FILES = sorted(bicep_files())


def test_every_file_is_understood() -> None:
    assert len(FILES) >= 14
    assert [problem for template in templates().values() for problem in template.problems] == []


@pytest.mark.parametrize("path", FILES)
def test_every_parameter_and_output_is_described(path: str) -> None:
    for declaration in (
        *bicep_files()[path].of("param").values(),
        *bicep_files()[path].of("output").values(),
    ):
        assert declaration.description.endswith("."), f"{path}: {declaration.name}"


@pytest.mark.parametrize("path", FILES)
def test_a_parameter_says_whether_it_can_be_left_out(path: str) -> None:
    for declaration in bicep_files()[path].of("param").values():
        word = "Optional. " if declaration.has_value else "Required. "
        assert declaration.description.startswith(word), f"{path}: {declaration.name}"


@pytest.mark.parametrize("path", FILES)
def test_every_name_that_is_used_is_declared_and_the_other_way_round(path: str) -> None:
    template = bicep_files()[path]
    declared = [one.name for one in template.declarations if one.kind != "output"]
    assert len(declared) == len(set(declared))
    used = {name for one in template.declarations for name in one.names}
    assert used - set(declared) - BUILT_IN == set()
    idle = {one.name for one in template.declarations if one.kind in ("param", "var")} - used
    assert idle == set()


def module_calls() -> list[tuple[str, Declaration, Template]]:
    calls = []
    for path, template in bicep_files().items():
        for call in template.of("module").values():
            target = posixpath.normpath(posixpath.join(posixpath.dirname(path), call.target))
            calls.append((path, call, templates()[target]))
    return calls


def test_each_module_is_given_its_parameters_and_no_others() -> None:
    for path, call, target in module_calls():
        declared = target.of("param")
        given = set(call.value["params"])
        assert given - set(declared) == set(), f"{path}: {call.name}"
        needed = {name for name, one in declared.items() if not one.has_value}
        assert needed - given == set(), f"{path}: {call.name}"


def test_each_output_that_is_asked_for_is_there() -> None:
    for path, template in bicep_files().items():
        calls = {call.name: target for of, call, target in module_calls() if of == path}
        for declaration in template.declarations:
            for name, output in declaration.outputs:
                assert output in calls[name].of("output"), f"{path}: {declaration.name}: {name}.{output}"


def test_no_output_of_a_module_is_for_nobody() -> None:
    for name in {call.target for _, call, _ in module_calls()}:
        target = templates()[name]
        asked = {
            output
            for path, template in bicep_files().items()
            for one in template.declarations
            for called, output in one.outputs
            if template.of("module")[called].target == name
        }
        assert set(target.of("output")) - asked == set(), name


def test_what_may_be_missing_is_never_asked_for_an_output() -> None:
    for path, template in bicep_files().items():
        optional = {call.name for call in template.of("module").values() if call.condition}
        asked = {name for one in template.declarations for name, _ in one.outputs}
        assert optional & asked == set(), path


def test_every_module_is_used() -> None:
    used = {call.target for _, call, _ in module_calls()}
    assert {path for path in FILES if path != "main.bicep"} == used


def test_the_group_is_made_for_the_system_and_everything_else_is_in_modules() -> None:
    main = templates()["main.bicep"]
    assert "targetScope = 'subscription'" in (FOLDER / "main.bicep").read_text(encoding="utf-8")
    assert [one.target.split("@")[0] for one in main.of("resource").values()] == [
        "Microsoft.Resources/resourceGroups"
    ]
    assert templates()["resources.bicep"].of("resource") == {}


def test_one_version_of_the_interface_for_each_type() -> None:
    versions: dict[str, set[str]] = {}
    for template in bicep_files().values():
        for resource in template.of("resource").values():
            kind, _, version = resource.target.partition("@")
            versions.setdefault(kind, set()).add(version)
    assert {kind: found for kind, found in versions.items() if len(found) > 1} == {}


def test_the_parameters_file_gives_what_is_required_and_repeats_the_defaults() -> None:
    given, declared = templates()["main.bicepparam"].assigned, templates()["main.bicep"].of("param")
    assert {name for name, one in declared.items() if not one.has_value} <= set(given) <= set(declared)
    for name, value in given.items():
        assert isinstance(value, Expression)
        if not declared[name].has_value:
            assert re.fullmatch(r"readEnvironmentVariable\('[A-Z_]+'\)", value.text), name
            continue
        assert default_of(value.text) == declared[name].value, name


def default_of(text: str) -> Any:
    """What the parameters file falls back to, as a value."""
    found = re.fullmatch(r"(?:(int|bool|json)\()?readEnvironmentVariable\('[A-Z_]+', '([^']*)'\)\)?", text)
    assert found is not None, text
    kind, default = found.groups()
    if kind == "int":
        return int(default)
    if kind == "bool":
        return {"true": True, "false": False}[default]
    return {"[]": [], "{}": {}}[default] if kind == "json" else default


def test_no_variable_of_a_deployment_could_be_taken_for_a_setting_of_the_app() -> None:
    text = (FOLDER / "main.bicepparam").read_text(encoding="utf-8")
    names = re.findall(r"readEnvironmentVariable\('(\w+)'", text)
    assert len(names) == len(set(names)) >= 20
    assert {name for name in names if not name.startswith(("AZURE_", "DEPLOY_"))} == set()
    assert "AZURE_CLIENT_ID" not in names


def test_sizes_suit_a_small_team_and_bulk_has_room() -> None:
    defaults = {name: one.value for name, one in templates()["main.bicep"].of("param").items()}
    assert defaults["instanceMemoryMB"] == 2048
    assert defaults["httpConcurrency"] == 100
    assert defaults["alwaysReadyHttpInstances"] == 0
    assert defaults["cosmosCapacity"] == "serverless"
    assert defaults["eventHubPartitions"] == 16
    assert defaults["privateNetwork"] is False
    assert "too small" in templates()["main.bicep"].of("param")["instanceMemoryMB"].description


def test_names_come_from_the_environment_and_the_suffix_alone() -> None:
    resources = templates()["resources.bicep"]
    label = resources.value("label")
    assert label == Expression("toLower('${environmentName}-${suffix}')")
    for name, value in resources.value("names").items():
        assert re.fullmatch(r"'[a-z]+-?\$\{(label|suffix)\}'", value.text), name
    assert len(resources.value("names")) == len(set(map(str, resources.value("names").values())))


def test_the_longest_names_fit() -> None:
    longest = templates()["main.bicep"].of("param")["environmentName"].decorators["maxLength"][0]
    suffix = 13
    limits = {"storage": 24, "keyVault": 24, "cosmos": 44, "eventHubs": 50, "functionApp": 60, "plan": 60}
    for name, limit in limits.items():
        text = templates()["resources.bicep"].value("names")[name].text.strip("'")
        filled = text.replace("${label}", "x" * (longest + 1 + suffix)).replace("${suffix}", "x" * suffix)
        assert len(filled) <= limit, name


def test_a_private_network_closes_every_service_and_opens_a_way_to_each() -> None:
    resources = templates()["resources.bicep"]
    assert resources.value("networkAccess") == Expression("privateNetwork ? 'Disabled' : 'Enabled'")
    services = {"storage", "keyVault", "cosmos", "eventHubs"}
    for name in services:
        given = resources.of("module")[name].value["params"]["publicNetworkAccess"]
        assert given == Expression("networkAccess"), name
    endpoints = resources.of("module")["privateEndpoints"]
    assert endpoints.condition == resources.of("module")["network"].condition == "privateNetwork"
    rows = endpoints.value["params"]["endpoints"]
    assert {row["service"].text.split(".")[0] for row in rows} == services
    zones = module("private-endpoints").value("zones")
    assert {row["group"] for row in rows} == set(zones)
    assert list(zones.values()) == module("network").value("zones")


@pytest.mark.parametrize(
    ("name", "loop"), [("cosmos", "container"), ("roles", "cosmosRoles"), ("private-endpoints", "endpoint")]
)
def test_what_one_account_takes_one_at_a_time_is_made_so(name: str, loop: str) -> None:
    assert module(name).of("resource")[loop].decorators["batchSize"] == [1]


def test_the_code_starts_when_roles_and_ways_to_the_services_are_there() -> None:
    text = (FOLDER / "resources.bicep").read_text(encoding="utf-8")
    app = text.split("module functionApp ", 1)[1].split("\n}\n", 1)[0]
    assert re.search(r"dependsOn: \[\s+roles\s+privateEndpoints\s+\]", app)


def test_a_file_that_is_cut_off_is_noticed(tmp_path: Any) -> None:
    whole = (FOLDER / "main.bicep").read_text(encoding="utf-8")
    (tmp_path / "main.bicep").write_text(whole[: len(whole) // 2], encoding="utf-8")
    assert read_folder(tmp_path)["main.bicep"].problems
