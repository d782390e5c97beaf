"""What the upstream of each model type receives through the LiteLLM lane: address, credential, body."""

import asyncio
from dataclasses import replace
from typing import Any

import orjson
import pytest

from shared.errors import InvalidValue, ProviderUnavailable, UnsupportedParameter
from shared.providers.calls import Call
from shared.providers.credentials import COGNITIVE_SERVICES_SCOPE
from shared.providers.litellm_lane.arguments import credentials
from tests.unit.providers.lane import CITY, EMAIL, KEY, PIXEL, QUESTION, WEATHER, Lane
from tests.upstreams.google_login import token_of

VERTEX = "/v1/projects/some-project/locations/us-central1"
OPENAPI = f"{VERTEX}/endpoints/openapi/chat/completions"
PUBLISHERS = f"{VERTEX}/publishers"

FORMS = [
    (
        "GoogleVertex",
        ("gemini-2.5-flash", "google/gemini-2.5-flash"),
        f"{PUBLISHERS}/google/models/gemini-2.5-flash:generateContent",
        None,
    ),
    ("GoogleVertex", ("1234567890",), f"{VERTEX}/endpoints/1234567890:generateContent", None),
    (
        "GoogleVertexClaude",
        ("opus-4-1", "claude-opus-4-1", "anthropic/claude-opus-4-1"),
        f"{PUBLISHERS}/anthropic/models/claude-opus-4-1:rawPredict",
        None,
    ),
    (
        "GoogleVertexMeta",
        ("3.3-70b-instruct-maas", "llama-3.3-70b-instruct-maas", "meta/llama-3.3-70b-instruct-maas"),
        OPENAPI,
        "meta/llama-3.3-70b-instruct-maas",
    ),
    (
        "GoogleVertexDeepSeek",
        ("v3.1-maas", "deepseek-v3.1-maas", "deepseek-ai/deepseek-v3.1-maas"),
        OPENAPI,
        "deepseek-ai/deepseek-v3.1-maas",
    ),
    (
        "GoogleVertexQwen",
        ("qwen3-coder-480b-a35b-instruct-maas", "qwen/qwen3-coder-480b-a35b-instruct-maas"),
        None,
        "qwen/qwen3-coder-480b-a35b-instruct-maas",
    ),
    (
        "GoogleVertexOpenAI",
        ("120b-maas", "gpt-oss-120b-maas", "openai/gpt-oss-120b-maas"),
        OPENAPI,
        "openai/gpt-oss-120b-maas",
    ),
    (
        "GoogleVertexMistral",
        ("medium-3", "mistral-medium-3", "mistralai/mistral-medium-3"),
        f"{PUBLISHERS}/mistralai/models/mistral-medium-3:rawPredict",
        "mistral-medium-3",
    ),
    (
        "GoogleVertexMistral",
        ("codestral-2501", "mistralai/codestral-2501"),
        f"{PUBLISHERS}/mistralai/models/codestral-2501:rawPredict",
        "codestral-2501",
    ),
    (
        "GoogleVertexJamba",
        ("1.5-large", "jamba-1.5-large", "ai21/jamba-1.5-large"),
        "/v1beta1/projects/some-project/locations/us-central1/publishers/ai21/models/jamba-1.5-large:rawPredict",
        "jamba-1.5-large",
    ),
]


@pytest.mark.parametrize(("model_type", "codes", "path", "model"), FORMS)
async def test_every_form_of_a_vertex_code_reaches_the_same_model(
    lane: Lane, model_type: str, codes: tuple[str, ...], path: str | None, model: str | None
) -> None:
    for code in codes:
        answer = await lane.send(lane.model(model_type, code))

        received = lane.google.requests[-1]
        assert path is None or received.path == path
        assert received.path.endswith(
            (":generateContent", ":rawPredict", "/endpoints/openapi/chat/completions")
        )
        assert received.body.get("model") == model
        assert received.headers["authorization"] == f"Bearer {token_of(EMAIL)}"
        assert answer.content["choices"][0]["message"]["content"] == lane.google.text
        assert answer.usage is not None
        assert answer.usage.total > 0


