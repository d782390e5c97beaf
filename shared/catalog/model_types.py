"""Model types: who serves them, what they can do, and what LiteLLM calls them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from shared.catalog.documents import Model

OPERATIONS = (
    "ChatCompletion",
    "Responses",
    "embeddings",
    "images",
    "audio_tts",
    "audio_stt",
    "audio_realtime",
    "moderations",
)
"""Operations that a model may list."""

_ALL = frozenset(OPERATIONS)
_TEXT = frozenset(("ChatCompletion", "Responses"))


@dataclass(frozen=True, slots=True)
class ModelType:
    """A row of the table of model types.

    `provider` is what a document of this type must say. `native` types speak OpenAI's wire format themselves.
    `litellm_name` turns the provider's own code into LiteLLM's name for it.
    """

    name: str
    provider: str
    native: bool
    operations: frozenset[str]
    litellm_name: Callable[[str], str]

    @property
    def vertex(self) -> bool:
        return self.name.startswith("GoogleVertex")


def _below(prefix: str) -> Callable[[str], str]:
    """`prefix/` before the code, unless it is there already."""

    def name(code: str) -> str:
        return code if code.startswith(prefix + "/") else f"{prefix}/{code}"

    return name


def _vertex(
    *, publisher: str, keep: bool, family: str = "", families: tuple[str, ...] = ()
) -> Callable[[str], str]:
    """LiteLLM's name of a partner's model on Vertex AI, from the bare, the family or the publisher form.

    `publisher` is Google's name of it; `keep` says whether LiteLLM wants to see that. `family` goes before a
    bare code, one that begins with neither `family` nor one of `families`.
    """

    def name(code: str) -> str:
        rest = code.removeprefix("vertex_ai/").removeprefix(publisher + "/")
        if family and not rest.startswith((family, *families)):
            rest = family + rest
        return f"vertex_ai/{publisher}/{rest}" if keep else f"vertex_ai/{rest}"

    return name


def _gemini_on_vertex(code: str) -> str:
    """LiteLLM wants `gemini/` before a tuned endpoint, a number, and the publisher of Gemma as a service."""
    rest = code.removeprefix("vertex_ai/").removeprefix("google/")
    if rest.isascii() and rest.isdigit():
        return f"vertex_ai/gemini/{rest}"
    if rest.startswith("gemma-") and rest.endswith("-maas"):
        return f"vertex_ai/google/{rest}"
    return f"vertex_ai/{rest}"


def _gemini(code: str) -> str:
    return f"gemini/{code.removeprefix('gemini/').removeprefix('models/')}"


def _anthropic(code: str) -> str:
    rest = code.removeprefix("anthropic/")
    return f"anthropic/{rest}" if rest.startswith("claude") else f"anthropic/claude-{rest}"


def _partner(name: str, litellm_name: Callable[[str], str]) -> ModelType:
    return ModelType(name, "Google", False, _TEXT, litellm_name)


MODEL_TYPES: dict[str, ModelType] = {
    row.name: row
    for row in (
        # Azure OpenAI has no moderations endpoint.
        ModelType("AzureOpenAI", "Azure", True, _ALL - {"moderations"}, _below("azure")),
        ModelType(
            "AzureFoundry",
            "Azure",
            True,
            _TEXT | {"embeddings", "images", "audio_tts", "audio_stt"},
            _below("azure_ai"),
        ),
        ModelType(
            "GoogleVertex",
            "Google",
            False,
            _TEXT | {"embeddings", "images", "audio_tts", "audio_stt"},
            _gemini_on_vertex,
        ),
        _partner("GoogleVertexClaude", _vertex(publisher="anthropic", keep=False, family="claude-")),
        _partner("GoogleVertexDeepSeek", _vertex(publisher="deepseek-ai", keep=True, family="deepseek-")),
        # Llama 3's first models are written without the hyphen: `llama3-70b-instruct-maas`.
        _partner(
            "GoogleVertexMeta", _vertex(publisher="meta", keep=True, family="llama-", families=("llama",))
        ),
        _partner(
            "GoogleVertexMistral",
            _vertex(
                publisher="mistralai",
                keep=False,
                family="mistral-",
                families=("mistral", "codestral", "ministral", "mixtral", "magistral", "pixtral", "devstral"),
            ),
        ),
        _partner("GoogleVertexJamba", _vertex(publisher="ai21", keep=False, family="jamba-")),
        _partner(
            "GoogleVertexQwen", _vertex(publisher="qwen", keep=True, family="qwen", families=("qwen", "qwq"))
        ),
        _partner(
            "GoogleVertexOpenAI",
            _vertex(publisher="openai", keep=True, family="gpt-oss-", families=("gpt-",)),
        ),
        ModelType(
            "GoogleGemini",
            "Google",
            False,
            _TEXT | {"embeddings", "images", "audio_tts", "audio_stt"},
            _gemini,
        ),
        ModelType("OpenAINative", "OpenAI", True, _ALL, _below("openai")),
        ModelType("AnthropicNative", "Anthropic", False, _TEXT, _anthropic),
        # The code is whatever the server calls it, so `openai/…` in it is not our prefix.
        ModelType("OpenAICompatible", "OpenAICompatible", True, _ALL, "openai/{}".format),
        ModelType("LiteLLM", "LiteLLM", False, _ALL, str),
        ModelType("Demo", "Demo", False, _ALL, _below("demo")),
    )
}
"""Model types by name."""

PROVIDERS = tuple(dict.fromkeys(row.provider for row in MODEL_TYPES.values()))
"""Providers that a document may name, in the order of the table."""


def litellm_name(model: "Model") -> str:
    """LiteLLM's full name of a model (`vertex_ai/meta/llama-3.3-70b-instruct-maas`)."""
    code = model.deployment if model.provider == "Azure" else model.code
    return MODEL_TYPES[model.model_type].litellm_name(code)
