"""Embeddings on the LiteLLM lane: inputs that the provider has words for, and vectors in the format asked for."""

import copy
from types import ModuleType
from typing import Any

from shared import Json
from shared.errors import InvalidProviderResponse, InvalidValue, UnsupportedParameter
from shared.providers.calls import Answer, Call
from shared.providers.litellm_lane.answers import provider_headers
from shared.providers.litellm_lane.arguments import Arguments
from shared.providers.litellm_lane.parameters import Taken
from shared.providers.openai_errors import visible_headers
from shared.wire.embeddings import FORMATS, estimate_embeddings, has_tokens, is_token_list, wanted_format
from shared.wire.parameters import refused_parameter
from shared.wire.usage import Usage
from shared.wire.vectors import item_json, written

_VERBATIM = frozenset(("openai", "azure"))
"""Providers whose body is OpenAI's, and which LiteLLM lets send anything in it."""
_TOKENS = _VERBATIM | {"hosted_vllm"}
"""Providers that take token lists as OpenAI does."""
_GOOGLE = frozenset(("gemini", "vertex_ai"))
_FILES = ("files/", "https://generativelanguage.googleapis.com/")
"""What LiteLLM takes for a file in the account of our key, and reads, instead of a text."""
_GEMINI_WORDS = frozenset(("dimensions", "task_type", "taskType", "title", "outputDimensionality"))
"""What LiteLLM lets through to Gemini's embeddings (its `_filter_embed_params`)."""
_OWN = frozenset(("model", "input", "encoding_format"))


class Once(int):
    """No retries: a zero that is true. LiteLLM takes a plain one here for nothing said, and tries three times."""

    def __bool__(self) -> bool:
        return True


async def send_embeddings(call: Call, module: ModuleType, access: Arguments) -> Answer:
    """Raises `InvalidValue` and `UnsupportedParameter` for what the provider lacks."""
    given = call.body["input"]
    _check_input(given, call, access)
    body = taken_embeddings(call.body, module, access.model, access.provider)
    values: Json = {**body.arguments, **access.values, "input": copy.copy(given), "max_retries": Once()}
    if body.extra:
        values["extra_body"] = body.extra
    answer = await module.aembedding(**values)
    vectors = _vectors(answer, 1 if isinstance(given, str) or is_token_list(given) else len(given))
    told = _prompt_tokens(answer)
    tokens = told or estimate_embeddings(call.body, None).prompt
    rest: Json = {
        "model": str(answer.model or access.model).removeprefix(access.provider + "/"),
        "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
    }
    wanted = wanted_format(call.body)
    made = await written(rest, (item_json(index, vector, wanted) for index, vector in enumerate(vectors)))
    return Answer(
        made,
        {"object": "list", "data": [], **rest},
        visible_headers(provider_headers(answer)),
        Usage(prompt=told) if told else None,
        tuple(body.dropped),
    )


def _check_input(given: Any, call: Call, access: Arguments) -> None:
    if access.provider in _VERBATIM:
        return
    if access.provider not in _TOKENS and has_tokens(given):
        raise InvalidValue("The provider of this model takes texts, not tokens.", param="input")
    several = isinstance(given, list) and not is_token_list(given)
    for index, item in enumerate(given if several else [given]):
        param = f"input[{index}]" if several else "input"
        if isinstance(item, dict):
            raise InvalidValue("The provider of this model takes texts.", param=param)
        if access.provider in _GOOGLE and isinstance(item, str):
            _check_reference(item, param, several and len(given) > 1, call)


def _check_reference(text: str, param: str, beside_others: bool, call: Call) -> None:
    """Raises for what LiteLLM would not take for a text but for an address, to be read with our credential."""
    if text.startswith(_FILES):
        raise InvalidValue("An input may not be the address of a file of the provider.", param=param)
    if "gs://" in text and not call.model.parameters.allow_gs_uris:
        raise UnsupportedParameter(
            f"The model '{call.model.id}' does not allow gs:// addresses.", param=param
        )
    if beside_others and text.startswith("data:"):
        # LiteLLM would make one vector out of all inputs together.
        raise InvalidValue("An input that is no text must be the only one.", param=param)


def taken_embeddings(body: Json, module: ModuleType, name: str, provider: str) -> Taken:
    """Sorts a body. Raises `UnsupportedParameter` where dropping would change the meaning."""
    found = Taken()
    asked = body.get("encoding_format")
    if provider in _VERBATIM:
        # Floats are asked for and base64 is made of them: LiteLLM reads vectors as lists of numbers alone. For
        # Azure it must be said: OpenAI's client, which LiteLLM calls, would ask for base64.
        if asked == "float" or provider == "azure":
            found.arguments["encoding_format"] = "float"
        elif asked not in (None, "base64"):
            found.arguments["encoding_format"] = asked
        found.extra = {field: copy.deepcopy(value) for field, value in body.items() if field not in _OWN}
        return found
    if asked is not None and asked not in FORMATS:
        # Other formats are the provider's own to make.
        found.arguments["encoding_format"] = asked
    for parameter, value in body.items():
        if parameter in _OWN or value is None:
            continue
        if refused_parameter(parameter):
            # The pipeline refuses these names; they must not get here by another way either.
            raise UnsupportedParameter(f"The parameter '{parameter}' cannot be set here.", param=parameter)
        if _is_taken(module, name, provider, parameter, value):
            found.arguments[parameter] = copy.deepcopy(value)
        elif parameter == "dimensions":
            raise UnsupportedParameter(
                "The provider of this model does not take the parameter 'dimensions'.", param=parameter
            )
        else:
            found.dropped.append(parameter)
    return found


def _is_taken(module: ModuleType, name: str, provider: str, parameter: str, value: Any) -> bool:
    """Whether a parameter comes through LiteLLM's translation: it refuses some and loses others in silence."""
    if provider == "gemini" and parameter not in _GEMINI_WORDS:
        return False
    try:
        made = module.utils.get_optional_params_embeddings(
            model=name, custom_llm_provider=provider, **{parameter: copy.deepcopy(value)}
        )
    except module.UnsupportedParamsError:
        return False
    return _holds(made, value)


def _holds(made: Any, value: Any) -> bool:
    if isinstance(made, dict) and any(_holds(item, value) for item in made.values()):
        return True
    return bool(made == value)


def _vectors(answer: Any, expected: int) -> list[Any]:
    """The vectors in the order of the inputs. Raises `InvalidProviderResponse` where one is missing."""
    items = [item if isinstance(item, dict) else item.model_dump() for item in answer.data]
    indices = [item.get("index") for item in items]
    if sorted(index for index in indices if isinstance(index, int)) == list(range(len(items))):
        items.sort(key=lambda item: item["index"])
    if len(items) != expected or not all(isinstance(item.get("embedding"), str | list) for item in items):
        raise InvalidProviderResponse("The provider's answer does not hold one vector for each input.")
    return [item["embedding"] for item in items]


def _prompt_tokens(answer: Any) -> int:
    tokens = getattr(getattr(answer, "usage", None), "prompt_tokens", None)
    return tokens if isinstance(tokens, int) else 0