async def test_a_location_of_the_catalog_is_part_of_the_address(lane: Lane) -> None:
    await lane.send(lane.model("GoogleVertex", "gemini-2.5-flash", location="europe-west4"))

    assert lane.google.requests[-1].path.startswith("/v1/projects/some-project/locations/europe-west4/")


async def test_anthropic_gets_its_own_format_and_key(lane: Lane) -> None:
    answer = await lane.send(lane.model("AnthropicNative", "sonnet-4-5"), max_tokens=50, top_k=3)

    received = lane.anthropic.requests[-1]
    assert received.path == "/v1/messages"
    assert received.headers["x-api-key"] == KEY
    assert received.body["model"] == "claude-sonnet-4-5"
    assert received.body["max_tokens"] == 50
    assert received.body["top_k"] == 3
    assert answer.content["model"] == "claude-sonnet-4-5"


async def test_gemini_gets_its_own_format_and_key_in_a_header(lane: Lane) -> None:
    await lane.send(lane.model("GoogleGemini", "gemini-2.5-flash"), temperature=0.5)

    received = lane.google.requests[-1]
    assert received.path == "/v1beta/models/gemini-2.5-flash:generateContent"
    assert received.headers["x-goog-api-key"] == KEY
    assert KEY not in str(received.query)
    assert received.body["generationConfig"]["temperature"] == 0.5


@pytest.mark.parametrize(
    ("parameters", "path", "query"),
    [
        (
            {"api_version": "2024-10-21"},
            "/openai/deployments/gpt-4o/chat/completions",
            {"api-version": "2024-10-21"},
        ),
        (
            {"api_version": "2024-10-21", "deployment_name": "blue"},
            "/openai/deployments/blue/chat/completions",
            {"api-version": "2024-10-21"},
        ),
        ({}, "/openai/v1/chat/completions", {}),
    ],
)
async def test_azure_openai_by_litellm(
    lane: Lane, parameters: dict[str, str], path: str, query: dict[str, str]
) -> None:
    await lane.send(lane.model("AzureOpenAI", "gpt-4o", **parameters))

    received = lane.openai.requests[-1]
    assert (received.path, received.query) == (path, query)
    # The v1 addresses take the key as a bearer token too, as OpenAI's client sends it.
    assert KEY in (received.headers.get("api-key"), received.headers.get("authorization", "")[7:])


async def test_foundry_by_litellm_uses_the_v1_address(lane: Lane) -> None:
    await lane.send(lane.model("AzureFoundry", "DeepSeek-V3"))

    received = lane.openai.requests[-1]
    assert received.path == "/openai/v1/chat/completions"
    assert received.body["model"] == "DeepSeek-V3"
    assert KEY in (received.headers.get("api-key", "") + received.headers.get("authorization", ""))


async def test_openai_and_compatible_servers_by_litellm(lane: Lane) -> None:
    for model_type in ("OpenAINative", "OpenAICompatible"):
        await lane.send(lane.model(model_type, "gpt-4o"))

        received = lane.openai.requests[-1]
        assert received.path == "/v1/chat/completions"
        assert received.headers["authorization"] == f"Bearer {KEY}"
        assert received.body == {"model": "gpt-4o", "messages": QUESTION}


async def test_a_compatible_server_without_a_key_gets_none_of_the_environment(
    lane: Lane, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "fake-key-of-the-environment")
    await lane.send(lane.model("OpenAICompatible", "local", secret_name=None))

    assert lane.openai.requests[-1].headers["authorization"] == "Bearer none"


