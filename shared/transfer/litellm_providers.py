"""Which provider, model type and code a model string of LiteLLM's is here."""

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from shared.catalog.model_types import MODEL_TYPES

Map = Mapping[str, Mapping[str, object]]
"""LiteLLM's model map: what it knows of each model by name."""

_COMPATIBLE = frozenset(
    ("custom_openai", "hosted_vllm", "litellm_proxy", "llamafile", "lm_studio", "openai_like")
)
"""Prefixes of servers that speak OpenAI's format themselves."""
_AZURE_HINTS = ("o_series/", "gpt5_series/")
"""They tell LiteLLM what is behind a deployment; its name comes after them."""
_FOUNDRY_HOSTS = (".services.ai.azure.com", ".cognitiveservices.azure.com", ".openai.azure.com")
_VERTEX = (
    ("claude", "GoogleVertexClaude"),
    ("deepseek-ai/", "GoogleVertexDeepSeek"),
    ("meta/", "GoogleVertexMeta"),
    ("mistral", "GoogleVertexMistral"),
    ("codestral", "GoogleVertexMistral"),
    ("jamba", "GoogleVertexJamba"),
    ("qwen/", "GoogleVertexQwen"),
    ("openai/gpt-oss", "GoogleVertexOpenAI"),
    ("gemini", "GoogleVertex"),
    ("imagen", "GoogleVertex"),
    ("text-embedding", "GoogleVertex"),
    ("textembedding", "GoogleVertex"),
    ("text-multilingual-embedding", "GoogleVertex"),
)
"""(how the rest after `vertex_ai/` begins, model type)"""
_FAMILIES = (
    ("gpt-", "openai"),
    ("o1", "openai"),
    ("o3", "openai"),
    ("o4", "openai"),
    ("claude", "anthropic"),
)
"""Names without a prefix that LiteLLM knows by their beginning."""


@dataclass(frozen=True, slots=True)
class Target:
    """`name` is LiteLLM's full name; `operations` is what a mode of `chat` means, where the name narrows it."""

    model_type: str
    code: str
    name: str
    responses_only: bool = False

    @property
    def provider(self) -> str:
        return MODEL_TYPES[self.model_type].provider

    @property
    def prefix(self) -> str:
        return self.name.partition("/")[0]


def find_target(model: str, provider: str | None, endpoint: str | None, known: Map) -> Target:
    """What serves `model`; the model type `LiteLLM`, which knows every provider, where there is no other.

    `provider` is `custom_llm_provider`, `endpoint` the `api_base`, both None where the entry has none.
    """
    name = _full_name(model, provider, known)
    prefix, _, rest = name.partition("/")
    responses_only = prefix in ("openai", "azure") and rest.startswith("responses/")
    if responses_only:
        rest = rest.removeprefix("responses/")
    found = _model_type(prefix, rest, endpoint)
    if found is None:
        return Target("LiteLLM", name, name)
    model_type, code = found
    if model_type.startswith(("Google", "Anthropic")):
        theirs = f"{prefix.removesuffix('_beta')}/{rest}"
        if MODEL_TYPES[model_type].litellm_name(code) != theirs:
            return Target("LiteLLM", name, name)
    return Target(model_type, code, name, responses_only)


def map_entry(name: str, base_model: str | None, known: Map) -> Mapping[str, object]:
    """What LiteLLM's map says about a model; empty where it does not know it."""
    for candidate in (base_model or "", name, name.partition("/")[2]):
        if candidate and isinstance(known.get(candidate), Mapping):
            return known[candidate]
    return {}


def _full_name(model: str, provider: str | None, known: Map) -> str:
    if provider:
        return model if model.startswith(provider + "/") else f"{provider}/{model}"
    if "/" in model:
        return model
    said = str(map_entry(model, None, known).get("litellm_provider", ""))
    # The map tells apart what Vertex AI serves: vertex_ai-language-models.
    said = said.partition("-")[0] if said.startswith("vertex_ai-") else said
    family = next((family for beginning, family in _FAMILIES if model.startswith(beginning)), "")
    return f"{said or family}/{model}" if said or family else model


def _model_type(prefix: str, rest: str, endpoint: str | None) -> tuple[str, str] | None:
    """(model type, code), None for what only LiteLLM itself can call."""
    host = _host(endpoint)
    if prefix == "openai":
        return ("OpenAINative" if host in ("", "api.openai.com") else "OpenAICompatible"), rest
    if prefix in _COMPATIBLE and endpoint:
        return "OpenAICompatible", rest
    if prefix == "azure":
        for hint in _AZURE_HINTS:
            rest = rest.removeprefix(hint)
        return "AzureOpenAI", rest
    if prefix == "azure_ai" and host.endswith(_FOUNDRY_HOSTS) and not rest.startswith("claude"):
        return "AzureFoundry", rest
    if prefix == "anthropic":
        return "AnthropicNative", rest
    if prefix == "gemini":
        return "GoogleGemini", rest
    if prefix in ("vertex_ai", "vertex_ai_beta"):
        if rest.removeprefix("gemini/").isdigit():
            return "GoogleVertex", rest.removeprefix("gemini/")
        return next(((kind, rest) for beginning, kind in _VERTEX if rest.startswith(beginning)), None)
    return None


def _host(endpoint: str | None) -> str:
    try:
        return (urlsplit(endpoint or "").hostname or "").lower()
    except ValueError:
        return "?"
