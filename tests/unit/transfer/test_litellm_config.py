"""A configuration of LiteLLM's proxy becomes a catalog, and all that cannot is said with its line."""

import importlib.util
from pathlib import Path
from typing import Any

import pytest
import yaml

from shared import Json
from shared.catalog.documents import Model, parse_document
from shared.transfer.litellm_config import Conversion, convert
from shared.transfer.litellm_file import NotReadable
from shared.transfer.records import Record

NOW = "2026-01-01T00:00:00.000Z"
KEY = "os.environ/OPENAI_API_KEY"


def converted(content: str | Json, **options: Any) -> Conversion:
    text = content if isinstance(content, str) else yaml.safe_dump(content, sort_keys=False)
    return convert(text.encode(), now=NOW, **options)


def documents(conversion: Conversion) -> dict[str, Json]:
    return {record.id: record.body for _, record in conversion.found if isinstance(record, Record)}


def refusals(conversion: Conversion) -> list[tuple[str, str]]:
    return [(where, reason) for where, reason in conversion.found if isinstance(reason, str)]


def one(params: Json, info: Json | None = None, **options: Any) -> Json:
    """The only model of a file with one entry, none of which is left out."""
    entry: Json = {"model_name": "m", "litellm_params": params}
    if info is not None:
        entry["model_info"] = info
    conversion = converted({"model_list": [entry]}, **options)
    assert refusals(conversion) == []
    assert conversion.remarks == []
    return documents(conversion)["m"]


def refused(params: Json, **options: Any) -> str:
    conversion = converted({"model_list": [{"model_name": "m", "litellm_params": params}]}, **options)
    [(_, reason)] = refusals(conversion)
    assert documents(conversion) == {}
    return reason


def test_a_model_with_its_key_by_name() -> None:
    assert one({"model": "openai/gpt-4o", "api_key": KEY}) == {
        "id": "m",
        "name": "m",
        "code": "gpt-4o",
        "provider": "OpenAI",
        "model_type": "OpenAINative",
        "operations": ["ChatCompletion", "Responses"],
        "parameters": {"secret_name": "OPENAI-API-KEY"},
        "created_at": NOW,
    }


@pytest.mark.parametrize(
    ("params", "model_type", "code"),
    [
        ({"model": "gpt-4o"}, "OpenAINative", "gpt-4o"),
        ({"model": "openai/gpt-4o", "api_base": "https://api.openai.com/v1"}, "OpenAINative", "gpt-4o"),
        ({"model": "text-embedding-3-small"}, "OpenAINative", "text-embedding-3-small"),
        ({"model": "openai/x/y", "api_base": "http://localhost:8000"}, "OpenAICompatible", "x/y"),
        ({"model": "x", "custom_llm_provider": "openai", "api_base": "https://a.example"}, "OpenAICompatible", "x"),
        ({"model": "hosted_vllm/llama", "api_base": "https://a.example/v1"}, "OpenAICompatible", "llama"),
        ({"model": "azure/dep", "api_base": "https://a.openai.azure.com"}, "AzureOpenAI", "dep"),
        ({"model": "azure/o_series/dep", "api_base": "https://a.openai.azure.com"}, "AzureOpenAI", "dep"),
        ({"model": "azure_ai/phi", "api_base": "https://a.services.ai.azure.com"}, "AzureFoundry", "phi"),
        ({"model": "azure_ai/phi", "api_base": "https://a.models.ai.azure.com"}, "LiteLLM", "azure_ai/phi"),
        ({"model": "anthropic/claude-sonnet-4-5"}, "AnthropicNative", "claude-sonnet-4-5"),
        ({"model": "claude-sonnet-4-5"}, "AnthropicNative", "claude-sonnet-4-5"),
        ({"model": "gemini/gemini-2.5-flash"}, "GoogleGemini", "gemini-2.5-flash"),
        ({"model": "vertex_ai/gemini-2.5-pro", "vertex_project": "p"}, "GoogleVertex", "gemini-2.5-pro"),
        ({"model": "vertex_ai/gemini/123", "vertex_project": "p"}, "GoogleVertex", "123"),
        (
            {"model": "vertex_ai/claude-3-opus@20240229", "vertex_project": "p"},
            "GoogleVertexClaude",
            "claude-3-opus@20240229",
        ),
        (
            {"model": "vertex_ai/meta/llama-3.3-70b-instruct-maas", "vertex_project": "p"},
            "GoogleVertexMeta",
            "meta/llama-3.3-70b-instruct-maas",
        ),
        ({"model": "vertex_ai/mistral-medium-3", "vertex_project": "p"}, "GoogleVertexMistral", "mistral-medium-3"),
        ({"model": "vertex_ai/something-else"}, "LiteLLM", "vertex_ai/something-else"),
        ({"model": "bedrock/anthropic.claude-v2"}, "LiteLLM", "bedrock/anthropic.claude-v2"),
        ({"model": "ollama/llama3", "api_base": "http://localhost:11434"}, "LiteLLM", "ollama/llama3"),
        ({"model": "unheard-of"}, "LiteLLM", "unheard-of"),
    ],
)  # fmt: skip
def test_each_provider_becomes_the_model_type_that_calls_it(params: Json, model_type: str, code: str) -> None:
    entry = {"model_name": "m", "litellm_params": {"api_key": "os.environ/A_KEY", **params}}
    conversion = converted({"model_list": [entry]})
    assert refusals(conversion) == []
    found = documents(conversion)["m"]
    assert (found["model_type"], found["code"]) == (model_type, code)


