"""The LiteLLM lane: every provider that needs translation, and any model whose catalog entry asks for it."""

from collections.abc import Awaitable, Callable, Mapping
from types import ModuleType
from typing import Any

import orjson

from shared.catalog.documents import Model
from shared.errors import UnsupportedOperation
from shared.ports import SecretStore, TokenSource
from shared.providers.calls import Answer, Call, Download, Events
from shared.providers.http_client import HttpClient
from shared.providers.litellm_lane.addresses import AddressGuard
from shared.providers.litellm_lane.answers import faithful_answer, plain_answer, provider_headers
from shared.providers.litellm_lane.arguments import Arguments, arguments, base_arguments
from shared.providers.litellm_lane.embeddings import send_embeddings
from shared.providers.litellm_lane.errors import proxy_error
from shared.providers.litellm_lane.images import PATHS as IMAGE_PATHS
from shared.providers.litellm_lane.images import WholeImages
from shared.providers.litellm_lane.images_google import draw
from shared.providers.litellm_lane.library import LiteLLMLibrary
from shared.providers.litellm_lane.moderations import send_moderation
from shared.providers.litellm_lane.probe import probe_anthropic, probe_gemini, probe_vertex
from shared.providers.litellm_lane.responses import (
    BridgedEvents,
    chat_of,
    response_answer,
    speaks_responses,
)
from shared.providers.litellm_lane.speech import (
    Spoken,
    SpokenDownload,
    SpokenEvents,
    speaks_in_chat,
    spoken,
    spoken_chat,
    spoken_in_chat,
)
from shared.providers.litellm_lane.stream import LiteLLMEvents
from shared.providers.litellm_lane.text import TextEvents, chat_call, text_answer
from shared.providers.litellm_lane.transcriptions import send_transcription
from shared.providers.openai_errors import visible_headers
from shared.providers.openai_wire import OpenAIWire
from shared.providers.transcript_events import WholeTranscript
from shared.wire.usage import read_usage

Operation = Callable[[ModuleType, Arguments], Awaitable[Any]]


async def _chat(module: ModuleType, made: Arguments) -> Any:
    return await module.acompletion(**made.values)


OPERATIONS: dict[str, Operation] = {"chat/completions": _chat}
"""LiteLLM's functions that answer as chats do, plain and streamed, by OpenAI's path."""

Sender = Callable[[Call, ModuleType, Arguments], Awaitable[Answer]]

SENDERS: dict[str, Sender] = {
    "audio/transcriptions": send_transcription,
    **dict.fromkeys(IMAGE_PATHS, draw),
    "embeddings": send_embeddings,
    "moderations": send_moderation,
}
"""How each other operation is asked and answered, by OpenAI's path: a further operation is a line here.

A sender gets the arguments that every call has (`base_arguments`), adds what it takes of the body, and makes the
answer. What LiteLLM raises in it is mapped here.
"""

_RELAYED = frozenset(
    ("completions", "audio/speech", "audio/transcriptions", "audio/translations", *IMAGE_PATHS)
)
"""Where a server speaks OpenAI's format, these are asked on our own wire.

LiteLLM's streams of text lose logprobs and all choices but the first; it holds audio back until it is whole, asks
Azure without the version, and has no streams of transcripts; it changes the parameters of images.
"""


class Told:
    """Listens to what LiteLLM tells the logger of one call: the text of the provider's own answer."""

    def __init__(self) -> None:
        self.text: str | None = None

    def note(self, details: Mapping[str, Any]) -> None:
        text = details.get("original_response")
        if isinstance(text, str):
            self.text = text


