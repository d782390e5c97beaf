"""The LiteLLM lane: every provider that needs translation, and any model whose catalog entry asks for it."""

import asyncio
from collections.abc import Mapping
from types import ModuleType
from typing import Any

import orjson

from shared.catalog.documents import Model
from shared.errors import InternalError, ProxyError, UnsupportedOperation
from shared.ports import SecretStore, TokenSource
from shared.providers.calls import Answer, Call
from shared.providers.litellm_arguments import Arguments, arguments
from shared.providers.litellm_chunks import plain_answer
from shared.providers.litellm_errors import proxy_error
from shared.providers.litellm_library import LiteLLMLibrary
from shared.providers.litellm_stream import LiteLLMEvents
from shared.providers.openai_errors import visible_headers
from shared.wire.usage import read_usage


class LiteLLMProvider:
    """Calls models through `litellm`. Credentials go in as arguments, never into the environment."""

    def __init__(
        self, secrets: SecretStore, tokens: TokenSource, library: LiteLLMLibrary | None = None
    ) -> None:
        self._secrets = secrets
        self._tokens = tokens
        self._library = library or LiteLLMLibrary()

    def preload(self) -> None:
        """Starts the import of litellm in a thread; calls wait for it."""
        self._library.preload()

    async def send(self, call: Call) -> Answer:
        module = await self._library.module()
        made = await arguments(call, module, self._secrets, self._tokens)
        try:
            answer = await _ask(module, call, made)
        except Exception as error:
            raise _told(error, made) from None
        content = plain_answer(answer)
        if isinstance(content.get("model"), str):
            content["model"] = content["model"].removeprefix(made.provider + "/")
        return Answer(
            orjson.dumps(content),
            content,
            visible_headers(_provider_headers(answer)),
            read_usage(content.get("usage")),
            made.dropped,
        )

    async def open(self, call: Call) -> LiteLLMEvents:
        module = await self._library.module()
        made = await arguments(call, module, self._secrets, self._tokens)
        explain = _explainer(module, made)
        wrapper: Any = None
        try:
            wrapper = await _ask(module, call, made)
            fetch = getattr(wrapper, "fetch_stream", None)
            source = await fetch() if fetch is not None else wrapper
        except BaseException as error:
            if wrapper is not None:
                await wrapper.aclose()
            if isinstance(error, Exception):
                raise _told(explain(error), made) from None
            raise
        return LiteLLMEvents(
            wrapper, source, model=made.model, dropped=made.dropped, secrets=made.secrets, explain=explain
        )

    async def probe(self, model: Model) -> bool:
        return False

    async def close(self) -> None:
        return None


async def _ask(module: ModuleType, call: Call, made: Arguments) -> Any:
    if call.path != "chat/completions":
        raise UnsupportedOperation(f"The model '{call.model.id}' cannot do this operation.")
    return await module.acompletion(**made.values)


def _provider_headers(answer: Any) -> dict[str, str]:
    hidden = getattr(answer, "_hidden_params", None)
    if not isinstance(hidden, Mapping):
        return {}
    headers = hidden.get("headers") or hidden.get("additional_headers") or {}
    return {
        str(name).lower().removeprefix("llm_provider-"): str(value) for name, value in dict(headers).items()
    }


def _told(error: BaseException, made: Arguments) -> ProxyError:
    return proxy_error(error, made.secrets)


def _explainer(module: ModuleType, made: Arguments) -> Any:
    def explain(error: BaseException) -> BaseException:
        if isinstance(error, (ProxyError, asyncio.CancelledError)):
            return error
        try:
            explained = module.exception_type(
                model=made.model, original_exception=error, custom_llm_provider=made.provider
            )
        except Exception as raised:
            explained = raised
        return explained if isinstance(explained, BaseException) else InternalError()

    return explain