def test_a_mapped_model_goes_by_the_name_that_litellm_was_told() -> None:
    name = "vertex_ai/openai/gpt-oss-120b-maas"
    document, _ = parse_document(one({"model": name, "vertex_project": "p"}), strict=True)
    assert isinstance(document, Model)
    assert document.litellm_name == name


def test_azure_with_all_that_it_has() -> None:
    text = """
model_list:
  - model_name: m
    litellm_params:
      model: azure/my-deployment
      api_base: https://a.openai.azure.com/
      api_key: os.environ/AZURE_KEY
      api_version: 2024-10-21
    model_info:
      base_model: azure/gpt-4o
"""
    found = documents(converted(text))["m"]
    assert found["code"] == "gpt-4o"
    assert found["parameters"] == {
        "endpoint": "https://a.openai.azure.com/",
        "api_version": "2024-10-21",
        "deployment_name": "my-deployment",
        "secret_name": "AZURE-KEY",
    }


def test_another_identity_at_azure_gives_way_to_the_managed_one() -> None:
    params = {
        "model": "azure/dep",
        "api_base": "https://a.openai.azure.com",
        "tenant_id": "os.environ/TENANT",
        "client_secret": "hush-hush",
    }
    conversion = converted({"model_list": [{"model_name": "m", "litellm_params": params}]})
    assert documents(conversion)["m"]["parameters"]["auth"] == "managed_identity"
    assert [where.partition("(")[2] for where, _ in conversion.remarks] == [
        "model_list[0].litellm_params.tenant_id)",
        "model_list[0].litellm_params.client_secret)",
    ]
    assert "hush" not in repr(conversion)


def test_an_entry_without_a_key_takes_the_one_that_litellm_would() -> None:
    assert one({"model": "anthropic/claude-sonnet-4-5"})["parameters"] == {"secret_name": "ANTHROPIC-API-KEY"}


@pytest.mark.parametrize(
    "params",
    [
        {"model": "openai/gpt-4o", "api_key": "hush-hush"},
        {"model": "openai/gpt-4o", "api_key": 12345},
        {"model": "groq/llama", "api_key": "hush-hush"},
        {"model": "bedrock/x", "aws_secret_access_key": "hush-hush"},
        {"model": "vertex_ai/gemini-2.5-pro", "vertex_project": "p", "vertex_credentials": {"private_key": "hush"}},
        {"model": "openai/gpt-4o", "api_key": KEY, "user": "sk-hush-hush-hush-hush"},
    ],
)  # fmt: skip
def test_a_secret_in_the_file_is_never_taken_over_and_never_repeated(params: Json) -> None:
    reason = refused(params)
    assert "secret itself" in reason
    assert "hush" not in reason
    assert "12345" not in reason