async def test_any_provider_that_litellm_knows_can_be_named(lane: Lane) -> None:
    model = lane.model(
        "LiteLLM",
        "xai/grok-4",
        endpoint=lane.openai.url + "/v1",
        lane=None,
        secret_name=None,
        litellm_secrets={"api_key": "key"},
    )
    answer = await lane.send(model)

    received = lane.openai.requests[-1]
    assert received.path == "/v1/chat/completions"
    assert received.headers["authorization"] == f"Bearer {KEY}"
    assert received.body["model"] == "grok-4"
    assert answer.content["choices"][0]["finish_reason"] == "stop"


async def test_a_missing_secret_makes_the_model_unavailable(lane: Lane) -> None:
    for model_type, code in (("AnthropicNative", "sonnet-4-5"), ("GoogleVertex", "gemini-2.5-flash")):
        with pytest.raises(ProviderUnavailable):
            await lane.send(lane.model(model_type, code, secret_name="absent"))


async def test_calls_at_the_same_time_never_mix_credentials(lane: Lane) -> None:
    expected: dict[str, str] = {}
    calls = []
    for number in range(6):
        for model_type, code in (
            ("OpenAINative", "gpt-4o"),
            ("AzureOpenAI", "gpt-4o"),
            ("AnthropicNative", "sonnet-4-5"),
            ("GoogleGemini", "gemini-2.5-flash"),
            ("GoogleVertexMeta", "llama-3.3-70b-instruct-maas"),
        ):
            name = f"{model_type}-{number}"
            secret = f"fake-secret-of-{name}"
            if model_type.startswith("GoogleVertex"):
                secret = lane.login.service_account(f"{name.lower()}@some-project.iam.gserviceaccount.com")
            lane.secrets.texts[name] = secret
            shown = token_of(f"{name.lower()}@some-project.iam.gserviceaccount.com")
            expected[name] = shown if model_type.startswith("GoogleVertex") else secret
            question = [{"role": "user", "content": name}]
            calls.append(lane.send(lane.model(model_type, code, secret_name=name), messages=question))
    await asyncio.gather(*calls)

    received = [*lane.openai.requests, *lane.anthropic.requests, *lane.google.requests]
    assert len(received) == len(expected)
    for request in received:
        name = next(name for name in expected if f'"{name}"'.encode() in request.raw)
        carried = [
            request.headers.get(header, "")
            for header in ("authorization", "api-key", "x-api-key", "x-goog-api-key")
        ]
        assert {text.removeprefix("Bearer ") for text in carried if text} == {expected[name]}


async def test_the_identity_of_the_app_is_used_where_the_catalog_says_so(lane: Lane) -> None:
    host = "https://some-account.openai.azure.com"
    model = lane.model("AzureOpenAI", "gpt-4o", endpoint=host, auth="managed_identity")
    values, secrets = await credentials(model, lane.secrets, lane.tokens)

    assert values == {"api_base": host, "api_version": "v1", "azure_ad_token": "fake-identity-token"}
    assert secrets == ["fake-identity-token"]
    assert lane.tokens.scopes == [COGNITIVE_SERVICES_SCOPE]


async def test_the_identity_of_the_app_never_goes_to_another_host(lane: Lane) -> None:
    model = lane.model("AzureOpenAI", "gpt-4o")
    parameters = model.parameters.model_copy(update={"secret_name": None, "auth": "managed_identity"})
    with pytest.raises(ProviderUnavailable):
        await lane.send(model.model_copy(update={"parameters": parameters}))

    assert lane.openai.requests == []
    assert lane.tokens.scopes == []


async def test_headers_of_the_call_and_of_the_catalog_travel_on(lane: Lane) -> None:
    for model_type, code, upstream in (
        ("OpenAINative", "gpt-4o", lane.openai),
        ("AnthropicNative", "sonnet-4-5", lane.anthropic),
        ("GoogleVertex", "gemini-2.5-flash", lane.google),
    ):
        model = lane.model(model_type, code, extra_headers={"x-team": "blue"})
        body = {"model": "m", "messages": QUESTION}
        await lane.provider.send(
            Call("ChatCompletion", "chat/completions", model, body, headers={"traceparent": "00-1-2-01"})
        )

        headers = upstream.requests[-1].headers
        assert headers["x-team"] == "blue"
        assert headers["traceparent"] == "00-1-2-01"


