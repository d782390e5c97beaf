"""Signs of life on the LiteLLM lane, which cost nothing and never import litellm."""

import subprocess
import sys

import pytest

from shared.errors import (
    ProviderCredentialRefused,
    ProviderServerError,
    ProviderUnavailable,
    ProviderUnreachable,
)
from tests.unit.providers.lane import EMAIL, KEY, Lane
from tests.upstreams.anthropic import anthropic_error
from tests.upstreams.behaviours import HangUp
from tests.upstreams.google import google_error


async def test_vertex_is_probed_by_a_login(lane: Lane) -> None:
    assert await lane.provider.probe(lane.model("GoogleVertex", "gemini-2.5-flash"))

    assert [request.path for request in lane.login.requests] == ["/token"]
    assert lane.google.requests == []


async def test_a_refused_login_is_a_credential_of_ours(lane: Lane) -> None:
    lane.secrets.texts["account"] = lane.secrets.texts["account"].replace(EMAIL, "stranger@nowhere.invalid")
    with pytest.raises(ProviderCredentialRefused):
        await lane.provider.probe(lane.model("GoogleVertexClaude", "opus-4-1"))


async def test_a_secret_that_is_no_service_account_makes_the_model_unavailable(lane: Lane) -> None:
    for text in ("not even json", "[]", "{}"):
        lane.secrets.texts["account"] = text
        with pytest.raises(ProviderUnavailable) as caught:
            await lane.provider.probe(lane.model("GoogleVertex", "gemini-2.5-flash"))
        assert text not in caught.value.message


async def test_anthropic_is_probed_by_listing_models(lane: Lane) -> None:
    assert await lane.provider.probe(lane.model("AnthropicNative", "sonnet-4-5"))

    request = lane.anthropic.requests[-1]
    assert (request.method, request.path) == ("GET", "/v1/models")
    assert request.headers["x-api-key"] == KEY


async def test_gemini_is_probed_by_listing_models(lane: Lane) -> None:
    assert await lane.provider.probe(lane.model("GoogleGemini", "gemini-2.5-flash"))

    request = lane.google.requests[-1]
    assert (request.method, request.path) == ("GET", "/v1beta/models")
    assert request.headers["x-goog-api-key"] == KEY


async def test_a_native_type_on_this_lane_is_probed_as_on_its_own(lane: Lane) -> None:
    assert await lane.provider.probe(lane.model("AzureOpenAI", "gpt-4o", api_version="2024-10-21"))

    assert lane.openai.requests[-1].method == "GET"
    assert lane.openai.requests[-1].path == "/openai/models"


async def test_a_provider_without_a_free_question_says_so(lane: Lane) -> None:
    model = lane.model("LiteLLM", "cohere/command-r", endpoint=None, lane=None)
    assert not await lane.provider.probe(model)


async def test_a_sick_provider_fails_its_probe(lane: Lane) -> None:
    lane.anthropic.script(anthropic_error(529, "overloaded_error", "Overloaded"), HangUp(), HangUp())
    lane.google.script(google_error(401, "UNAUTHENTICATED", f"API key {KEY} not valid."))
    with pytest.raises(ProviderServerError):
        await lane.provider.probe(lane.model("AnthropicNative", "sonnet-4-5"))
    with pytest.raises(ProviderUnreachable):
        await lane.provider.probe(lane.model("AnthropicNative", "sonnet-4-5"))
    with pytest.raises(ProviderCredentialRefused) as caught:
        await lane.provider.probe(lane.model("GoogleGemini", "gemini-2.5-flash"))
    assert KEY not in caught.value.message


def test_the_lane_is_imported_without_litellm_or_google() -> None:
    code = (
        "import sys, shared.providers.litellm_lane.provider; "
        "heavy = {'litellm', 'openai', 'google.auth', 'aiohttp', 'httpx'} & sys.modules.keys(); "
        "print(sorted(heavy))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