def test_a_placeholder_for_a_key_is_no_secret() -> None:
    params = {"model": "openai/x", "api_base": "http://localhost:1", "api_key": "none"}
    conversion = converted({"model_list": [{"model_name": "m", "litellm_params": params}]})
    assert documents(conversion)["m"]["parameters"] == {"endpoint": "http://localhost:1"}
    assert [sentence for _, sentence in conversion.remarks] == ["left out: no key is sent"]


def test_secrets_of_other_providers_are_named_and_listed() -> None:
    params = {
        "model": "bedrock/anthropic.claude-v2",
        "aws_access_key_id": "os.environ/AWS_ID",
        "aws_secret_access_key": "os.environ/AWS_SECRET",
        "aws_region_name": "eu-west-1",
    }
    conversion = converted({"model_list": [{"model_name": "m", "litellm_params": params}]})
    assert documents(conversion)["m"]["parameters"] == {
        "litellm_params": {"aws_region_name": "eu-west-1"},
        "litellm_secrets": {"aws_access_key_id": "AWS-ID", "aws_secret_access_key": "AWS-SECRET"},
    }
    assert conversion.secrets == ["AWS-ID", "AWS-SECRET"]


def test_limits_times_headers_and_defaults() -> None:
    params = {
        "model": "openai/gpt-4o",
        "api_key": KEY,
        "rpm": 60,
        "tpm": "1000",
        "max_parallel_requests": 4,
        "timeout": 30,
        "stream_timeout": 90.5,
        "max_retries": 1,
        "organization": "org-1",
        "extra_headers": {"x-team": "a"},
        "temperature": 0.2,
        "top_k": 5,
    }
    found = one(params)
    assert found["limits"] == {"rpm": 60, "tpm": 1000, "max_parallel": 4}
    assert found["parameters"] == {
        "secret_name": "OPENAI-API-KEY",
        "timeout": 30.0,
        "stream_timeout": 90.5,
        "max_retries": 1,
        "extra_headers": {"OpenAI-Organization": "org-1", "x-team": "a"},
        "default_params": {"temperature": 0.2, "top_k": 5},
    }


def test_prices_abilities_and_notes() -> None:
    info = {
        "input_cost_per_token": "1e-6",
        "output_cost_per_token": 0.000002,
        "cache_read_input_token_cost": 5e-7,
        "supports_vision": True,
        "max_input_tokens": 1000,
        "max_tokens": 100,
        "owner": "search",
    }
    found = one({"model": "openai/gpt-4o", "api_key": KEY}, info)
    assert found["costs"] == {
        "input_cost_per_token": 1e-6,
        "output_cost_per_token": 2e-6,
        "cached_input": 5e-7,
    }
    assert found["capabilities"] == {"vision": True, "max_input_tokens": 1000, "max_output_tokens": 100}
    assert found["metadata"] == {"owner": "search"}


@pytest.mark.parametrize(
    ("mode", "info", "costs"),
    [
        ("embedding", {"input_cost_per_token": 1e-7}, {"input_cost_per_token": 1e-7, "output_cost_per_token": 0.0}),
        ("image_generation", {"output_cost_per_image": 0.04}, {"per_image": 0.04}),
        ("audio_transcription", {"input_cost_per_second": 0.0001}, {"per_minute": 0.006}),
        ("audio_speech", {"input_cost_per_character": 0.000015}, {"per_1M_characters": 15.0}),
    ],
)  # fmt: skip
def test_prices_of_what_is_not_chat(mode: str, info: Json, costs: Json) -> None:
    assert one({"model": "openai/x", "api_key": KEY}, {"mode": mode, **info})["costs"] == costs


