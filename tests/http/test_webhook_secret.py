"""The address where an administrator finds what a project's receivers verify with."""

from urllib.parse import quote

from shared.webhooks.signing import project_secret
from tests.proxy import Proxy


async def test_each_project_has_a_secret_of_its_own(proxy: Proxy) -> None:
    master = await proxy.services.secrets.get("llmproxy-webhook-master")
    for id in ("team", "a/b", "groß?#&", "webhook-secret", "x/webhook-secret"):
        assert (await proxy.call("POST", "/manage/projects", {"id": id})).status == 201
        reply = await proxy.call("GET", f"/manage/projects/{quote(id, safe='')}/webhook-secret")
        assert reply.status == 200
        assert reply.json() == {
            "object": "webhook_secret",
            "project_id": id,
            "secret": project_secret(master, id),
        }
        assert reply.headers["cache-control"] == "no-store"
        found = await proxy.call("GET", f"/manage/projects/{quote(id, safe='')}")
        assert found.json()["object"] == "project"


async def test_only_administrators_see_it_and_only_for_projects_that_there_are(proxy: Proxy) -> None:
    path = "/manage/projects/team/webhook-secret"
    assert (await proxy.call("GET", path)).error["code"] == "not_found"
    key = await proxy.add_key()
    refused = await proxy.call("GET", path, key=key)
    assert (refused.status, refused.error["code"]) == (403, "admin_required")
    assert (await proxy.call("GET", path, key=None)).status == 401
    deleting = await proxy.call("DELETE", path)
    assert (deleting.status, deleting.headers["allow"]) == (405, "GET")
    assert (await proxy.call("GET", "/manage/projects/team")).status == 200


async def test_without_the_master_it_is_503(proxy: Proxy) -> None:
    proxy.add_secret("llmproxy-webhook-master", "")
    proxy.services.secrets.forget("llmproxy-webhook-master")
    reply = await proxy.call("GET", "/manage/projects/default/webhook-secret")
    assert (reply.status, reply.error["code"]) == (503, "provider_unavailable")
