"""Which body fields travel on, steer, or are refused."""

import inspect

import pytest

from shared import Json
from shared.errors import UnsupportedParameter
from shared.wire.litellm_names import LITELLM_NAMES
from shared.wire.parameters import (
    OPENAI_PARAMETERS,
    STEERING,
    body_headers,
    check_names,
    forwarded_body,
    refused_parameter,
    storage_addresses,
)

REFUSED = (
    "api_base base_url api_key api_version organization proxy ssl_verify azure_ad_token vertex_project "
    "vertex_credentials vertex_location aws_access_key_id aws_region_name extra_body deployment_id models route "
    "model_list mock_response custom_llm_provider litellm_params _litellm_anything"
).split()
FORWARDED = (
    "top_k thinking cache_control safety_settings input_type stability cfg_scale min_p guided_json".split()
)


@pytest.mark.parametrize("name", REFUSED)
def test_what_chooses_an_address_or_a_credential_is_refused(name: str) -> None:
    with pytest.raises(UnsupportedParameter) as caught:
        check_names({"model": "m", name: "x"})
    assert caught.value.param == name
    assert caught.value.code == "unsupported_parameter"


@pytest.mark.parametrize("name", [*FORWARDED, *sorted(OPENAI_PARAMETERS)])
def test_a_providers_own_parameter_travels_on(name: str) -> None:
    body = {name: 1}
    check_names(body)
    assert forwarded_body(body) == body


def test_every_name_that_litellm_keeps_for_itself_is_refused() -> None:
    """Walks the installed LiteLLM's own list and the arguments of its functions."""
    litellm = pytest.importorskip("litellm")
    names = set(litellm.types.utils.all_litellm_params)
    for name in names - OPENAI_PARAMETERS - STEERING - {"headers", "extra_headers"}:
        assert refused_parameter(name), name
    providers = {"thinking", "include_server_side_tool_invocations"}
    arguments = {
        name
        for function in (litellm.acompletion, litellm.atext_completion)
        for name, parameter in inspect.signature(function).parameters.items()
        if parameter.kind not in (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL)
    }
    for name in arguments - OPENAI_PARAMETERS - STEERING - providers - {"extra_headers"}:
        assert refused_parameter(name), name


def test_the_frozen_copy_holds_no_name_of_openai_by_accident() -> None:
    assert LITELLM_NAMES & OPENAI_PARAMETERS == {"metadata"}


def test_steering_fields_are_allowed_and_not_forwarded() -> None:
    body: Json = {"model": "m", **dict.fromkeys(STEERING), "headers": {"anthropic-beta": "x"}, "top_k": 3}
    check_names(body)
    assert forwarded_body(body) == {"model": "m", "top_k": 3}


def test_a_body_may_name_only_the_headers_that_travel_on() -> None:
    body: Json = {
        "extra_headers": {"Anthropic-Beta": "a", "OpenAI-Beta": "b"},
        "headers": {"traceparent": "c"},
    }
    check_names(body)
    assert body_headers(body) == {"anthropic-beta": "a", "openai-beta": "b", "traceparent": "c"}
    for name, value in (
        ("Authorization", "x"),
        ("x-api-key", "x"),
        ("anthropic-beta", "a\r\nb"),
        ("openai-beta", 1),
    ):
        with pytest.raises(UnsupportedParameter):
            check_names({"headers": {name: value}})
    with pytest.raises(UnsupportedParameter):
        check_names({"headers": "anthropic-beta: x"})


def test_storage_addresses_are_found_wherever_they_are_not_text() -> None:
    body: Json = {
        "messages": [
            {"role": "user", "content": "gs://in/plain/text"},
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "gs://in/a/part"},
                    {"type": "image_url", "image_url": {"url": "GS://bucket/image.png"}},
                    {"type": "image_url", "image_url": " gs://bucket/padded.png"},
                    {"type": "file", "file": {"file_id": "gs://bucket/file.pdf"}},
                ],
            },
        ],
        "cached_content": "gs://bucket/cache",
    }
    assert list(storage_addresses(body)) == [
        "messages[1].content[1].image_url.url",
        "messages[1].content[2].image_url",
        "messages[1].content[3].file.file_id",
        "cached_content",
    ]