@pytest.mark.parametrize(
    ("model", "mode", "operations"),
    [
        ("openai/gpt-4o", None, ["ChatCompletion", "Responses"]),
        ("openai/whatever", "embedding", ["embeddings"]),
        ("openai/text-embedding-3-small", None, ["embeddings"]),
        ("openai/responses/gpt-5", None, ["Responses"]),
        ("openai/x", "realtime", ["audio_realtime"]),
        ("openai/x", "moderation", ["moderations"]),
        ("openai/x", "completion", ["ChatCompletion"]),
    ],
)
def test_the_mode_decides_the_operations(model: str, mode: str | None, operations: list[str]) -> None:
    info = None if mode is None else {"mode": mode}
    assert one({"model": model, "api_key": KEY}, info)["operations"] == operations


def test_variables_stand_for_addresses() -> None:
    params = {"model": "azure/dep", "api_base": "os.environ/BASE", "api_key": KEY}
    found = one(params, variables={"BASE": "https://a.openai.azure.com"})
    assert found["parameters"]["endpoint"] == "https://a.openai.azure.com"
    assert "--variable BASE=" in refused(params)
    own = {
        "model_list": [{"model_name": "m", "litellm_params": params}],
        "environment_variables": {"BASE": "https://b.openai.azure.com", "DB_PASSWORD": "hush"},
    }
    conversion = converted(own)
    assert documents(conversion)["m"]["parameters"]["endpoint"] == "https://b.openai.azure.com"
    assert [where.partition("(")[2] for where, _ in conversion.remarks] == [
        "environment_variables.DB_PASSWORD)"
    ]
    assert "hush" not in repr(conversion)


def test_named_credentials_fill_an_entry() -> None:
    content = {
        "model_list": [
            {"model_name": "m", "litellm_params": {"model": "azure/d", "litellm_credential_name": "eu"}},
            {"model_name": "n", "litellm_params": {"model": "azure/d", "litellm_credential_name": "us"}},
        ],
        "credential_list": [
            {
                "credential_name": "eu",
                "credential_values": {"api_key": "os.environ/EU", "api_base": "https://eu.openai.azure.com"},
            }
        ],
    }
    conversion = converted(content)
    assert documents(conversion)["m"]["parameters"] == {
        "endpoint": "https://eu.openai.azure.com",
        "secret_name": "EU",
    }
    assert [reason for _, reason in refusals(conversion)] == ["credential_list has no such name"]


def several(*params: Json, name: str = "m") -> list[Json]:
    return [
        {"model_name": name, "litellm_params": {"model": "openai/gpt-4o", "api_key": KEY, **each}}
        for each in params
    ]


def test_entries_of_one_name_become_a_group() -> None:
    found = documents(converted({"model_list": several({}, {"model": "openai/gpt-4.1"})}))
    assert list(found) == ["m-1", "m-2", "m"]
    assert found["m"]["members"] == [{"id": "m-1"}, {"id": "m-2"}]
    assert found["m"]["strategy"] == "round-robin"
    assert found["m-2"]["code"] == "gpt-4.1"


@pytest.mark.parametrize(
    ("params", "strategy", "members"),
    [
        ([{"weight": 1}, {"weight": 3}], "weighted", [("m-1", 1), ("m-2", 3)]),
        ([{"rpm": 10}, {"rpm": 30}], "weighted", [("m-1", 10), ("m-2", 30)]),
        ([{"order": 2}, {"order": 1}], "priority", [("m-2", None), ("m-1", None)]),
    ],
)
def test_shares_and_orders_decide_the_strategy(params: list[Json], strategy: str, members: list[Any]) -> None:
    group = documents(converted({"model_list": several(*params)}))["m"]
    assert group["strategy"] == strategy
    assert [(member["id"], member.get("weight")) for member in group["members"]] == members


