"""The limit on Azure's runtime library: one function that relays to the upstream, without any logic."""

import logging
import os
from collections.abc import AsyncGenerator

import azure.functions as func
from aiohttp import ClientResponse, ClientSession, TCPConnector
from azurefunctions.extensions.http.fastapi import Request, Response, StreamingResponse

METHODS = ["GET", "POST"]


class Relay:
    """Made at import, connected at the first request: the loop is not running before."""

    def __init__(self, upstream: str) -> None:
        self._upstream = upstream
        self._client: ClientSession | None = None

    async def handle(self, req: Request) -> Response:
        if req.method != "POST":
            return Response()
        if self._client is None:
            self._client = ClientSession(connector=TCPConnector(limit=0))
        body = await req.body()
        answer = await self._client.post(
            self._upstream + req.url.path, data=body, headers={"content-type": "application/json"}
        )
        if answer.content_type == "text/event-stream":
            return StreamingResponse(_chunks(answer), media_type="text/event-stream")
        async with answer:
            return Response(await answer.read(), status_code=answer.status, media_type=answer.content_type)


async def _chunks(answer: ClientResponse) -> AsyncGenerator[bytes, None]:
    async with answer:
        async for chunk in answer.content.iter_any():
            yield chunk


# These two log lines per request, which are not to be measured. uvicorn sets levels anew when it starts.
for name in ("azure.functions", "uvicorn.access"):
    logging.getLogger(name).addFilter(lambda record: record.levelno >= logging.WARNING)

app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)
relay = Relay(os.environ["BENCH_UPSTREAM"])


@app.function_name("relay")
@app.route(route="{*path}", methods=METHODS)
async def relay_function(req: Request) -> Response:
    return await relay.handle(req)