async def test_betas_of_the_caller_and_those_that_litellm_needs_travel_together(lane: Lane) -> None:
    for model_type, upstream in (("AnthropicNative", lane.anthropic), ("GoogleVertexClaude", lane.google)):
        call = lane.call(lane.model(model_type, "sonnet-4-5"), response_format=CITY)
        await lane.provider.send(replace(call, headers={"anthropic-beta": "context-1m-2025-08-07"}))

        assert "context-1m-2025-08-07" in upstream.requests[-1].headers["anthropic-beta"]
    assert "structured-outputs" in lane.anthropic.requests[-1].headers["anthropic-beta"]


async def test_the_callers_body_is_left_as_it_was(lane: Lane) -> None:
    body: dict[str, Any] = {
        "messages": [
            {"role": "system", "content": "Be short."},
            {"role": "user", "content": [{"type": "text", "text": "Hi"}]},
        ],
        "tools": [WEATHER],
        "stop": ["END"],
    }
    for model_type, code in (("AnthropicNative", "sonnet-4-5"), ("GoogleVertex", "gemini-2.5-flash")):
        before = orjson.dumps(body)
        await lane.send(lane.model(model_type, code), **body)
        assert orjson.dumps(body) == before


@pytest.mark.parametrize(
    ("model_type", "code", "refused"),
    [
        ("AnthropicNative", "sonnet-4-5", {"seed": 7}),
        ("AnthropicNative", "sonnet-4-5", {"n": 2}),
        ("GoogleVertexMistral", "mistral-medium-3", {"n": 2}),
    ],
)
async def test_what_would_change_the_meaning_is_refused_and_not_dropped(
    lane: Lane, model_type: str, code: str, refused: dict[str, Any]
) -> None:
    with pytest.raises(UnsupportedParameter) as caught:
        await lane.send(lane.model(model_type, code), **refused)

    assert caught.value.param == next(iter(refused))
    assert not lane.anthropic.requests
    assert not lane.google.requests


async def test_what_is_dropped_is_named(lane: Lane) -> None:
    body = {"logit_bias": {"1": 2}, "store": True, "metadata": {"team": "blue"}, "n": 1, "tools": []}
    plain = await lane.send(lane.model("AnthropicNative", "sonnet-4-5"), **body)
    told = await lane.tell(lane.model("AnthropicNative", "sonnet-4-5"), **body)

    assert set(plain.dropped) == set(told.dropped) == {"logit_bias", "store", "metadata"}
    sent = lane.anthropic.requests[0].body
    assert not {"logit_bias", "store", "n"} & sent.keys()


EVERYTHING: dict[str, Any] = {
    "temperature": 0.3,
    "top_p": 0.7,
    "max_tokens": 55,
    "presence_penalty": 0.1,
    "frequency_penalty": 0.2,
    "logit_bias": {"123": 7},
    "user": "someone",
    "stop": ["END"],
    "seed": 7,
    "n": 2,
    "logprobs": True,
    "top_logprobs": 3,
    "tools": [WEATHER],
    "tool_choice": "required",
    "parallel_tool_calls": False,
    "response_format": CITY,
    "reasoning_effort": "low",
    "verbosity": "low",
    "store": True,
    "metadata": {"team": "blue"},
    "service_tier": "flex",
    "prompt_cache_key": "some-key",
    "prompt_cache_retention": "24h",
    "safety_identifier": "some-id",
    "prediction": {"type": "content", "content": "The fox"},
    "modalities": ["text", "audio"],
    "audio": {"voice": "alloy", "format": "mp3"},
    "web_search_options": {"search_context_size": "low"},
    "functions": [{"name": "old", "parameters": {"type": "object", "properties": {}}}],
    "function_call": "auto",
    "top_k": 31,
    "thinking": {"type": "enabled", "budget_tokens": 1024},
    "min_p": 0.05,
    "safety_settings": [{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "BLOCK_NONE"}],
    "cache_control": {"type": "ephemeral"},
    "unheard_of": "some-value",
}
BESIDE: dict[str, dict[str, Any]] = {
    "tool_choice": {"tools": [WEATHER]},
    "parallel_tool_calls": {"tools": [WEATHER]},
    "top_logprobs": {"logprobs": True},
}
"""What must stand beside a parameter for it to mean something."""