def test_a_strategy_that_there_is_not_is_said() -> None:
    content = {"model_list": several({}, {}), "router_settings": {"routing_strategy": "usage-based-routing"}}
    conversion = converted(content)
    assert documents(conversion)["m"]["strategy"] == "round-robin"
    [(where, sentence)] = conversion.remarks
    assert "router_settings.routing_strategy" in where
    assert "round-robin" in sentence


def test_members_keep_their_ids_when_one_is_refused() -> None:
    conversion = converted({"model_list": several({"api_key": "hush"}, {})})
    found = documents(conversion)
    assert found["m"]["members"] == [{"id": "m-2"}]
    assert len(refusals(conversion)) == 1


def test_ids_of_members_avoid_names_that_are_taken() -> None:
    entries = [*several({}, {}), *several({}, name="m-1")]
    entries[1]["model_info"] = {"id": "own"}
    assert sorted(documents(converted({"model_list": entries}))) == ["m", "m-1", "m-1-", "own"]


def test_aliases_become_groups() -> None:
    content = {
        "model_list": [*several({}, {}, name="big"), *several({}, name="small")],
        "router_settings": {
            "model_group_alias": {
                "gpt-4": "big",
                "tiny": {"model": "small", "hidden": True},
                "small": "big",
                "lost": "nowhere",
            },
            "fallbacks": [{"big": ["small"]}],
        },
    }
    conversion = converted(content)
    found = documents(conversion)
    assert found["gpt-4"]["members"] == found["big"]["members"]
    assert found["gpt-4"]["fallbacks"] == ["small"]
    assert found["tiny"]["members"] == [{"id": "small"}]
    assert [where.rpartition("model_group_alias.")[2] for where, _ in conversion.remarks] == [
        "tiny.hidden)",
        "small)",
        "lost)",
    ]


def test_fallbacks_of_all_three_kinds() -> None:
    names = [*several({}, {}, name="big"), *several({}, name="small"), *several({}, name="long")]
    content = {
        "model_list": names,
        "litellm_settings": {
            "fallbacks": [{"small": ["big", "nowhere", "small"]}],
            "context_window_fallbacks": [{"big": ["long"]}],
            "content_policy_fallbacks": {"small": "long"},
            "default_fallbacks": ["long"],
        },
        "router_settings": {"fallbacks": [{"small": ["long"]}, {"lost": ["small"]}]},
    }
    conversion = converted(content)
    found = documents(conversion)
    assert found["small"]["fallbacks"] == ["long"]
    assert found["small"]["content_policy_fallbacks"] == ["long"]
    assert found["big-1"]["context_window_fallbacks"] == ["long"]
    assert found["big-2"]["context_window_fallbacks"] == ["long"]
    assert found["big"]["fallbacks"] == ["long"]
    assert "fallbacks" not in found["big-1"]
    assert "fallbacks" not in found["long"]
    assert sorted(sentence for _, sentence in conversion.remarks) == [
        "left out: there is no 'lost' in what is imported",
        "left out: there is no 'nowhere' in what is imported",
    ]


