"""Moderations on the LiteLLM lane: OpenAI's, and those of servers that are called as OpenAI is.

LiteLLM's answers name categories as Python does (`self_harm_intent`): they get OpenAI's names back.
"""

import copy
from collections.abc import Mapping
from types import ModuleType
from typing import Any

import orjson

from shared import Json
from shared.errors import UnsupportedOperation
from shared.providers.addresses import OPENAI
from shared.providers.calls import Answer, Call
from shared.providers.litellm_lane.arguments import Arguments
from shared.providers.litellm_lane.chunks import dumped
from shared.wire.usage import read_usage

_TAKEN = frozenset(("model", "input"))


async def send_moderation(call: Call, module: ModuleType, access: Arguments) -> Answer:
    """Raises `UnsupportedOperation` for a provider without moderations."""
    if access.provider != "openai":
        raise UnsupportedOperation(
            f"The provider of the model '{call.model.id}' does not do moderations.", param="model"
        )
    values = access.values
    address, key = values.get("api_base") or OPENAI, values.get("api_key")
    # LiteLLM passes on neither the number of retries nor headers: the client that it gets has them.
    client = module.main.openai_chat_completions.get_openai_client(
        is_async=True, api_key=key, api_base=address, timeout=values["timeout"], max_retries=0
    ).with_options(max_retries=0, default_headers=values.get("extra_headers"))
    answer = await module.amoderation(
        input=copy.deepcopy(call.body["input"]),
        model=access.model,
        api_key=key,
        api_base=address,
        custom_llm_provider="openai",
        client=client,
    )
    content = {**dumped(answer), "results": [_result(result) for result in dumped(answer)["results"]]}
    return Answer(
        orjson.dumps(content),
        content,
        usage=read_usage(content.get("usage")),
        dropped=tuple(name for name, value in call.body.items() if name not in _TAKEN and value is not None),
    )


def _result(result: Json) -> Json:
    """One result with OpenAI's names of categories, without those that were not judged."""
    names = _names()
    return {
        name: {
            names.get(category, category): judged for category, judged in value.items() if judged is not None
        }
        if isinstance(value, dict)
        else value
        for name, value in result.items()
    }


def _names() -> Mapping[str, str]:
    """OpenAI's name by Python's, as OpenAI's own client maps them."""
    from openai.types.moderation import Categories

    fields: Mapping[str, Any] = Categories.model_fields
    return {name: field.alias or name for name, field in fields.items()}
