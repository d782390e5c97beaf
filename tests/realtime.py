"""A proxy with realtime models, and ways of asking it for a WebSocket."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

from tests.proxy import Proxy, running_proxy
from tests.upstreams.realtime import RealtimeUpstream

SECRET = "sk-realtime-secret-of-ours"
AZURE_VERSION = "2025-04-01-preview"


@asynccontextmanager
async def realtime_proxy(
    directory: Path, upstream: RealtimeUpstream, **settings: Any
) -> AsyncIterator[Proxy]:
    """A proxy with the models `voice` (OpenAI), `azure-voice` (v1) and `dated-voice` (Azure, dated)."""
    async with running_proxy(directory, max_retries=0, **settings) as proxy:
        proxy.add_secret("REALTIME-KEY", SECRET)
        common: dict[str, Any] = {"operations": ["audio_realtime"], "costs": {"input": 1.0, "output": 2.0}}
        key = {"secret_name": "REALTIME_KEY"}
        azure = {"provider": "Azure", "model_type": "AzureOpenAI", **common}
        await proxy.add_model(
            "voice",
            upstream.url,
            code="gpt-realtime",
            provider="OpenAI",
            model_type="OpenAINative",
            parameters=key,
            **common,
        )
        await proxy.add_model(
            "azure-voice",
            upstream.url,
            code="gpt-realtime",
            parameters={**key, "deployment_name": "dep"},
            **azure,
        )
        dated = {**key, "deployment_name": "dep", "api_version": AZURE_VERSION}
        await proxy.add_model(
            "dated-voice", upstream.url, code="gpt-realtime-dated", parameters=dated, **azure
        )
        yield proxy


def socket(
    proxy: Proxy, path: str = "/v1/realtime?model=voice", *, key: str | None = "", **options: Any
) -> "aiohttp.client._WSRequestContextManager":
    """Asks for a WebSocket; `key=None` sends none, and the default is the administrator's."""
    headers = dict(options.pop("headers", {}))
    if key is not None:
        headers.setdefault("Authorization", f"Bearer {key or proxy.key}")
    return proxy.http.ws_connect(proxy.url + path, headers=headers, max_msg_size=2**25, **options)


async def refused(proxy: Proxy, path: str, *, key: str | None = "", **headers: str) -> tuple[int, Any, Any]:
    """The status, the envelope and the headers of a handshake that must fail."""
    upgrade = {
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
        **{name.replace("_", "-"): value for name, value in headers.items()},
    }
    reply = await proxy.call("GET", path, headers=upgrade, key=key)
    return reply.status, reply.error, reply.headers