class LiteLLMProvider:
    """Calls models through `litellm`. Credentials go in as arguments, never into the environment."""

    def __init__(
        self,
        secrets: SecretStore,
        tokens: TokenSource,
        *,
        library: LiteLLMLibrary | None = None,
        client: HttpClient | None = None,
    ) -> None:
        self._secrets = secrets
        self._tokens = tokens
        self._library = library or LiteLLMLibrary()
        self._client = client or HttpClient()
        self._wire = OpenAIWire(self._client, secrets, tokens)
        self._guard = AddressGuard()

    def preload(self) -> None:
        """Starts the import of litellm in a thread; calls wait for it."""
        self._library.preload()

    async def send(self, call: Call) -> Answer:
        if _over_the_wire(call):
            return await self._wire.send(call)
        if call.path == "completions":
            return text_answer(await self.send(chat_call(call)))
        if call.operation == "Responses":
            chat, dropped = chat_of(call)
            return response_answer(call, await self.send(chat), dropped)
        if call.path in SENDERS:
            return await self._sent(SENDERS[call.path], call)
        module, made = await self._prepared(call)
        told = Told()
        made.values["logger_fn"] = told.note
        try:
            answer = await OPERATIONS[call.path](module, made)
        except Exception as error:
            raise proxy_error(error, made.secrets) from None
        content = faithful_answer(plain_answer(answer), told.text)
        if isinstance(content.get("model"), str):
            content["model"] = content["model"].removeprefix(made.provider + "/")
        return Answer(
            orjson.dumps(content),
            content,
            visible_headers(provider_headers(answer)),
            read_usage(content.get("usage")),
            made.dropped,
        )

    async def open(self, call: Call) -> Events:
        if _over_the_wire(call):
            return await self._wire.open(call)
        if call.path == "completions":
            return TextEvents(await self.open(chat_call(call)))
        if call.operation == "Responses":
            chat, dropped = chat_of(call)
            return BridgedEvents(call, await self.open(chat), dropped)
        if call.path == "audio/speech":
            return SpokenEvents(await self._spoken(call))
        if call.path in IMAGE_PATHS:
            return WholeImages(await self.send(call), call)
        if call.path in _RELAYED:
            return WholeTranscript(await self.send(call))
        module, made = await self._prepared(call)
        wrapper: Any = None
        try:
            wrapper = await OPERATIONS[call.path](module, made)
            # Some providers are asked only when the first chunk is: what they refuse must show now.
            fetch = getattr(wrapper, "fetch_stream", None)
            source = await fetch() if fetch is not None else wrapper
        except BaseException as error:
            if wrapper is not None:
                await wrapper.aclose()
            if isinstance(error, Exception):
                raise proxy_error(_explained(module, made, error), made.secrets) from None
            raise

        def explain(error: Exception) -> BaseException:
            return _explained(module, made, error)

        return LiteLLMEvents(wrapper, source, call=call, made=made, explain=explain)

    async def download(self, call: Call) -> Download:
        if call.path != "audio/speech":
            raise UnsupportedOperation(f"The model '{call.model.id}' does not do {call.path}.", param="model")
        if _over_the_wire(call):
            return await self._wire.download(call)
        return SpokenDownload(await self._spoken(call))

    async def probe(self, model: Model) -> bool:
        """Logs in (Vertex AI) or lists models; providers that only litellm knows cannot be asked for free."""
        await self._guard.check(model)
        if model.type.vertex:
            await probe_vertex(model, self._secrets)
        elif model.model_type == "AnthropicNative":
            await probe_anthropic(model, self._secrets, self._client)
        elif model.model_type == "GoogleGemini":
            await probe_gemini(model, self._secrets, self._client)
        elif model.type.native:
            return await self._wire.probe(model)
        else:
            return False
        return True

    async def close(self) -> None:
        await self._client.close()
        module = self._library.loaded()
        if module is not None:
            await module.close_litellm_async_clients()

    async def _sent(self, sender: Sender, call: Call) -> Answer:
        await self._guard.check(call.model)
        module = await self._library.module()
        made = await base_arguments(call, module, self._secrets, self._tokens)
        try:
            return await sender(call, module, made)
        except Exception as error:
            raise proxy_error(error, made.secrets) from None

    async def _spoken(self, call: Call) -> Spoken:
        await self._guard.check(call.model)
        module = await self._library.module()
        made = await base_arguments(call, module, self._secrets, self._tokens)
        if speaks_in_chat(made):
            return spoken_in_chat(call, await self.send(spoken_chat(call)))
        try:
            return await spoken(call, module, made)
        except Exception as error:
            raise proxy_error(error, made.secrets) from None

    async def _prepared(self, call: Call) -> tuple[ModuleType, Arguments]:
        if call.path not in OPERATIONS:
            raise UnsupportedOperation(f"The model '{call.model.id}' does not do {call.path}.", param="model")
        await self._guard.check(call.model)
        module = await self._library.module()
        return module, await arguments(call, module, self._secrets, self._tokens)


def _over_the_wire(call: Call) -> bool:
    """Whether the provider is asked on our own wire, for LiteLLM would lose or change something on the way."""
    if call.operation == "Responses":
        return speaks_responses(call)
    return call.path in _RELAYED and call.model.type.native


def _explained(module: ModuleType, made: Arguments, error: Exception) -> BaseException:
    """LiteLLM's class for a provider library's exception: it knows their words for a full context."""
    try:
        explained = module.exception_type(
            model=made.model, original_exception=error, custom_llm_provider=made.provider
        )
    except Exception as raised:
        explained = raised
    return explained if isinstance(explained, BaseException) else error
