from urllib.parse import quote

import pytest

from tests.proxy import Proxy


@pytest.mark.parametrize("id", ["plain", "meta/llama-3", "a b?#", "模型"])
async def test_a_model_is_managed_by_its_id_whatever_it_holds(proxy: Proxy, id: str) -> None:
    await proxy.add_model(id, "http://127.0.0.1:9")
    path = "/manage/models/" + quote(id, safe="")
    shown = await proxy.call("GET", path)
    assert (shown.status, shown.json()["id"]) == (200, id)
    match = {"If-Match": shown.headers["etag"]}
    changed = await proxy.call("PATCH", path, {"name": "renamed"}, headers=match)
    assert (changed.status, changed.json()["name"]) == (200, "renamed")
    assert (await proxy.call("GET", "/v1/models/" + quote(id, safe=""))).json()["name"] == "renamed"
    for method in ("PATCH", "DELETE"):
        stale = await proxy.call(method, path, {"name": "again"}, headers=match)
        assert (stale.status, stale.error["code"]) == (412, "precondition_failed")
    gone = await proxy.call("DELETE", path, headers={"If-Match": changed.headers["etag"]})
    assert gone.json() == {"object": "model.deleted", "id": id, "deleted": True}
    missing = await proxy.call("GET", path)
    assert (missing.status, missing.error["code"]) == (404, "model_not_found")


async def test_a_model_is_made_once(proxy: Proxy) -> None:
    made = await proxy.add_model("m", "http://127.0.0.1:9")
    writable = {
        name: made[name] for name in ("id", "code", "provider", "model_type", "operations", "parameters")
    }
    again = await proxy.call("POST", "/manage/models", writable)
    assert (again.status, again.error["code"]) == (409, "conflict")


async def test_models_are_listed_page_by_page(proxy: Proxy) -> None:
    for id in ("m1", "m2", "m3"):
        await proxy.add_model(id, "http://127.0.0.1:9")
    found: list[str] = []
    after = ""
    while True:
        page = (await proxy.call("GET", f"/manage/models?limit=2{after}")).json()
        found += [model["id"] for model in page["data"]]
        if not page["has_more"]:
            break
        after = "&after=" + quote(page["last_id"], safe="")
    assert found == sorted(found)
    assert {"m1", "m2", "m3"} <= set(found)