@pytest.mark.parametrize(
    ("model_type", "code"),
    [
        ("OpenAINative", "gpt-5-mini"),
        ("AzureOpenAI", "gpt-4o"),
        ("AzureFoundry", "DeepSeek-V3"),
        ("OpenAICompatible", "local"),
        ("AnthropicNative", "sonnet-4-5"),
        ("GoogleGemini", "gemini-2.5-flash"),
        ("GoogleVertex", "gemini-2.5-pro"),
        ("GoogleVertexClaude", "opus-4-1"),
        ("GoogleVertexMeta", "llama-3.3-70b-instruct-maas"),
        ("GoogleVertexMistral", "mistral-medium-3"),
        ("GoogleVertexMistral", "codestral-2501"),
        ("GoogleVertexJamba", "jamba-1.5-large"),
    ],
)
async def test_no_parameter_is_lost_in_silence(lane: Lane, model_type: str, code: str) -> None:
    model = lane.model(model_type, code)
    upstreams = (lane.openai, lane.anthropic, lane.google)

    async def sent(**body: Any) -> tuple[bytes, tuple[str, ...]]:
        before = [len(upstream.requests) for upstream in upstreams]
        answer = await lane.send(model, **body)
        raw = next(
            upstream.requests[-1].raw
            for upstream, count in zip(upstreams, before, strict=True)
            if len(upstream.requests) > count
        )
        return raw, answer.dropped

    lost = []
    for name, value in EVERYTHING.items():
        beside = BESIDE.get(name, {})
        try:
            raw, dropped = await sent(**beside, **{name: value})
        except (UnsupportedParameter, InvalidValue):
            continue
        if name not in dropped and raw == (await sent(**beside))[0]:
            lost.append(name)
    assert lost == []


async def test_on_openais_format_all_parameters_arrive_unchanged_nulls_too(lane: Lane) -> None:
    body = {**EVERYTHING, "temperature": None, "n": 1}
    await lane.send(lane.model("OpenAINative", "gpt-5-mini"), **body)

    assert lane.openai.requests[-1].body == {"model": "gpt-5-mini", "messages": QUESTION, **body}


@pytest.mark.parametrize(
    "name", ["api_base", "api_key", "vertex_credentials", "mock_response", "extra_body", "aws_x"]
)
async def test_a_name_that_litellm_keeps_for_itself_never_gets_there(lane: Lane, name: str) -> None:
    with pytest.raises(UnsupportedParameter) as caught:
        await lane.send(lane.model("OpenAINative", "gpt-4o"), **{name: "http://127.0.0.1:9"})
    assert caught.value.param == name


async def test_tools_are_refused_where_the_catalog_switches_them_off(lane: Lane) -> None:
    with pytest.raises(UnsupportedParameter) as caught:
        await lane.send(lane.model("GoogleVertex", "gemini-2.5-flash", enable_tools=False), tools=[WEATHER])
    assert caught.value.param == "tools"


