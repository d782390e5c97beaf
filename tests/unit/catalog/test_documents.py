"""What a document must say to become a model or a group."""

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shared import Json
from shared.catalog.documents import Group, Model, parse_document
from shared.catalog.invalid import InvalidDocument
from shared.catalog.model_types import MODEL_TYPES, OPERATIONS, PROVIDERS
from shared.catalog.parameters import Parameters
from tests.unit.catalog.worlds import AZURE, OPENAI, VERTEX, changed, model


def fault(body: object, *, strict: bool = True, hosts: tuple[str, ...] = ()) -> tuple[str, str]:
    with pytest.raises(InvalidDocument) as caught:
        parse_document(body, strict=strict, endpoint_hosts=hosts)
    return caught.value.param, caught.value.reason


def test_a_full_document_keeps_every_field() -> None:
    document = {
        **OPENAI,
        "name": "Big",
        "kind": "model",
        "enabled": False,
        "private": True,
        "projects": ["a", "b"],
        "default_for": ["ChatCompletion"],
        "capabilities": {"vision": True, "max_input_tokens": 128_000},
        "fallbacks": ["x"],
        "context_window_fallbacks": ["y"],
        "content_policy_fallbacks": ["z"],
        "limits": {"rpm": 10, "tpm": 1000, "max_parallel": 2, "budget_usd": 1.5},
        "metadata": {"team": "search"},
        "created_at": "2026-01-31T12:00:00.000Z",
        "updated_at": "2026-01-31T12:00:00.000Z",
        "parameters": {
            "secret_name": "$OPENAI_API_KEY",
            "timeout": 30,
            "max_retries": 0,
            "default_params": {"temperature": 0.2, "prompt_cache_key": "k", "stop": None},
            "extra_headers": {"x-team": "search"},
            "lane": "litellm",
            "stream_usage": False,
            "health_probe": True,
            "health_interval": 60,
        },
    }
    read, warnings = parse_document(document, strict=True)
    assert isinstance(read, Model)
    assert warnings == []
    for field in ("id", "code", "name", "enabled", "private", "metadata", "created_at", "updated_at"):
        assert getattr(read, field) == document[field], field
    for field in ("projects", "default_for", "fallbacks", "context_window_fallbacks"):
        assert list(getattr(read, field)) == document[field], field
    assert read.parameters.secret_name == "OPENAI-API-KEY"
    assert read.parameters.timeout == 30.0
    assert read.parameters.default_params == {"temperature": 0.2, "prompt_cache_key": "k", "stop": None}
    assert read.limits.rpm == 10
    assert not read.native
    assert read.supports("ChatCompletion")
    assert not read.supports("embeddings")


@pytest.mark.parametrize("strict", [True, False])
def test_a_null_counts_as_absent(strict: bool) -> None:
    read = model(name=None, costs=None, enabled=None, parameters={"secret_name": "a", "timeout": None})
    assert read.enabled
    assert read.costs is None
    assert read.parameters.timeout is None


def test_an_unknown_name_is_refused_by_manage_and_warned_about_in_a_document() -> None:
    for change, name in (
        ({"colour": "red"}, "colour"),
        ({"parameters.colour": "red"}, "parameters.colour"),
        ({"costs": {"input_tokens": 1}}, "costs.input_tokens"),
        ({"limits": {"rps": 1}}, "limits.rps"),
        ({"capabilities": {"sight": True}}, "capabilities.sight"),
    ):
        body = changed(OPENAI, change)
        assert fault(body) == (name, "is an unknown name")
        assert parse_document(body, strict=False)[1] == [f"{name}: is an unknown name"]


def test_what_the_database_adds_is_not_an_unknown_name() -> None:
    assert parse_document({**OPENAI, "_ts": 1, "_etag": "x"}, strict=True)[1] == []


