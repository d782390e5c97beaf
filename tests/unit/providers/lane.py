"""The LiteLLM lane against recording upstreams: models of each kind, secrets to look for, calls."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from shared import Json
from shared.catalog.documents import Model, parse_document
from shared.errors import SecretNotFound
from shared.providers.calls import Answer, Call
from shared.providers.litellm_lane.provider import LiteLLMProvider
from tests.upstreams.anthropic import AnthropicUpstream
from tests.upstreams.google import GoogleUpstream
from tests.upstreams.google_login import GoogleLogin
from tests.upstreams.openai import OpenAIUpstream

KEY = "fake-provider-key-0123456789"
EMAIL = "lane@some-project.iam.gserviceaccount.com"
QUESTION = [{"role": "user", "content": "What does the fox do?"}]
WEATHER = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "The weather in a city.",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}
CITY = {
    "type": "json_schema",
    "json_schema": {
        "name": "city",
        "strict": True,
        "schema": {
            "type": "object",
            "properties": {"city": {"type": "string"}},
            "required": ["city"],
            "additionalProperties": False,
        },
    },
}
PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="


@dataclass
class SomeSecrets:
    """A secret store in a dictionary."""

    texts: dict[str, str] = field(default_factory=dict)

    async def get(self, name: str) -> str:
        if name not in self.texts:
            raise SecretNotFound(name)
        return self.texts[name]

    async def close(self) -> None:
        return None


@dataclass
class SomeTokens:
    """A token source that says which scope it was asked for."""

    scopes: list[str] = field(default_factory=list)

    async def token(self, scope: str) -> str:
        self.scopes.append(scope)
        return "fake-identity-token"

    async def close(self) -> None:
        return None


@dataclass
class Told:
    """A whole stream: its chunks, and what the provider said about its end."""

    chunks: list[Json]
    done: bool
    dropped: tuple[str, ...]
    headers: Mapping[str, str]

    @property
    def text(self) -> str:
        return "".join(
            choice["delta"].get("content") or "" for chunk in self.chunks for choice in chunk["choices"]
        )

    @property
    def finish_reasons(self) -> list[str]:
        return [
            choice["finish_reason"]
            for chunk in self.chunks
            for choice in chunk["choices"]
            if choice.get("finish_reason")
        ]

    @property
    def arguments(self) -> str:
        return "".join(call["function"].get("arguments") or "" for call in self.tool_calls)

    @property
    def tool_calls(self) -> list[Json]:
        return [
            call
            for chunk in self.chunks
            for choice in chunk["choices"]
            for call in choice["delta"].get("tool_calls") or ()
        ]


@dataclass
class Lane:
    """One provider with its upstreams. `model` makes models whose endpoint is the fitting upstream."""

    provider: LiteLLMProvider
    secrets: SomeSecrets
    tokens: SomeTokens
    openai: OpenAIUpstream
    anthropic: AnthropicUpstream
    google: GoogleUpstream
    login: GoogleLogin

    def model(self, model_type: str, code: str, **parameters: Any) -> Model:
        provider, endpoint, own = self._defaults(model_type)
        own = {name: value for name, value in own.items() if name not in parameters}
        if parameters.get("auth"):
            own.pop("secret_name", None)
        document = {
            "id": "the-model",
            "code": code,
            "provider": provider,
            "model_type": model_type,
            "operations": ["ChatCompletion"],
            "parameters": {"endpoint": endpoint, **own, **parameters},
        }
        model, _ = parse_document(document, strict=True)
        assert isinstance(model, Model)
        return model

    def _defaults(self, model_type: str) -> tuple[str, str, Json]:
        if model_type.startswith("GoogleVertex"):
            return "Google", self.google.url, {"secret_name": "account", "gcp_project": "some-project"}
        if model_type == "GoogleGemini":
            return "Google", self.google.url, {"secret_name": "key"}
        if model_type == "AnthropicNative":
            return "Anthropic", self.anthropic.url, {"secret_name": "key"}
        provider = {"OpenAINative": "OpenAI", "AzureOpenAI": "Azure", "AzureFoundry": "Azure"}.get(model_type)
        return provider or model_type, self.openai.url, {"secret_name": "key", "lane": "litellm"}

    def call(
        self, model: Model, *, streamed: bool = False, path: str = "chat/completions", **body: Any
    ) -> Call:
        if path == "chat/completions":
            body = {"messages": QUESTION, **body}
        return Call("ChatCompletion", path, model, {"model": model.id, **body}, streamed)

    async def send(self, model: Model, **body: Any) -> Answer:
        return await self.provider.send(self.call(model, **body))

    async def tell(self, model: Model, **body: Any) -> Told:
        """A whole stream; raises what it raises."""
        events = await self.provider.open(self.call(model, streamed=True, **body))
        try:
            chunks = [event.chunk async for event in events]
        finally:
            await events.aclose()
        return Told(chunks, events.done, events.dropped, events.headers)


@asynccontextmanager
async def open_lane() -> AsyncIterator[Lane]:
    async with (
        OpenAIUpstream() as openai,
        AnthropicUpstream() as anthropic,
        GoogleUpstream() as google,
        GoogleLogin() as login,
    ):
        secrets = SomeSecrets({"key": KEY, "account": login.service_account(EMAIL)})
        tokens = SomeTokens()
        provider = LiteLLMProvider(secrets, tokens)
        try:
            yield Lane(provider, secrets, tokens, openai, anthropic, google, login)
        finally:
            await provider.close()