async def test_images_reach_each_provider_in_its_own_format(lane: Lane) -> None:
    picture = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PIXEL}"}}
    messages = [{"role": "user", "content": [{"type": "text", "text": "What is this?"}, picture]}]

    await lane.send(lane.model("AnthropicNative", "sonnet-4-5"), messages=messages)
    block = lane.anthropic.requests[-1].body["messages"][0]["content"][1]
    assert block["type"] == "image"
    assert block["source"] == {"type": "base64", "media_type": "image/png", "data": PIXEL}

    await lane.send(lane.model("GoogleVertex", "gemini-2.5-flash"), messages=messages)
    part = lane.google.requests[-1].body["contents"][0]["parts"][1]
    assert part["inline_data"] == {"mime_type": "image/png", "data": PIXEL}

    await lane.send(lane.model("OpenAINative", "gpt-4o"), messages=messages)
    assert lane.openai.requests[-1].body["messages"] == messages


async def test_an_image_at_a_private_address_is_not_fetched_by_the_proxy(lane: Lane) -> None:
    picture = {"type": "image_url", "image_url": {"url": lane.openai.url + "/v1/models"}}
    messages = [{"role": "user", "content": [{"type": "text", "text": "What is this?"}, picture]}]
    with pytest.raises(InvalidValue):
        await lane.send(lane.model("GoogleGemini", "gemini-2.5-flash"), messages=messages)
    assert lane.openai.requests == []


@pytest.mark.parametrize(
    ("model_type", "code"),
    [
        ("AnthropicNative", "sonnet-4-5"),
        ("AnthropicNative", "3-haiku-20240307"),
        ("GoogleGemini", "gemini-2.5-flash"),
        ("GoogleVertex", "gemini-2.5-flash"),
        ("GoogleVertexClaude", "opus-4-1"),
        ("GoogleVertexMeta", "llama-3.3-70b-instruct-maas"),
        ("GoogleVertexMistral", "mistral-medium-3"),
        ("GoogleVertexMistral", "codestral-2501"),
        ("GoogleVertexJamba", "jamba-1.5-large"),
        ("AzureFoundry", "DeepSeek-V3"),
    ],
)
async def test_tools_and_json_schemas_work_plain_and_streamed(lane: Lane, model_type: str, code: str) -> None:
    model = lane.model(model_type, code)

    plain = (await lane.send(model, tools=[WEATHER])).content["choices"][0]
    assert plain["finish_reason"] == "tool_calls"
    call = plain["message"]["tool_calls"][0]
    assert call["type"] == "function"
    assert call["id"]
    assert call["function"]["name"] == "weather"
    assert orjson.loads(call["function"]["arguments"]) == {"city": "Paris"}

    told = await lane.tell(model, tools=[WEATHER])
    assert told.finish_reasons == ["tool_calls"]
    assert told.tool_calls[0]["function"]["name"] == "weather"
    assert told.tool_calls[0]["id"]
    assert {call["index"] for call in told.tool_calls} == {0}
    assert orjson.loads(told.arguments) == {"city": "Paris"}

    shaped = (await lane.send(model, response_format=CITY)).content["choices"][0]
    assert orjson.loads(shaped["message"]["content"]) == {"city": "Paris"}
    assert shaped["finish_reason"] == "stop"

    told = await lane.tell(model, response_format=CITY)
    assert orjson.loads(told.text) == {"city": "Paris"}
    assert told.finish_reasons == ["stop"]
    assert told.done


async def test_thinking_of_anthropics_is_kept_as_reasoning(lane: Lane) -> None:
    body = {"thinking": {"type": "enabled", "budget_tokens": 1024}, "max_tokens": 2048}
    model = lane.model("AnthropicNative", "sonnet-4-5")

    plain = (await lane.send(model, **body)).content["choices"][0]["message"]
    assert plain["reasoning_content"] == lane.anthropic.thinking
    assert "provider_specific_fields" not in plain

    told = await lane.tell(model, **body)
    deltas = [choice["delta"] for chunk in told.chunks for choice in chunk["choices"]]
    assert "".join(delta.get("reasoning_content") or "" for delta in deltas) == lane.anthropic.thinking
    assert told.text == lane.anthropic.text
