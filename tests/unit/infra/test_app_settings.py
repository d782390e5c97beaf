"""The app's settings in the Bicep against those that the code reads, and those that Azure refuses."""

import re
from typing import Any

import pytest

from shared.settings import Settings, settings_table
from tests.unit.infra.templates import module, templates
from tools.bicep import Expression

SAMPLES = {
    "cosmosEndpoint": "https://cosmos-x.documents.azure.com:443/",
    "cosmosDatabase": "llmproxy",
    "keyVaultUri": "https://kv-x.vault.azure.net/",
    "eventHubsHost": "evhns-x.servicebus.windows.net",
    "jobsHub": "chat-jobs",
    "priorityJobsHub": "chat-jobs-priority",
    "identityClientId": "00000000-0000-0000-0000-000000000001",
    "environmentName": "check",
    "corsOrigins": "",
}
REFUSED = (
    "FUNCTIONS_WORKER_RUNTIME",
    "FUNCTIONS_EXTENSION_VERSION",
    "FUNCTIONS_WORKER_PROCESS_COUNT",
    "WEBSITE_RUN_FROM_PACKAGE",
    "WEBSITE_CONTENTAZUREFILECONNECTIONSTRING",
    "WEBSITE_CONTENTSHARE",
    "WEBSITE_TIME_ZONE",
    "WEBSITE_MAX_DYNAMIC_APPLICATION_SCALE_OUT",
    "ENABLE_ORYX_BUILD",
    "SCM_DO_BUILD_DURING_DEPLOYMENT",
    "TZ",
    # Only up to Python 3.12.
    "PYTHON_ENABLE_INIT_INDEXING",
)
"""What Flex Consumption or Python 3.13 does not take."""
HOST = re.compile(r"AzureWebJobs(?:Storage__\w+|DisableHomepage)|APPLICATIONINSIGHTS_\w+|EventHubs__\w+")


def declared() -> dict[str, Any]:
    settings = module("function-app").value("settings")
    assert isinstance(settings, dict)
    return settings


def environment() -> dict[str, str]:
    """The settings as the app would find them."""
    found = {}
    for name, value in declared().items():
        text = SAMPLES.get(value.text, "x") if isinstance(value, Expression) else value
        assert isinstance(text, str), name
        found[name] = text
    return found


def test_the_app_starts_with_these_settings_and_no_more() -> None:
    settings = Settings.from_environment(environment())
    assert settings.mode == "azure"
    assert settings.identity_client_id == SAMPLES["identityClientId"]
    assert settings.event_hubs_namespace == SAMPLES["eventHubsHost"]
    assert settings.environment == "check"


def test_no_setting_is_unknown_to_the_app_and_to_the_host() -> None:
    known = {name for name, _, _ in settings_table()}
    assert {name for name in declared() if name not in known and not HOST.fullmatch(name)} == set()


def test_none_of_the_settings_is_one_that_azure_refuses() -> None:
    text = "\n".join(path.read_text(encoding="utf-8") for path in _files())
    assert {name for name in REFUSED if re.search(rf"\b{name}\b", text)} == set()
    assert "WEBSITE_" not in text
    assert declared().keys().isdisjoint(REFUSED)


def test_the_settings_that_the_operator_adds_win() -> None:
    resource = module("function-app").of("resource")["appSettings"]
    assert resource.value["name"] == "appsettings"
    assert resource.value["properties"] == Expression("union(settings, extraAppSettings)")


def test_the_host_reaches_storage_hubs_and_telemetry_with_the_apps_identity() -> None:
    settings = declared()
    for prefix in ("AzureWebJobsStorage", "EventHubs"):
        assert settings[f"{prefix}__credential"] == "managedidentity"
        assert settings[f"{prefix}__clientId"] == Expression("identityClientId")
    assert settings["AZURE_CLIENT_ID"] == Expression("identityClientId")
    assert {name for name in settings if name.startswith("AzureWebJobsStorage__")} >= {
        f"AzureWebJobsStorage__{kind}ServiceUri" for kind in ("blob", "queue", "table")
    }
    telemetry = settings["APPLICATIONINSIGHTS_AUTHENTICATION_STRING"].text
    assert telemetry == "'ClientId=${identityClientId};Authorization=AAD'"


def test_the_app_and_not_the_platform_answers_pages_of_other_origins() -> None:
    assert declared()["LLMPROXY_CORS_ORIGINS"] == Expression("corsOrigins")
    assert "cors" not in _site()["siteConfig"]


def test_the_root_is_the_apps() -> None:
    assert declared()["AzureWebJobsDisableHomepage"] == "true"


@pytest.mark.parametrize("setting", ["LLMPROXY_JOBS_HUB", "LLMPROXY_PRIORITY_JOBS_HUB"])
def test_the_apps_hubs_are_those_that_are_made(setting: str) -> None:
    parameter = declared()[setting].text
    given = templates()["resources.bicep"].of("module")["functionApp"].value["params"][parameter]
    assert given == Expression(f"eventHubs.outputs.{parameter}")


def test_the_app_runs_on_flex_consumption_with_the_python_that_it_is_tested_on() -> None:
    config = _site()["functionAppConfig"]
    assert config["runtime"] == {"name": "python", "version": "3.13"}
    assert module("function-app").of("resource")["plan"].value["sku"] == {
        "name": "FC1",
        "tier": "FlexConsumption",
    }
    assert config["deployment"]["storage"]["authentication"]["type"] == "UserAssignedIdentity"
    assert config["scaleAndConcurrency"]["triggers"]["http"] == {
        "perInstanceConcurrency": Expression("httpConcurrency")
    }


def test_only_encrypted_connections_are_taken_and_no_file_transfer() -> None:
    site = _site()
    assert site["httpsOnly"] is True
    assert site["siteConfig"]["minTlsVersion"] == "1.2"
    assert site["siteConfig"]["ftpsState"] == "Disabled"


def test_health_is_asked_from_outside_since_the_platform_does_not() -> None:
    call = templates()["resources.bicep"].of("module")["availability"]
    assert call.condition == "availabilityTest"
    assert call.value["params"]["url"] == Expression("'${functionApp.outputs.uri}/health'")
    rules = module("availability").of("resource")["test"].value["properties"]
    assert rules["ValidationRules"]["ExpectedHttpStatusCode"] == 200


def _site() -> dict[str, Any]:
    properties = module("function-app").of("resource")["app"].value["properties"]
    assert isinstance(properties, dict)
    return properties


def _files() -> list[Any]:
    return [template.path for template in templates().values()]