BROKEN: list[tuple[Json, Json, str, str]] = [
    (OPENAI, {"id": None}, "id", "required"),
    (OPENAI, {"id": ""}, "id", "1 to 256"),
    (OPENAI, {"id": "x" * 257}, "id", "1 to 256"),
    (OPENAI, {"id": "a\nb"}, "id", "control"),
    (OPENAI, {"id": "a\x85b"}, "id", "control"),
    (OPENAI, {"id": 7}, "id", "string"),
    (OPENAI, {"kind": "cluster"}, "kind", "model or group"),
    (OPENAI, {"code": None}, "code", "required"),
    (OPENAI, {"code": "a\tb"}, "code", "control"),
    (OPENAI, {"provider": "Nobody"}, "provider", "OpenAICompatible"),
    (OPENAI, {"model_type": "Nothing"}, "model_type", "AzureOpenAI"),
    (OPENAI, {"model_type": "AnthropicNative"}, "model_type", "Anthropic"),
    (OPENAI, {"operations": []}, "operations", "at least one"),
    (OPENAI, {"operations": "ChatCompletion"}, "operations", "list"),
    (OPENAI, {"operations": ["chat"]}, "operations[0]", "ChatCompletion"),
    (VERTEX, {"operations": ["ChatCompletion", "moderations"]}, "operations[1]", "cannot do"),
    (OPENAI, {"default_for": ["images"]}, "default_for[0]", "operations"),
    (OPENAI, {"enabled": "yes"}, "enabled", "true or false"),
    (OPENAI, {"projects": [""]}, "projects[0]", "1 to"),
    (OPENAI, {"fallbacks": ["m"]}, "fallbacks", "itself"),
    (OPENAI, {"fallbacks": ["x", "x"]}, "fallbacks", "twice"),
    (OPENAI, {"limits": {"rpm": 0}}, "limits.rpm", "greater"),
    (OPENAI, {"capabilities": {"vision": 1}}, "capabilities.vision", "true or false"),
    (OPENAI, {"created_at": "yesterday"}, "created_at", "ISO 8601"),
    (OPENAI, {"metadata": []}, "metadata", "object"),
    (OPENAI, {"parameters": "x"}, "parameters", "object"),
    (OPENAI, {"parameters.timeout": "5"}, "parameters.timeout", "number"),
    (OPENAI, {"parameters.timeout": 0}, "parameters.timeout", "greater"),
    (OPENAI, {"parameters.timeout": float("nan")}, "parameters.timeout", ""),
    (OPENAI, {"parameters.timeout": 10**400}, "parameters.timeout", "number"),
    (OPENAI, {"parameters.max_retries": 1.5}, "parameters.max_retries", "number"),
    (OPENAI, {"parameters.health_interval": 10}, "parameters.health_interval", "60"),
    (OPENAI, {"parameters.lane": "fast"}, "parameters.lane", "native"),
    (VERTEX, {"parameters.lane": "native"}, "parameters.lane", "no native lane"),
    (OPENAI, {"parameters.secret_name": None}, "parameters.secret_name", "required"),
    (OPENAI, {"parameters.secret_name": "not a name!"}, "parameters.secret_name", "letters"),
    (OPENAI, {"parameters.secret_name": "llmproxy-admin-key"}, "parameters.secret_name", "own"),
    (OPENAI, {"parameters.secret_name": "$LLMPROXY_ADMIN_KEY"}, "parameters.secret_name", "own"),
    (OPENAI, {"parameters.secret_name": "sk-" + "a1" * 20}, "parameters.secret_name", "itself"),
    (OPENAI, {"parameters.auth": "managed_identity"}, "parameters.auth", "Azure only"),
    (AZURE, {"parameters.endpoint": None}, "parameters.endpoint", "required"),
    (AZURE, {"parameters.secret_name": None}, "parameters.secret_name", "managed_identity"),
    (AZURE, {"parameters.auth": "managed_identity"}, "parameters.auth", "either"),
    (AZURE, {"parameters.deployment_name": "a/../b"}, "parameters.deployment_name", "deployment"),
    (AZURE, {"parameters.api_version": "2024?x=1"}, "parameters.api_version", "pattern"),
    (VERTEX, {"parameters.gcp_project": None}, "parameters.gcp_project", "required"),
    (VERTEX, {"parameters.location": "evil.example/"}, "parameters.location", "pattern"),
    (VERTEX, {"code": "../../publishers"}, "code", "Vertex"),
    (OPENAI, {"parameters.litellm_params": {"seed": 1}}, "parameters.litellm_params", "LiteLLM"),
    (OPENAI, {"parameters.default_params": {"timeout": 3}}, "parameters.default_params.timeout", "steers"),
    (OPENAI, {"parameters.default_params": {"model": "x"}}, "parameters.default_params.model", "request"),
    (OPENAI, {"parameters.default_params": {"api_base": "x"}}, "parameters.default_params.api_base", "body"),
    (OPENAI, {"parameters.extra_headers": {"Host": "x"}}, "parameters.extra_headers.Host", "connection"),
    (OPENAI, {"parameters.extra_headers": {"a b": "x"}}, "parameters.extra_headers.a b", "header"),
    (OPENAI, {"parameters.extra_headers": {"x-a": "1\r\nx-b: 2"}}, "parameters.extra_headers.x-a", "ASCII"),
    (
        OPENAI,
        {"parameters.extra_headers": {"Authorization": "Bearer x"}},
        "parameters.extra_headers.Authorization",
        "secret",
    ),
]


@pytest.mark.parametrize(("base", "change", "param", "reason"), BROKEN)
def test_a_broken_document_says_which_field_and_why(
    base: Json, change: Json, param: str, reason: str
) -> None:
    found = fault(changed(base, change))
    assert found[0] == param
    assert reason in found[1]


LITELLM: Json = {
    "id": "m",
    "provider": "LiteLLM",
    "model_type": "LiteLLM",
    "code": "bedrock/some-model",
    "operations": ["ChatCompletion"],
    "parameters": {},
}


