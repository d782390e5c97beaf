"""`/manage/dead-letters`: for administrators, over HTTP."""

import asyncio
from pathlib import Path

from shared.ports import Event
from tests.proxy import Proxy, running_proxy

BASE = "/manage/dead-letters"


async def dead_letter(proxy: Proxy) -> str:
    await proxy.services.publisher.publish("chat-jobs", [Event("x", b"not json")])
    async with asyncio.timeout(10):
        while not (found := (await proxy.call("GET", BASE)).json()["data"]):
            await asyncio.sleep(0.02)
    return str(found[0]["id"])


async def test_a_dead_letter_is_listed_shown_and_put_back(tmp_path: Path) -> None:
    async with running_proxy(tmp_path, events=True) as proxy:
        id = await dead_letter(proxy)
        shown = await proxy.call("GET", f"{BASE}/{id}")
        assert (shown.status, shown.json()["body"], shown.json()["reason"]) == (200, "not json", "not_json")
        again = await proxy.call("POST", f"{BASE}/{id}/retry")
        assert (again.status, again.json()["id"]) == (200, id)
        # It is no better than before, and comes here again.
        async with asyncio.timeout(10):
            while (await proxy.call("GET", f"{BASE}/{id}")).json()["status"] != "dead":
                await asyncio.sleep(0.02)
        assert len((await proxy.call("GET", BASE)).json()["data"]) == 1


async def test_a_dead_letter_that_waits_in_its_hub_is_not_put_back_twice(tmp_path: Path) -> None:
    async with running_proxy(tmp_path, events=True) as proxy:
        id = await dead_letter(proxy)
    async with running_proxy(tmp_path) as proxy:
        assert (await proxy.call("POST", f"{BASE}/{id}/retry")).status == 200
        refused = await proxy.call("POST", f"{BASE}/{id}/retry")
        assert (refused.status, refused.error["code"]) == (409, "conflict")


async def test_what_is_not_there_or_not_taken_is_refused(proxy: Proxy) -> None:
    for method, path, status in (
        ("GET", f"{BASE}/x", 404),
        ("POST", f"{BASE}/x/retry", 404),
        ("GET", f"{BASE}/x/other", 404),
        ("POST", BASE, 405),
        ("POST", f"{BASE}/x", 405),
        ("GET", f"{BASE}/x/retry", 405),
        ("DELETE", f"{BASE}/x", 405),
        ("GET", f"{BASE}?limit=0", 400),
        ("GET", f"{BASE}?hub=x", 400),
    ):
        reply = await proxy.call(method, path)
        assert reply.status == status, (method, path, reply.body)
        assert reply.error


async def test_only_administrators_see_dead_letters(proxy: Proxy) -> None:
    key = await proxy.add_key()
    assert (await proxy.call("GET", BASE, key=key)).status == 403
    assert (await proxy.call("GET", BASE, key=None)).status == 401
