"""The limit: the least that a relay made of aiohttp's server and client can do, without any logic.

python -m benchmarks.relay --port 9001 --upstream http://127.0.0.1:9000
"""

import argparse
import asyncio

import uvloop
from aiohttp import ClientSession, TCPConnector, web


class Relay:
    def __init__(self, upstream: str, client: ClientSession) -> None:
        self._upstream = upstream
        self._client = client

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        if request.method != "POST":
            return web.Response()
        body = await request.read()
        headers = {"content-type": "application/json"}
        async with self._client.post(self._upstream + request.path, data=body, headers=headers) as answer:
            if answer.content_type != "text/event-stream":
                return web.Response(
                    body=await answer.read(), status=answer.status, content_type=answer.content_type
                )
            response = web.StreamResponse(headers={"content-type": answer.headers["content-type"]})
            await response.prepare(request)
            async for chunk in answer.content.iter_any():
                await response.write(chunk)
            await response.write_eof()
            return response


async def serve(port: int, upstream: str) -> None:
    async with ClientSession(connector=TCPConnector(limit=0)) as client:
        runner = web.ServerRunner(web.Server(Relay(upstream, client).handle, access_log=None))
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", port).start()
        await asyncio.Event().wait()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m benchmarks.relay")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--upstream", required=True)
    arguments = parser.parse_args()
    uvloop.run(serve(arguments.port, arguments.upstream))
