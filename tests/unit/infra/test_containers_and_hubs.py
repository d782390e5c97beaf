"""Database and hubs in the Bicep against what the code declares."""

from pathlib import Path
from typing import Any

import pytest

from functions import create_app
from shared.bootstrap import build_services
from shared.containers import CONTAINERS, Container
from shared.settings import Settings
from tests.unit.infra.templates import module
from tools.bicep import Expression


def entries() -> dict[str, dict[str, Any]]:
    rows = module("cosmos").value("containers")
    assert len({row["name"] for row in rows}) == len(rows)
    return {row["name"]: row for row in rows}


def index_path(field: str) -> str:
    """A field as an indexing policy writes it: `a.b` is /a/b/?, the elements of `a` are /a/[]/?."""
    return "/" + field.replace(".", "/").replace("[]", "/[]") + "/?"


def test_the_database_has_the_containers_that_the_code_uses_and_no_others() -> None:
    assert list(entries()) == [container.name for container in CONTAINERS]


@pytest.mark.parametrize("container", CONTAINERS, ids=lambda one: one.name)
def test_partition_and_lifetime_are_what_the_code_relies_on(container: Container) -> None:
    entry = entries()[container.name]
    assert entry["partition"] == f"/{container.partition}"
    lifetime = {} if container.time_to_live is None else {"defaultTtl": container.time_to_live}
    assert entry["lifetime"] == lifetime


@pytest.mark.parametrize("container", CONTAINERS, ids=lambda one: one.name)
def test_what_queries_ask_for_is_indexed_and_nothing_else(container: Container) -> None:
    included = [row["path"] for row in entries()[container.name]["included"]]
    assert len(included) == len(set(included))
    # Cosmos DB always indexes the id.
    assert set(included) == {index_path(field) for field in container.queried() - {"id"}}


@pytest.mark.parametrize("container", CONTAINERS, ids=lambda one: one.name)
def test_an_index_of_several_fields_is_a_composite_one_in_the_same_order(container: Container) -> None:
    composite = entries()[container.name]["composite"]
    assert [tuple(row["path"] for row in index) for index in composite] == [
        tuple(f"/{field}" for field in index) for index in container.indexes if len(index) > 1
    ]
    # One direction for all fields: it is read from its other end for the other order.
    assert {row["order"] for index in composite for row in index} <= {"ascending"}


def test_the_table_is_what_the_containers_are_made_of() -> None:
    loop = module("cosmos").of("resource")["container"]
    assert loop.over == Expression("containers")
    assert loop.value["name"] == Expression("entry.name")
    text = loop.value["properties"]["resource"].text
    for part in ("union(entry.lifetime", "paths: [entry.partition]", "includedPaths: entry.included"):
        assert part in text
    assert "excludedPaths: [{ path: '/*' }]" in text
    assert "compositeIndexes: entry.composite" in text
    assert "indexingMode: 'consistent'" in text


def test_the_database_can_be_restored_and_every_instance_sees_the_last_write() -> None:
    account = module("cosmos").of("resource")["account"].value["properties"]
    assert account["backupPolicy"]["type"] == "Continuous"
    assert account["consistencyPolicy"]["defaultConsistencyLevel"] == "Strong"


def test_the_database_has_the_name_that_the_app_looks_for() -> None:
    assert module("cosmos").value("databaseName") == Settings().cosmos_database


def triggers(directory: Path) -> list[dict[str, Any]]:
    services = build_services(Settings(mode="local", local_dir=directory))
    found = [function.get_trigger() for function in create_app(services).get_functions()]
    bindings = [trigger.get_dict_repr() for trigger in found if trigger is not None]
    return [binding for binding in bindings if binding["type"] == "eventHubTrigger"]


def test_there_is_a_hub_for_each_kind_of_jobs() -> None:
    settings = Settings()
    assert module("event-hubs").value("hubs") == [settings.jobs_hub, settings.priority_jobs_hub]
    outputs = module("event-hubs").of("output")
    assert outputs["jobsHub"].value == Expression("hubs[0]")
    assert outputs["priorityJobsHub"].value == Expression("hubs[1]")
    assert module("event-hubs").of("resource")["hub"].over == Expression("hubs")
    assert module("event-hubs").of("resource")["group"].over == Expression("hubs")


async def test_each_trigger_reads_a_hub_that_is_made_with_a_consumer_group_that_is_made(
    tmp_path: Path,
) -> None:
    found = triggers(tmp_path)
    assert {trigger["eventHubName"] for trigger in found} == set(module("event-hubs").value("hubs"))
    assert {trigger["consumerGroup"] for trigger in found} == {module("event-hubs").value("consumerGroup")}
    settings = module("function-app").value("settings")
    for trigger in found:
        assert f"{trigger['connection']}__fullyQualifiedNamespace" in settings


def test_a_hub_has_at_least_sixteen_partitions_and_keeps_events_for_a_day() -> None:
    hub = module("event-hubs").of("resource")["hub"].value["properties"]
    assert hub["partitionCount"] == Expression("partitions")
    assert module("event-hubs").of("param")["partitions"].decorators["minValue"] == [16]
    assert module("event-hubs").value("retentionHours") == 24