@pytest.mark.parametrize(
    "name",
    [
        "api_key",
        "aws_secret_access_key",
        "aws_session_token",
        "vertex_credentials",
        "azure_ad_token",
        "watsonx_apikey",
        "someSecretValue",
    ],
)
def test_credentials_belong_into_litellm_secrets(name: str) -> None:
    value = "text-that-must-not-appear"
    param, reason = fault(changed(LITELLM, {"parameters.litellm_params": {name: value}}))
    assert param == f"parameters.litellm_params.{name}"
    assert "litellm_secrets" in reason
    assert value not in reason
    read, _ = parse_document(changed(LITELLM, {"parameters.litellm_secrets": {name: "MY_KEY"}}), strict=True)
    assert isinstance(read, Model)
    assert read.parameters.litellm_secrets == {name: "MY-KEY"}


@pytest.mark.parametrize("name", ["api_base", "base_url", "aws_bedrock_runtime_endpoint", "proxy_url"])
def test_addresses_cannot_hide_in_litellm_arguments(name: str) -> None:
    for field in ("litellm_params", "litellm_secrets"):
        param, reason = fault(changed(LITELLM, {f"parameters.{field}": {name: "value"}}))
        assert param == f"parameters.{field}.{name}"
        assert "endpoint" in reason


@pytest.mark.parametrize("value", ["os.environ/HOME", [{"a": " os.environ/HOME"}], "oidc/google/x"])
def test_litellm_arguments_cannot_read_the_environment(value: object) -> None:
    param, reason = fault(changed(LITELLM, {"parameters.litellm_params": {"aws_region_name": value}}))
    assert param == "parameters.litellm_params.aws_region_name"
    assert "litellm_secrets" in reason


def test_plain_litellm_arguments_pass() -> None:
    read, _ = parse_document(
        changed(LITELLM, {"parameters.litellm_params": {"aws_region_name": "eu-west-1", "max_tokens": 5}}),
        strict=True,
    )
    assert isinstance(read, Model)
    assert read.parameters.litellm_params["aws_region_name"] == "eu-west-1"


@pytest.mark.parametrize("name", ["callbacks", "mock_response", "custom_llm_provider", "litellm_call_id"])
def test_litellm_arguments_that_reach_into_the_process_are_refused(name: str) -> None:
    assert "proxy's" in fault(changed(LITELLM, {"parameters.litellm_params": {name: "x"}}))[1]


def test_a_private_model_without_projects_is_odd_but_serves() -> None:
    assert "no one" in parse_document({**OPENAI, "private": True}, strict=True)[1][0]


def test_a_group_takes_ids_and_weights() -> None:
    group, warnings = parse_document(
        {"kind": "group", "id": "g", "members": ["a", {"id": "b", "weight": 2}], "strategy": "weighted"},
        strict=True,
    )
    assert isinstance(group, Group)
    assert warnings == []
    assert [(member.id, member.weight) for member in group.members] == [("a", 1.0), ("b", 2.0)]
    assert group.strategy == "weighted"


@pytest.mark.parametrize(
    ("change", "param"),
    [
        ({"members": []}, "members"),
        ({"members": None}, "members"),
        ({"members": "a"}, "members"),
        ({"members": ["a", "a"]}, "members"),
        ({"members": ["g"]}, "members"),
        ({"members": [{"weight": 1}]}, "members[0].id"),
        ({"members": [{"id": "a", "weight": 0}]}, "members[0].weight"),
        ({"members": [{"id": "a", "wait": 1}]}, "members[0].wait"),
        ({"strategy": "least-latency"}, "strategy"),
        ({"strategy": "adaptive"}, "strategy"),
        ({"private": True}, "private"),
    ],
)
def test_a_broken_group_says_which_field(change: Json, param: str) -> None:
    assert fault({"kind": "group", "id": "g", "members": ["a"], **change})[0] == param


def test_models_are_compared_and_hashed_by_identity() -> None:
    one, same = model(), model()
    assert one != same
    assert len({one, same, one}) == 2


def test_a_model_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="frozen"):
        model().enabled = False


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=12,
)
_WORDS = st.sampled_from(
    [
        "https://host.example/v1",
        "http://169.254.169.254",
        "managed_identity",
        "MY_KEY",
        "a/b",
        "weighted",
        "g",
    ]
)
_NAMED = st.fixed_dictionaries(
    {},
    optional={
        **dict.fromkeys((*Model.model_fields, *Group.model_fields), _JSON | _WORDS),
        "kind": st.sampled_from(["model", "group", None, "other"]),
        "id": st.text(max_size=5) | _JSON,
        "code": st.text(max_size=5) | _JSON,
        "provider": st.sampled_from(PROVIDERS) | _JSON,
        "model_type": st.sampled_from(sorted(MODEL_TYPES)) | _JSON,
        "operations": st.lists(st.sampled_from(OPERATIONS), max_size=3) | _JSON,
        "parameters": st.dictionaries(
            st.sampled_from(sorted(Parameters.model_fields)) | st.text(max_size=5), _JSON | _WORDS, max_size=5
        ),
        "members": st.lists(st.text(max_size=3) | _JSON, max_size=3),
    },
)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(body=_NAMED | _JSON, strict=st.booleans())
def test_whatever_a_document_holds_it_is_read_or_refused(body: Any, strict: bool) -> None:
    try:
        document, _ = parse_document(body, strict=strict)
    except InvalidDocument:
        return
    assert document.id == body["id"]
