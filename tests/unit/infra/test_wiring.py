"""Words that Azure takes at their face, and that no one else reads: what a slip in one would break."""

from typing import Any

import pytest

from tests.unit.infra.templates import module, templates
from tools.bicep import Expression


def properties(name: str, resource: str) -> dict[str, Any]:
    found = module(name).of("resource")[resource].value["properties"]
    assert isinstance(found, dict)
    return found


def test_the_database_is_serverless_or_has_one_throughput_for_all_containers() -> None:
    assert properties("cosmos", "account")["capabilities"] == Expression(
        "capacity == 'serverless' ? [{ name: 'EnableServerless' }] : []"
    )
    # A serverless account refuses a throughput.
    assert properties("cosmos", "database")["options"] == Expression(
        "capacity == 'serverless' ? {} : { autoscaleSettings: { maxThroughput: maxThroughput } }"
    )


def test_strong_consistency_has_one_region_only() -> None:
    assert len(properties("cosmos", "account")["locations"]) == 1
    assert "enableMultipleWriteLocations" not in properties("cosmos", "account")


def test_a_deleted_vault_is_taken_back_only_when_asked_to() -> None:
    assert properties("key-vault", "vault")["createMode"] == Expression("recover ? 'recover' : 'default'")


def test_the_app_takes_its_package_with_its_own_identity() -> None:
    app = module("function-app").of("resource")["app"].value
    assert app["identity"]["type"] == "UserAssigned"
    assert app["tags"] == Expression("union(tags, { 'azd-service-name': 'api' })")
    storage = app["properties"]["functionAppConfig"]["deployment"]["storage"]
    # The account's address ends with a slash.
    assert storage["value"] == Expression("'${storageBlobEndpoint}${deploymentContainer}'")
    assert storage["authentication"] == {
        "type": "UserAssignedIdentity",
        "userAssignedIdentityResourceId": Expression("identityId"),
    }


def test_sizes_are_the_parameters_and_only_http_may_be_always_ready() -> None:
    scale = properties("function-app", "app")["functionAppConfig"]["scaleAndConcurrency"]
    assert scale["instanceMemoryMB"] == Expression("instanceMemoryMB")
    assert scale["maximumInstanceCount"] == Expression("maximumInstanceCount")
    assert scale["alwaysReady"] == Expression(
        "alwaysReadyHttpInstances == 0 ? [] : [{ name: 'http', instanceCount: alwaysReadyHttpInstances }]"
    )


def test_hubs_have_the_same_limits_on_both_levels() -> None:
    outer, inner = templates()["main.bicep"].of("param"), module("event-hubs").of("param")
    limits = [one.decorators for one in (outer["eventHubPartitions"], inner["partitions"])]
    assert [one["minValue"] + one["maxValue"] for one in limits] == [[16, 32]] * 2


def test_the_app_joins_the_network_as_flex_consumption_does() -> None:
    assert properties("function-app", "app")["virtualNetworkSubnetId"] == Expression(
        "empty(subnetId) ? null : subnetId"
    )
    subnets = {one["name"]: one["properties"] for one in properties("network", "network")["subnets"]}
    [delegation] = subnets["app"]["delegations"]
    assert delegation["properties"] == {"serviceName": "Microsoft.App/environments"}
    assert "delegations" not in subnets["endpoints"]


@pytest.mark.parametrize("service", ["storage", "keyVault", "eventHubs", "applicationInsights"])
def test_a_role_says_what_its_principal_is(service: str) -> None:
    """A new identity may be unknown for minutes: with its type Azure does not look it up."""
    row = properties("roles", f"{service}Roles")
    assert row["principalId"] == Expression("principals[row.to].id")
    assert row["principalType"] == Expression("principals[row.to].type")
    assert row["roleDefinitionId"] == Expression(
        "subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roleIds[row.role])"
    )


def test_publishers_and_the_app_are_no_users() -> None:
    assert properties("roles", "publisherRoles")["principalType"] == "ServicePrincipal"
    assert module("roles").value("principals") == {
        "app": {"id": Expression("appPrincipalId"), "type": "ServicePrincipal"},
        "deployer": {"id": Expression("deployerPrincipalId"), "type": Expression("deployerPrincipalType")},
    }


def test_the_databases_role_is_its_own_kind_and_is_for_the_whole_account() -> None:
    assert properties("roles", "cosmosRoles") == {
        "roleDefinitionId": Expression("'${cosmos.id}/sqlRoleDefinitions/${roleIds[row.role]}'"),
        "principalId": Expression("principals[row.to].id"),
        "scope": Expression("cosmos.id"),
    }


def test_an_account_of_azure_openai_that_is_named_lets_the_app_call_it_and_nothing_else() -> None:
    call = templates()["main.bicep"].of("module")["openAiRole"]
    assert call.condition == "!empty(openAiAccountName)"
    role = module("openai-role")
    assert role.of("resource")["account"].existing
    assignment = role.of("resource")["assignment"].value
    assert assignment["scope"] == Expression("account")
    assert assignment["properties"]["principalType"] == "ServicePrincipal"


def test_the_availability_test_is_of_a_kind_that_takes_an_address_and_is_shown_with_the_logs() -> None:
    test = module("availability").of("resource")["test"].value
    assert test["kind"] == test["properties"]["Kind"] == "standard"
    assert test["tags"] == Expression("union(tags, { 'hidden-link:${applicationInsightsId}': 'Resource' })")
    assert test["properties"]["Request"]["RequestUrl"] == Expression("url")
    # Azure offers 300, 600 and 900 seconds.
    assert len({place["Id"] for place in test["properties"]["Locations"]}) == 5
    assert test["properties"]["Frequency"] == 300


def test_the_log_is_kept_as_long_as_the_parameter_says() -> None:
    assert properties("monitoring", "workspace")["retentionInDays"] == Expression("retentionDays")
    assert properties("monitoring", "applicationInsights")["WorkspaceResourceId"] == Expression(
        "workspace.id"
    )
