"""What of a request's body a provider can take, and the way in which LiteLLM passes it on whole.

LiteLLM puts OpenAI's parameters into the provider's words. What it does not know for a provider it refuses
or, for some names, loses in silence; `extra_body` is its way around that for the providers that have one.
"""

import copy
from collections.abc import Container
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

from shared import Json
from shared.errors import UnsupportedParameter
from shared.wire.parameters import OPENAI_PARAMETERS, refused_parameter

MEANING = frozenset(
    ("response_format", "tools", "functions", "stop", "seed", "n", "suffix", "echo", "best_of", "prompt")
)
"""Parameters that are refused where a provider cannot take them: without them the answer is another one."""

_NEUTRAL: tuple[tuple[str, Any], ...] = (
    ("n", 1),
    ("best_of", 1),
    ("echo", False),
    ("logprobs", False),
    ("store", False),
    ("parallel_tool_calls", True),
    ("modalities", ["text"]),
    ("response_format", {"type": "text"}),
)
"""Values that say what is so anyway: a provider need not know the parameter."""

_ELSEWHERE = frozenset(("model", "messages", "stream", "stream_options"))
_VERBATIM = frozenset(("openai", "azure", "text-completion-openai", "hosted_vllm"))
"""Providers whose body is OpenAI's: all goes as it came."""
_OPENAI_ON_VERTEX = ("meta/", "deepseek-ai/", "qwen/", "openai/")
_MISTRAL = "mistral-medium-3"
_LOST = frozenset(("prompt_cache_retention",))
"""Names that LiteLLM says are supported where it then leaves them out."""
_GEMINI_WORDS = frozenset(
    ("safety_settings", "thinking", "cached_content", "labels", "include_server_side_tool_invocations")
)
"""Parameters of Gemini's that LiteLLM puts in their place, beside those of the generation config."""


@dataclass(slots=True)
class Taken:
    """`arguments` are translated, `extra` is sent as it is, `dropped` names what the provider lacks."""

    arguments: Json = field(default_factory=dict)
    extra: Json = field(default_factory=dict)
    dropped: list[str] = field(default_factory=list)


def taken(body: Json, module: ModuleType, name: str, provider: str) -> Taken:
    """Sorts a body. Raises `UnsupportedParameter` where dropping would change the meaning.

    `name` is the model as LiteLLM calls it below its `provider`.
    """
    found = Taken()
    gemini = is_gemini(name, provider)
    supported = _supported(module, name, provider)
    extra = _takes_extra(module, name, provider)
    if provider == "vertex_ai" and name.startswith("codestral"):
        # LiteLLM knows this family as one that fills in code; on Vertex AI it chats as Mistral's others do.
        beside = _supported(module, _MISTRAL, provider) - supported
    else:
        beside = frozenset()
    known = module.constants.DEFAULT_CHAT_COMPLETION_PARAM_VALUES
    for parameter, value in body.items():
        if parameter in _ELSEWHERE:
            continue
        if refused_parameter(parameter):
            # The pipeline refuses these names; they must not get here by another way either.
            raise UnsupportedParameter(f"The parameter '{parameter}' cannot be set here.", param=parameter)
        if provider in _VERBATIM:
            found.extra[parameter] = copy.deepcopy(value)
        elif value is None:
            continue
        elif gemini and parameter == "parallel_tool_calls":
            _without(found, parameter, value)
        elif _translated(parameter, supported, known, gemini, module):
            found.arguments[parameter] = copy.deepcopy(value)
        elif extra and parameter in beside:
            found.extra[parameter] = copy.deepcopy(value)
        elif parameter in OPENAI_PARAMETERS and not (extra and speaks_openai(name, provider)):
            _without(found, parameter, value)
        elif extra:
            found.extra[parameter] = copy.deepcopy(value)
        else:
            _without(found, parameter, value)
    return found


def is_gemini(name: str, provider: str) -> bool:
    """Whether the body is Gemini's."""
    return provider == "gemini" or (provider == "vertex_ai" and name.startswith("gemini"))


def speaks_openai(name: str, provider: str) -> bool:
    """Whether the provider's body is OpenAI's, so that it decides itself what it takes."""
    on_vertex = provider == "vertex_ai" and name.startswith(_OPENAI_ON_VERTEX)
    return provider in _VERBATIM or provider == "azure_ai" or on_vertex


def _supported(module: ModuleType, name: str, provider: str) -> frozenset[str]:
    found = module.get_supported_openai_params(model=name, custom_llm_provider=provider) or ()
    return frozenset(found) - _LOST


def _takes_extra(module: ModuleType, name: str, provider: str) -> bool:
    if provider == "vertex_ai":
        return not name.startswith("claude")
    return provider in ("gemini", "azure_ai") or provider in module.openai_compatible_providers


def _translated(
    parameter: str, supported: frozenset[str], known: Container[str], gemini: bool, module: ModuleType
) -> bool:
    """Whether LiteLLM takes it as an argument of its own."""
    if parameter in supported:
        return True
    if parameter in OPENAI_PARAMETERS or parameter in known:
        return False
    return not gemini or parameter in _GEMINI_WORDS or parameter in _generation_words(module)


def _generation_words(module: ModuleType) -> frozenset[str]:
    """Fields of Gemini's generation config in both spellings (`top_k`, `topK`)."""
    names = module.types.llms.vertex_ai.GenerationConfig.__annotations__
    return frozenset(names) | {_camel(name) for name in names}


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(part.capitalize() for part in rest)


def _without(found: Taken, parameter: str, value: Any) -> None:
    if value in ([], "") or (parameter, value) in _NEUTRAL:
        return
    if parameter in MEANING:
        raise UnsupportedParameter(
            f"The provider of this model does not take the parameter '{parameter}'.", param=parameter
        )
    found.dropped.append(parameter)