def test_everything_that_is_left_out_is_said_with_its_line() -> None:
    text = """\
model_list:
  - model_name: m
    flavour: x
    litellm_params: &shared
      model: openai/gpt-4o
      api_key: os.environ/OPENAI_API_KEY
      drop_params: true
      rpm: many
      aws_region_name: eu
      extra_headers:
        Authorization: Bearer hush
    model_info:
      access_groups: [a]
      input_cost_per_token: 1
  - model_name: n
    litellm_params:
      <<: *shared
litellm_settings:
  cache: true
general_settings:
  master_key: hush
include: [other.yaml]
"""
    conversion = converted(text)
    assert list(documents(conversion)) == ["m", "n"]
    first = "model_list[0]"
    assert [where for where, _ in conversion.remarks if "model_list[1]" not in where] == [
        f"line 3 ({first}.flavour)",
        f"line 7 ({first}.litellm_params.drop_params)",
        f"line 8 ({first}.litellm_params.rpm)",
        f"line 9 ({first}.litellm_params.aws_region_name)",
        f"line 11 ({first}.litellm_params.extra_headers.Authorization)",
        f"line 13 ({first}.model_info.access_groups)",
        f"line 14 ({first}.model_info.input_cost_per_token)",
        "line 19 (litellm_settings.cache)",
        "line 21 (general_settings.master_key)",
        "line 22 (include)",
    ]
    assert {where.partition(" (")[0] for where, _ in conversion.remarks if "model_list[1]" in where} == {
        "line 16"
    }
    assert "hush" not in repr(conversion)


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        ("x", "must be a mapping with a model_name"),
        ({"litellm_params": {"model": "openai/x"}}, "must be a mapping with a model_name"),
        ({"model_name": "*", "litellm_params": {"model": "openai/*"}}, "stands for many models"),
        ({"model_name": "m", "litellm_params": {"model": "openai/*"}}, "stands for many models"),
        ({"model_name": "m"}, "is required"),
        ({"model_name": "m", "litellm_params": []}, "must be a mapping"),
        ({"model_name": "m", "litellm_params": {"model": ["x"]}}, "must be a text"),
        ({"model_name": "m", "litellm_params": {"model": "auto_router/x"}}, "router inside LiteLLM"),
        ({"model_name": "m", "litellm_params": {"model": "azure/x"}}, "is required for Azure"),
        ({"model_name": "m", "litellm_params": {"model": "openai/x", "api_base": "http://metadata"}}, "metadata"),
        ({"model_name": "m", "litellm_params": {"model": "openai/x"}, "model_info": {"mode": "rerank"}}, "'rerank'"),
        ({"model_name": "m", "litellm_params": {"model": "vertex_ai/gemini-2.5-pro"}}, "gcp_project"),
    ],
)  # fmt: skip
def test_an_entry_that_cannot_be_a_model_is_refused_with_its_reason(entry: Any, reason: str) -> None:
    conversion = converted({"model_list": [entry]})
    [(where, said)] = refusals(conversion)
    assert reason in said
    assert where.startswith("line ")
    assert documents(conversion) == {}


@pytest.mark.parametrize(
    "content",
    [
        "",
        "- 1",
        "model_list: [",
        "a: *b",
        "a: !!python/object/apply:os.system [x]",
        "a: \x00",
        "[" * 3000,
        "a: &a [*a]",
        "a: &a [x,x,x,x,x,x,x,x,x,x]\n"
        + "\n".join(
            f"{chr(98 + n)}: &{chr(98 + n)} [{','.join(['*' + chr(97 + n)] * 10)}]" for n in range(8)
        ),
    ],
)
def test_what_is_no_configuration_is_refused_whole(content: str) -> None:
    with pytest.raises(NotReadable):
        converted(content)


@pytest.mark.parametrize(
    "content", ["model_list: 7", "model_list: {a: 1}", "{}", "router_settings: []", "1: 2"]
)
def test_odd_sections_are_no_reason_to_fail(content: str) -> None:
    assert documents(converted(content)) == {}


def _samples() -> list[Path]:
    spec = importlib.util.find_spec("litellm")
    assert spec is not None
    assert spec.origin is not None
    folder = Path(spec.origin).parent / "proxy"
    return sorted(path for path in folder.rglob("*.yaml") if b"\nmodel_list:" in b"\n" + path.read_bytes())


def test_litellms_own_examples_convert_without_one_literal_key() -> None:
    samples = _samples()
    assert len(samples) > 10
    models = 0
    for path in samples:
        content = path.read_bytes()
        conversion = convert(content, now=NOW)
        models += len(documents(conversion))
        for entry in yaml.safe_load(content)["model_list"] or []:
            key = str(entry.get("litellm_params", {}).get("api_key", ""))
            if len(key) > 8 and not key.startswith("os.environ/"):
                assert key not in repr(conversion), path.name
    assert models > 30
