"""A proxy, the provider behind it, and official clients that call it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from openai import AsyncAzureOpenAI, AsyncOpenAI, AzureOpenAI, OpenAI
from openai.types.chat import ChatCompletionMessageParam

from tests.e2e.targets import SECRET, SECRET_NAME, TARGETS
from tests.proxy import Proxy, running_proxy
from tests.upstreams.openai import OpenAIUpstream

API_VERSION = "2024-10-21"
ASKED: list[ChatCompletionMessageParam] = [{"role": "user", "content": "Where is the Louvre?"}]


@dataclass
class World:
    """The proxy with one model for each target, all served by `upstream`. Each client belongs to its caller."""

    proxy: Proxy
    upstream: OpenAIUpstream

    def client(self, path: str = "/v1", key: str = "", **options: Any) -> AsyncOpenAI:
        return AsyncOpenAI(base_url=self.proxy.url + path, api_key=key or self.proxy.key, **options)

    def sync_client(self, path: str = "/v1", **options: Any) -> OpenAI:
        """To be used on a thread of its own: the proxy runs on the test's loop."""
        return OpenAI(base_url=self.proxy.url + path, api_key=self.proxy.key, **options)

    def azure_client(self, **options: Any) -> AsyncAzureOpenAI:
        return AsyncAzureOpenAI(**self._azure(options))

    def sync_azure_client(self, **options: Any) -> AzureOpenAI:
        return AzureOpenAI(**self._azure(options))

    def _azure(self, options: dict[str, Any]) -> dict[str, Any]:
        where = {} if "base_url" in options else {"azure_endpoint": self.proxy.url}
        credential = {} if "azure_ad_token" in options else {"api_key": self.proxy.key}
        return {"api_version": API_VERSION, **where, **credential, **options}


@asynccontextmanager
async def running_world(directory: Path, **settings: Any) -> AsyncIterator[World]:
    """`settings` as for `running_proxy`."""
    async with OpenAIUpstream() as upstream, running_proxy(directory, **settings) as proxy:
        proxy.add_secret(SECRET_NAME.replace("_", "-"), SECRET)
        for target in TARGETS:
            reply = await proxy.call("POST", "/manage/models", target.document(upstream.url))
            assert reply.status == 201, reply.body
        yield World(proxy, upstream)
