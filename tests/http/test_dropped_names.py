"""Names of dropped parameters come from the client and end in a header: they must not break the answer."""

import asyncio
from pathlib import Path

import pytest

from tests.http.jobs import JOBS, submitted
from tests.proxy import Proxy, Reply, running_proxy


def body(**fields: object) -> dict[str, object]:
    return {"model": "demo-chat", "messages": [{"role": "user", "content": "Hello"}], **fields}


async def test_dropped_parameters_are_named(proxy: Proxy) -> None:
    reply = await proxy.call("POST", "/v1/chat/completions", body(top_k=5, min_p=0.1))
    assert reply.headers["x-llmproxy-dropped-params"] == "min_p,top_k"


@pytest.mark.parametrize("name", ["a\r\nset-cookie: x=1", "a,b", "é", "\x00", ""])
async def test_a_name_that_no_header_can_hold_is_encoded(proxy: Proxy, name: str) -> None:
    reply = await proxy.call("POST", "/v1/chat/completions", body(**{name: 5}))
    assert reply.status == 200
    assert "set-cookie" not in reply.headers
    shown = reply.headers["x-llmproxy-dropped-params"]
    assert shown.isascii()
    assert "," not in shown


async def test_thousands_of_names_do_not_burst_the_header(proxy: Proxy) -> None:
    names = {f"made_up_{index}": 1 for index in range(5_000)}
    reply = await proxy.call("POST", "/v1/chat/completions", body(**names))
    assert reply.status == 200
    assert len(reply.headers["x-llmproxy-dropped-params"]) < 4_000


async def test_the_result_of_a_job_names_them_too(tmp_path: Path) -> None:
    ids: list[str] = []
    async with running_proxy(tmp_path, events=True) as proxy:

        async def answered(**fields: object) -> Reply:
            ids.append(await submitted(proxy, body(**fields)))
            path = f"{JOBS}/{ids[-1]}/result"
            async with asyncio.timeout(10):
                while (reply := await proxy.call("GET", path)).status == 202:
                    await asyncio.sleep(0.02)
            return reply

        named = await answered(top_k=5, min_p=0.1)
        assert (named.status, named.headers["x-llmproxy-dropped-params"]) == (200, "min_p,top_k")
        many = await answered(**{f"made_up_{index}": 1 for index in range(5_000)})
        assert many.headers["x-llmproxy-dropped-params"].endswith(",...")
        head = await proxy.services.job_store.get(ids[-1])
        assert head is not None
        assert len(head.job.dropped) < 100
        assert "x-llmproxy-dropped-params" not in (await answered()).headers
