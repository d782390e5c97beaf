"""Where models of the native lane are called, for every way in which an endpoint may be written."""

from typing import Any

import pytest

from shared.catalog.documents import Model, parse_document
from shared.providers.addresses import listing_address, operation_address

ROOT = "https://some.openai.azure.com"
DATE = "2024-10-21"
CHAT = "chat/completions"


def model(model_type: str, code: str = "gpt-4o", **parameters: Any) -> Model:
    providers = {"OpenAINative": "OpenAI", "AzureOpenAI": "Azure", "AzureFoundry": "Azure"}
    document, _ = parse_document(
        {
            "id": "m",
            "code": code,
            "provider": providers.get(model_type, model_type),
            "model_type": model_type,
            "operations": ["ChatCompletion"],
            "parameters": {"secret_name": "key", **parameters},
        },
        strict=True,
    )
    assert isinstance(document, Model)
    return document


@pytest.mark.parametrize(
    ("endpoint", "base"),
    [
        (None, "https://api.openai.com/v1"),
        ("https://relay.example.com", "https://relay.example.com/v1"),
        ("https://relay.example.com/", "https://relay.example.com/v1"),
        ("https://relay.example.com/v1", "https://relay.example.com/v1"),
        ("https://relay.example.com/v1///", "https://relay.example.com/v1"),
        ("https://relay.example.com/api/openai", "https://relay.example.com/api/openai"),
        ("http://127.0.0.1:8000", "http://127.0.0.1:8000/v1"),
        ("https://[2001:db8::1]:8443", "https://[2001:db8::1]:8443/v1"),
    ],
)
@pytest.mark.parametrize("model_type", ["OpenAINative", "OpenAICompatible"])
def test_openais_paths_lie_below_the_endpoints_path_or_v1(
    model_type: str, endpoint: str | None, base: str
) -> None:
    if endpoint is None and model_type == "OpenAICompatible":
        return
    asked = model(model_type, **({"endpoint": endpoint} if endpoint else {}))
    for path in (CHAT, "completions", "embeddings", "audio/speech"):
        assert operation_address(asked, path) == f"{base}/{path}"
    assert listing_address(asked) == f"{base}/models"


@pytest.mark.parametrize("endpoint", [ROOT, ROOT + "/", ROOT + "/openai", ROOT + "/openai/"])
@pytest.mark.parametrize("model_type", ["AzureOpenAI", "AzureFoundry"])
def test_a_dated_version_asks_for_the_deployments_own_address(model_type: str, endpoint: str) -> None:
    asked = model(model_type, endpoint=endpoint, api_version=DATE)
    assert operation_address(asked, CHAT) == f"{ROOT}/openai/deployments/gpt-4o/{CHAT}?api-version={DATE}"
    assert listing_address(asked) == f"{ROOT}/openai/models?api-version={DATE}"


@pytest.mark.parametrize("endpoint", [ROOT, ROOT + "/", ROOT + "/openai", ROOT + "/openai/v1/"])
@pytest.mark.parametrize("version", [None, "v1", "preview", "latest"])
def test_without_a_date_the_v1_addresses_are_asked(endpoint: str, version: str | None) -> None:
    asked = model("AzureOpenAI", endpoint=endpoint, **({"api_version": version} if version else {}))
    assert operation_address(asked, CHAT) == f"{ROOT}/openai/v1/{CHAT}"
    assert listing_address(asked) == f"{ROOT}/openai/v1/models"


def test_an_endpoint_that_ends_in_v1_stays_v1_whatever_the_version() -> None:
    asked = model("AzureOpenAI", endpoint=ROOT + "/openai/v1", api_version=DATE)
    assert operation_address(asked, CHAT) == f"{ROOT}/openai/v1/{CHAT}"
    assert listing_address(asked) == f"{ROOT}/openai/v1/models"


def test_the_deployments_name_wins_over_the_code() -> None:
    asked = model("AzureOpenAI", endpoint=ROOT, api_version=DATE, deployment_name="team.gpt_4o-eu")
    assert f"/deployments/team.gpt_4o-eu/{CHAT}?" in operation_address(asked, CHAT)


@pytest.mark.parametrize("endpoint", ["https://some.services.ai.azure.com/models", ROOT + "/models/"])
def test_foundrys_model_inference_address_has_no_deployment_in_it(endpoint: str) -> None:
    asked = model("AzureFoundry", "DeepSeek-V3", endpoint=endpoint, api_version="2024-05-01-preview")
    base = endpoint.rstrip("/")
    assert operation_address(asked, CHAT) == f"{base}/{CHAT}?api-version=2024-05-01-preview"
    assert listing_address(asked) == f"{base}?api-version=2024-05-01-preview"


def test_foundrys_v1_endpoint_of_a_project_keeps_its_path() -> None:
    endpoint = "https://some.services.ai.azure.com/api/projects/one/openai/v1"
    assert operation_address(model("AzureFoundry", endpoint=endpoint), CHAT) == f"{endpoint}/{CHAT}"


def test_a_deployments_code_cannot_leave_its_place_in_the_path() -> None:
    asked = model("AzureFoundry", "../../x?y#z/ä", endpoint=ROOT, api_version=DATE)
    address = operation_address(asked, CHAT)
    assert address == f"{ROOT}/openai/deployments/..%2F..%2Fx%3Fy%23z%2F%C3%A4/{CHAT}?api-version={DATE}"
