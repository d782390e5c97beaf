from urllib.parse import quote

from tests.proxy import Proxy


async def test_a_project_is_found_by_its_id_whatever_it_holds(proxy: Proxy) -> None:
    for id in ("plain", "a/b", "a b", "100%", "groß?#&", "グループ"):
        assert (await proxy.call("POST", "/manage/projects", {"id": id})).status == 201
        path = "/manage/projects/" + quote(id, safe="")
        found = await proxy.call("GET", path)
        assert (found.status, found.json()["id"]) == (200, id)
        match = {"If-Match": found.headers["etag"]}
        assert (await proxy.call("PATCH", path, {"name": "n"}, headers=match)).json()["name"] == "n"
        assert (await proxy.call("DELETE", path)).json()["deleted"] is True
        assert (await proxy.call("GET", path)).status == 404


async def test_a_project_that_is_used_is_409(proxy: Proxy) -> None:
    await proxy.add_key(project="used")
    for reply in (
        await proxy.call("DELETE", "/manage/projects/used"),
        await proxy.call("POST", "/manage/projects", {"id": "used"}),
    ):
        assert (reply.status, reply.error["code"]) == (409, "conflict")
        assert reply.headers["x-should-retry"] == "false"


async def test_the_first_model_that_names_a_project_makes_it(proxy: Proxy) -> None:
    await proxy.add_model("m", "http://127.0.0.1:9", private=True, projects=["lab"])
    assert (await proxy.call("GET", "/manage/projects/lab")).status == 200
    assert (await proxy.call("DELETE", "/manage/projects/lab")).status == 409
