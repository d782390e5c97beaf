import asyncio

from shared.access.key_format import KeyParts, new_id, new_secret
from tests.proxy import Proxy


async def test_a_key_made_over_http_opens_the_proxy(proxy: Proxy) -> None:
    made = await proxy.call("POST", "/manage/keys", {"project": "search", "name": "Search"})
    assert made.status == 201
    body = made.json()
    assert made.headers["etag"].startswith('"')
    assert (await proxy.call("GET", "/v1/models", key=body["key"])).status == 200
    shown = await proxy.call("GET", f"/manage/keys/{body['id']}")
    assert shown.status == 200
    assert shown.headers["etag"] == made.headers["etag"]
    assert "key" not in shown.json()
    assert [key["id"] for key in (await proxy.call("GET", "/manage/keys")).json()["data"]] == [body["id"]]


async def test_only_administrators_manage(proxy: Proxy) -> None:
    user, admin = await proxy.add_key(), await proxy.add_key(role="admin")
    for path in ("keys", "projects", "models", "usage", "requests", "catalog/refresh"):
        method = "POST" if path == "catalog/refresh" else "GET"
        without = await proxy.call(method, f"/manage/{path}", key=None)
        assert (without.status, without.error["code"]) == (401, "missing_api_key")
        assert without.headers["www-authenticate"] == "Bearer"
        refused = await proxy.call(method, f"/manage/{path}", key=user)
        assert (refused.status, refused.error["code"]) == (403, "admin_required")
        assert (await proxy.call(method, f"/manage/{path}", key=admin)).status == 200


async def test_an_unknown_key_is_401_and_two_keys_that_differ_are_too(proxy: Proxy) -> None:
    unknown = KeyParts(new_id(), new_secret()).text
    for key in (unknown, "sk-something"):
        reply = await proxy.call("GET", "/v1/models", key=key)
        assert (reply.status, reply.error["code"]) == (401, "invalid_api_key")
    reply = await proxy.call("GET", "/v1/models", headers={"api-key": unknown})
    assert (reply.status, reply.error["code"]) == (401, "invalid_api_key")
    for name in ("api-key", "X-API-Key"):
        assert (await proxy.call("GET", "/v1/models", key=None, headers={name: proxy.key})).status == 200


async def test_a_change_bound_to_an_old_version_is_412(proxy: Proxy) -> None:
    made = await proxy.call("POST", "/manage/keys", {})
    path, match = f"/manage/keys/{made.json()['id']}", {"If-Match": made.headers["etag"]}
    changed = await proxy.call("PATCH", path, {"name": "a"}, headers=match)
    assert (changed.status, changed.json()["name"]) == (200, "a")
    for method in ("PATCH", "DELETE"):
        stale = await proxy.call(method, path, {"name": "b"}, headers=match)
        assert (stale.status, stale.error["code"]) == (412, "precondition_failed")
    stale = await proxy.call("POST", path + "/rotate", {}, headers=match)
    assert stale.status == 412
    gone = await proxy.call("DELETE", path, headers={"If-Match": changed.headers["etag"]})
    assert gone.json() == {"object": "key.deleted", "id": made.json()["id"], "deleted": True}
    assert (await proxy.call("GET", path)).error["code"] == "not_found"


async def test_a_deleted_or_disabled_key_is_refused_at_once_here(proxy: Proxy) -> None:
    made = [(await proxy.call("POST", "/manage/keys", {})).json() for _ in range(2)]
    await proxy.call("DELETE", f"/manage/keys/{made[0]['id']}")
    await proxy.call("PATCH", f"/manage/keys/{made[1]['id']}", {"enabled": False})
    for key in made:
        reply = await proxy.call("GET", "/v1/models", key=key["key"])
        assert (reply.status, reply.error["code"]) == (401, "invalid_api_key")


async def test_a_rotated_key_works_with_both_secrets_unless_told_otherwise(proxy: Proxy) -> None:
    old = (await proxy.call("POST", "/manage/keys", {})).json()
    path = f"/manage/keys/{old['id']}/rotate"
    new = await proxy.call("POST", path)
    assert new.status == 200
    for key in (old["key"], new.json()["key"]):
        assert (await proxy.call("GET", "/v1/models", key=key)).status == 200
    last = (await proxy.call("POST", path, {"grace_seconds": 0})).json()
    assert (await proxy.call("GET", "/v1/models", key=last["key"])).status == 200
    for key in (old["key"], new.json()["key"]):
        assert (await proxy.call("GET", "/v1/models", key=key)).status == 401


async def test_what_a_key_cannot_be_is_said_in_the_envelope(proxy: Proxy) -> None:
    wrong = await proxy.call("POST", "/manage/keys", {"models": ["a", 7]})
    assert (wrong.status, wrong.error["param"]) == (400, "models[1]")
    unknown = await proxy.call("POST", "/manage/keys", {"colour": "red"})
    assert (unknown.status, unknown.error["code"]) == (400, "unsupported_parameter")
    for data in (b"", b"{", b"[]", b"\xff"):
        broken = await proxy.call("POST", "/manage/keys", data=data)
        assert (broken.status, broken.error["code"]) == (400, "invalid_json")
    limited = await proxy.call("POST", "/manage/keys", {"rpm": 5})
    assert limited.json()["warnings"] == ["rpm is not enforced yet"]


METHODS = [
    ("PATCH", "/manage/keys", "GET, POST"),
    ("DELETE", "/manage/projects", "GET, POST"),
    ("POST", "/manage/keys/abc", "GET, PATCH, DELETE"),
    ("PUT", "/manage/keys/abc", "GET, POST, PATCH, DELETE"),
    ("GET", "/manage/keys/abc/rotate", "POST"),
    ("POST", "/manage/usage", "GET"),
    ("GET", "/manage/usage/recompute", "POST"),
    ("POST", "/manage/requests", "GET"),
    ("GET", "/manage/catalog/refresh", "POST"),
]


async def test_a_method_that_an_address_does_not_take_is_405(proxy: Proxy) -> None:
    for method, path, allowed in METHODS:
        reply = await proxy.call(method, path)
        found = (reply.status, reply.error["code"], reply.headers["allow"])
        assert found == (405, "method_not_allowed", allowed), path


async def test_what_is_not_there_is_404(proxy: Proxy) -> None:
    for path in ("keys/abc", "keys/abc/def", "keys/abc/rotate/x", "projects/abc", "usage/x"):
        reply = await proxy.call("GET", f"/manage/{path}")
        assert (reply.status, reply.error["code"]) == (404, "not_found"), path


async def test_changes_at_the_same_time_lose_nothing(proxy: Proxy) -> None:
    id = (await proxy.call("POST", "/manage/keys", {})).json()["id"]
    patches = [{"metadata": {str(number): number}} for number in range(3)]
    await asyncio.gather(*(proxy.call("PATCH", f"/manage/keys/{id}", patch) for patch in patches))
    assert (await proxy.call("GET", f"/manage/keys/{id}")).json()["metadata"] == {"0": 0, "1": 1, "2": 2}
