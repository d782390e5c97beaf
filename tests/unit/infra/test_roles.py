"""Who may do what: the Bicep's role table against what adapters and host need."""

import re
from itertools import chain

from shared.adapters.roles import ADAPTER_ROLES, HOST_ROLES, MODEL_ROLES
from tests.unit.infra.templates import ROOT, module
from tools.bicep import Expression

BUILT_IN = {
    "Cognitive Services OpenAI User": "5e0bd9bd-7b93-4f28-af87-19fc36ad61bd",
    "Cosmos DB Built-in Data Contributor": "00000000-0000-0000-0000-000000000002",
    "Event Hubs Data Receiver": "a638d3c7-ab3a-418d-83e6-5f17a39d4fde",
    "Event Hubs Data Sender": "2b629674-e913-4c01-ae53-ef4638d8f975",
    "Key Vault Secrets Officer": "b86a8fe4-44ce-4948-aee5-eccb2c155cd7",
    "Key Vault Secrets User": "4633458b-17de-408a-b874-0445c86b69e6",
    "Monitoring Metrics Publisher": "3913510d-42f4-4e42-8a64-420c390055eb",
    "Storage Blob Data Owner": "b7e6dc6d-f1e8-4753-8033-0f276bb0955b",
    "Storage Queue Data Contributor": "974c5e8b-45b9-4653-ba55-5f855dd0fb88",
    "Storage Table Data Contributor": "0a9a7e1f-b9d0-4cc4-a60d-0319b160aaa3",
}
"""Azure's own ids (learn.microsoft.com/azure/role-based-access-control/built-in-roles)."""
ON = {"Cosmos": "cosmos", "Event": "eventHubs", "Key": "keyVault", "Monitoring": "applicationInsights"}


def roles_of(principal: str) -> set[str]:
    return {row["role"] for row in module("roles").value("roles") if row["to"] == principal}


def test_the_app_has_the_roles_that_adapters_and_host_need_and_no_others() -> None:
    needed = set(chain(*ADAPTER_ROLES.values(), *HOST_ROLES.values()))
    assert roles_of("app") == needed


def test_every_adapter_to_azure_says_what_it_needs() -> None:
    clients = re.compile(r"azure\.(?!identity|core)[\w.]+\.aio")
    adapters = {
        path.stem
        for path in (ROOT / "shared" / "adapters").glob("*.py")
        if clients.search(path.read_text(encoding="utf-8"))
    }
    assert adapters == set(ADAPTER_ROLES)


def test_every_connection_of_the_host_is_one_of_the_settings() -> None:
    settings = module("function-app").value("settings")
    for prefix in HOST_ROLES:
        assert any(re.match(rf"{prefix}_", name) for name in settings), prefix


def test_the_deployer_may_write_secrets_and_documents_and_nothing_else() -> None:
    assert roles_of("deployer") == {"Key Vault Secrets Officer", "Cosmos DB Built-in Data Contributor"}


def test_publishers_may_send_events_and_nothing_else() -> None:
    assert module("roles").value("publisherRole") == "Event Hubs Data Sender"
    loop = module("roles").of("resource")["publisherRoles"]
    assert loop.over == Expression("publisherPrincipalIds")
    assert loop.value["scope"] == Expression("eventHubs")


def test_each_role_has_azures_id() -> None:
    ids = module("roles").value("roleIds")
    assert {name: BUILT_IN[name] for name in ids} == ids
    used = {row["role"] for row in module("roles").value("roles")} | {module("roles").value("publisherRole")}
    assert used == set(ids)
    assert [module("openai-role").value("roleId")] == [BUILT_IN[name] for name in MODEL_ROLES]


def test_each_role_is_given_on_the_one_service_that_it_is_for() -> None:
    rows = module("roles").value("roles")
    for row in rows:
        assert row["on"] == ON.get(row["role"].split()[0], "storage"), row
    assert len({tuple(row.values()) for row in rows}) == len(rows)


def test_every_row_of_the_table_is_assigned_by_a_loop_of_its_service() -> None:
    template = module("roles")
    loops = {one.name: one for one in template.of("resource").values() if one.over == Expression("roles")}
    services = {row["on"] for row in template.value("roles")}
    assert set(loops) == {f"{service}Roles" for service in services}
    for service in services:
        loop = loops[f"{service}Roles"]
        assert loop.condition == f"row.on == '{service}' && !empty(principals[row.to].id)"
        assert loop.value["name"] == Expression(
            f"guid({service}.id, principals[row.to].id, roleIds[row.role])"
        )
        assert Expression(service) in (loop.value.get("scope"), loop.value.get("parent"))
    assert set(template.value("principals")) == {row["to"] for row in template.value("roles")}
