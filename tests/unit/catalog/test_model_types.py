"""The table of model types and LiteLLM's names."""

import json
from pathlib import Path

import pytest

from shared.catalog.capabilities import installed_map
from shared.catalog.model_types import MODEL_TYPES, OPERATIONS, PROVIDERS, litellm_name
from tests.unit.catalog.worlds import AZURE, OPENAI, changed, model

FORMS = [
    (
        "GoogleVertexClaude",
        "vertex_ai/claude-sonnet-4-5@20250929",
        ["sonnet-4-5@20250929", "claude-sonnet-4-5@20250929", "anthropic/claude-sonnet-4-5@20250929"],
    ),
    ("GoogleVertexClaude", "vertex_ai/claude-3-opus", ["3-opus", "claude-3-opus", "anthropic/claude-3-opus"]),
    (
        "GoogleVertexMeta",
        "vertex_ai/meta/llama-3.3-70b-instruct-maas",
        ["3.3-70b-instruct-maas", "llama-3.3-70b-instruct-maas", "meta/llama-3.3-70b-instruct-maas"],
    ),
    (
        "GoogleVertexMeta",
        "vertex_ai/meta/llama3-70b-instruct-maas",
        ["llama3-70b-instruct-maas", "meta/llama3-70b-instruct-maas"],
    ),
    (
        "GoogleVertexMistral",
        "vertex_ai/mistral-medium-3",
        ["medium-3", "mistral-medium-3", "mistralai/mistral-medium-3"],
    ),
    ("GoogleVertexMistral", "vertex_ai/codestral-2501", ["codestral-2501", "mistralai/codestral-2501"]),
    (
        "GoogleVertexJamba",
        "vertex_ai/jamba-1.5-large",
        ["1.5-large", "jamba-1.5-large", "ai21/jamba-1.5-large"],
    ),
    (
        "GoogleVertexDeepSeek",
        "vertex_ai/deepseek-ai/deepseek-v3.1-maas",
        ["v3.1-maas", "deepseek-v3.1-maas", "deepseek-ai/deepseek-v3.1-maas"],
    ),
    (
        "GoogleVertexQwen",
        "vertex_ai/qwen/qwen3-235b-a22b-instruct-2507-maas",
        [
            "3-235b-a22b-instruct-2507-maas",
            "qwen3-235b-a22b-instruct-2507-maas",
            "qwen/qwen3-235b-a22b-instruct-2507-maas",
        ],
    ),
    (
        "GoogleVertexOpenAI",
        "vertex_ai/openai/gpt-oss-120b-maas",
        ["120b-maas", "gpt-oss-120b-maas", "openai/gpt-oss-120b-maas"],
    ),
    ("GoogleVertex", "vertex_ai/gemini-2.5-flash", ["gemini-2.5-flash", "google/gemini-2.5-flash"]),
    ("GoogleVertex", "vertex_ai/gemini/1234567890", ["1234567890", "gemini/1234567890"]),
    ("GoogleVertex", "vertex_ai/google/gemma-4-26b-a4b-it-maas", ["gemma-4-26b-a4b-it-maas"]),
    ("GoogleGemini", "gemini/gemini-2.5-pro", ["gemini-2.5-pro", "models/gemini-2.5-pro"]),
    ("AnthropicNative", "anthropic/claude-sonnet-4-5", ["sonnet-4-5", "claude-sonnet-4-5"]),
    ("OpenAINative", "openai/gpt-4o", ["gpt-4o"]),
    ("OpenAICompatible", "openai/openai/gpt-oss-20b", ["openai/gpt-oss-20b"]),
    ("AzureFoundry", "azure_ai/grok-3", ["grok-3"]),
    ("LiteLLM", "cohere/command-r", ["cohere/command-r"]),
]


@pytest.mark.parametrize(("model_type", "name", "codes"), FORMS)
def test_all_forms_of_a_code_mean_the_same_model(model_type: str, name: str, codes: list[str]) -> None:
    row = MODEL_TYPES[model_type]
    assert [row.litellm_name(code) for code in codes] == [name] * len(codes)
    # LiteLLM's own name is understood as well, so writing it is no mistake.
    if model_type not in ("OpenAICompatible", "GoogleGemini"):
        assert row.litellm_name(name) == name


@pytest.mark.parametrize(
    ("model_type", "prefix"),
    [
        ("GoogleVertexClaude", "vertex_ai/claude-"),
        ("GoogleVertexMeta", "vertex_ai/meta/"),
        ("GoogleVertexMistral", "vertex_ai/mistral-"),
        ("GoogleVertexJamba", "vertex_ai/jamba-"),
        ("GoogleVertexDeepSeek", "vertex_ai/deepseek-ai/"),
        ("GoogleVertexQwen", "vertex_ai/qwen/"),
        ("GoogleVertexOpenAI", "vertex_ai/openai/"),
        ("AnthropicNative", "claude-"),
    ],
)
def test_the_names_that_litellm_knows_stay_as_they_are(model_type: str, prefix: str) -> None:
    path = installed_map()
    assert path is not None
    names = [name for name in json.loads(Path(path).read_text()) if name.startswith(prefix)]
    assert names
    for name in names:
        full = f"anthropic/{name}" if model_type == "AnthropicNative" else name
        assert MODEL_TYPES[model_type].litellm_name(name.removeprefix("vertex_ai/")) == full


def test_azure_is_called_by_its_deployment_and_else_by_its_code() -> None:
    named = model(base=changed(AZURE, {"parameters.deployment_name": "prod-4o"}))
    assert litellm_name(named) == named.litellm_name == "azure/prod-4o"
    assert model(base=AZURE).litellm_name == "azure/gpt-4o"


def test_the_table_has_every_type_and_names_known_operations_only() -> None:
    assert set(MODEL_TYPES) == {
        "AzureOpenAI",
        "AzureFoundry",
        "GoogleVertex",
        *(
            f"GoogleVertex{name}"
            for name in ("Claude", "DeepSeek", "Meta", "Mistral", "Jamba", "Qwen", "OpenAI")
        ),
        "GoogleGemini",
        "OpenAINative",
        "AnthropicNative",
        "OpenAICompatible",
        "LiteLLM",
        "Demo",
    }
    assert set(PROVIDERS) == {
        "Azure",
        "Google",
        "OpenAI",
        "Anthropic",
        "OpenAICompatible",
        "LiteLLM",
        "Demo",
    }
    for row in MODEL_TYPES.values():
        assert "ChatCompletion" in row.operations
        assert row.operations <= set(OPERATIONS)


def test_the_native_lane_serves_what_speaks_openais_format_unless_the_document_asks_for_litellm() -> None:
    native = {name for name, row in MODEL_TYPES.items() if row.native}
    assert native == {"AzureOpenAI", "AzureFoundry", "OpenAINative", "OpenAICompatible"}
    assert model().native
    assert not model(base=changed(OPENAI, {"parameters.lane": "litellm"})).native
