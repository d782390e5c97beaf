"""No project learns of another's jobs: every address of a job and of a background response, asked by everyone else."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from shared import Json
from shared.clock import ManualClock
from shared.jobs.ids import new_id
from tests.http.jobs import Events, chat, complete
from tests.http.test_background_responses import Desk, answer_of
from tests.http.test_responses import add_model
from tests.proxy import Proxy, Reply, running_proxy
from tests.upstreams.responses import ResponsesUpstream

BASES = (
    "/v1/async/chat/completions",
    "/v1/chat/completions/async",
    "/openai/v1/async/chat/completions",
    "/openai/v1/chat/completions/async",
)
ABOUT_JOBS = (("GET", ""), ("GET", "/status"), ("GET", "/result"), ("DELETE", ""), ("POST", "/cancel"))
RESPONSES = ("/v1/responses", "/openai/responses", "/openai/v1/responses")
ABOUT_RESPONSES = (
    ("GET", ""),
    ("GET", "?stream=true"),
    ("GET", "/input_items"),
    ("POST", "/cancel"),
    ("DELETE", ""),
)
SECRET = "Tell no one: the meeting is at nine."
"""What must never be seen by others."""


@dataclass
class House:
    """A proxy with jobs of the project `ours`, one that waits and one that is done, of each kind."""

    proxy: Proxy
    upstream: ResponsesUpstream
    ours: str
    strangers: dict[str, str]
    jobs: dict[str, str]
    responses: dict[str, str]

    async def heads(self) -> list[Any]:
        """All jobs as they are."""
        store = self.proxy.services.job_store
        return [await store.get(id) for id in (*self.jobs.values(), *await self.jobs_behind())]

    async def jobs_behind(self) -> list[str]:
        """The ids of the jobs behind the responses."""
        return [(await Desk(self.proxy, id, "ours").held()).job.id for id in self.responses.values()]


@pytest.fixture
async def upstream() -> AsyncIterator[ResponsesUpstream]:
    async with ResponsesUpstream() as running:
        yield running


@pytest.fixture
async def house(tmp_path: Path, upstream: ResponsesUpstream) -> AsyncIterator[House]:
    async with running_proxy(tmp_path, clock=ManualClock(), publisher=Events()) as proxy:
        proxy.add_secret("up", "sk-upstream-secret-000000")
        await add_model(proxy, upstream, "small", operations=["ChatCompletion", "Responses"])
        await add_model(proxy, upstream, "m", operations=["Responses"])
        ours = await proxy.add_key(project="ours")
        jobs, responses = {}, {}
        for state in ("waiting", "done"):
            made = await proxy.call("POST", BASES[0], asked(), key=ours)
            jobs[state] = str(made.json()["id"])
            made = await proxy.call("POST", RESPONSES[0], wanted(), key=ours)
            responses[state] = str(made.json()["id"])
        await complete(proxy, jobs["done"])
        desk = Desk(proxy, responses["done"], "ours")
        await desk.claim()
        await desk.complete(answer_of(upstream, input=SECRET))
        strangers = {
            "a user": await proxy.add_key(project="theirs"),
            "their admin": await proxy.add_key(project="theirs", role="admin"),
            "the first admin": proxy.key,
        }
        yield House(proxy, upstream, ours, strangers, jobs, responses)


def asked(**fields: Any) -> Json:
    return chat(messages=[{"role": "user", "content": SECRET}], **fields)


def wanted(**fields: Any) -> Json:
    return {"model": "m", "input": SECRET, "background": True, **fields}


def without_id(reply: Reply, id: str) -> tuple[int, Json]:
    """What a reply says, but for the id that was asked for."""
    error = {**reply.error, "message": reply.error["message"].replace(id, "ID")}
    return reply.status, error


@pytest.mark.parametrize("stranger", ["a user", "their admin", "the first admin"])
async def test_to_others_a_job_is_as_if_it_were_not_there(house: House, stranger: str) -> None:
    proxy, key, before = house.proxy, house.strangers[stranger], await house.heads()
    for id in (*house.jobs.values(), *house.responses.values()):
        for base in BASES:
            for method, below in ABOUT_JOBS:
                reply = await proxy.call(method, f"{base}/{quote(id)}{below}", key=key)
                nothing = new_id()
                other = await proxy.call(method, f"{base}/{nothing}{below}", key=key)
                assert (reply.status, reply.error["code"]) == (404, "not_found"), (method, base, below)
                assert without_id(reply, id) == without_id(other, nothing)
    assert await house.heads() == before


@pytest.mark.parametrize("stranger", ["a user", "their admin", "the first admin"])
async def test_to_others_a_background_response_is_as_if_it_were_not_there(
    house: House, stranger: str
) -> None:
    proxy, key, before = house.proxy, house.strangers[stranger], await house.heads()
    ids = [*house.responses.values(), *house.jobs.values(), *await house.jobs_behind()]
    for id in ids:
        for base in RESPONSES:
            for method, below in ABOUT_RESPONSES:
                for query in ("", "project_id=ours"):
                    path = f"{base}/{id}{below}"
                    path += (("&" if "?" in path else "?") + query) if query else ""
                    reply = await proxy.call(method, path, key=key)
                    assert (reply.status, reply.error["code"]) == (404, "not_found"), (method, path)
                    assert SECRET.encode() not in reply.body
        for background in (True, False):
            body = {"model": "m", "input": "And?", "previous_response_id": id, "background": background}
            reply = await proxy.call("POST", RESPONSES[0], body, key=key)
            assert (reply.status, reply.error["param"]) == (404, "previous_response_id")
    assert await house.heads() == before
    assert house.upstream.requests == []


async def test_a_user_cannot_name_another_project(house: House) -> None:
    proxy, before = house.proxy, await house.heads()
    key = house.strangers["a user"]
    for base in BASES:
        paths = [("GET", base)]
        paths += [
            (method, f"{base}/{id}{below}") for id in house.jobs.values() for method, below in ABOUT_JOBS
        ]
        for method, path in paths:
            reply = await proxy.call(method, f"{path}?project_id=ours", key=key)
            assert (reply.status, reply.error["code"]) == (403, "admin_required"), (method, path)
    reply = await proxy.call("GET", "/v1/async/metrics?project_id=ours", key=key)
    assert (reply.status, reply.error["code"]) == (403, "admin_required")
    assert await house.heads() == before


@pytest.mark.parametrize("admin", ["their admin", "the first admin"])
async def test_an_admin_sees_and_cancels_the_jobs_of_a_project_that_it_names(
    house: House, admin: str
) -> None:
    proxy, key = house.proxy, house.strangers[admin]
    named = "project_id=ours"
    for base in BASES:
        found = (await proxy.call("GET", f"{base}?{named}", key=key)).json()["data"]
        assert {job["id"] for job in found} == set(house.jobs.values())
        done = f"{base}/{house.jobs['done']}"
        whole = (await proxy.call("GET", f"{done}?{named}", key=key)).json()
        assert (whole["status"], whole["messages"][0]["content"]) == ("completed", SECRET)
        assert (await proxy.call("GET", f"{done}/status?{named}", key=key)).status == 200
        assert (await proxy.call("GET", f"{done}/result?{named}", key=key)).status == 200
        # Another project than the job's is as good as none.
        assert (await proxy.call("GET", f"{done}?project_id=others", key=key)).status == 404
    reply = await proxy.call("DELETE", f"{BASES[0]}/{house.jobs['waiting']}?{named}", key=key)
    assert (reply.status, reply.json()["status"]) == (200, "cancelled")


async def test_a_colleague_with_another_key_of_the_project_does_what_the_submitter_does(house: House) -> None:
    proxy = house.proxy
    key = await proxy.add_key(project="ours")
    assert len((await proxy.call("GET", BASES[0], key=key)).json()["data"]) == 2
    assert (await proxy.call("GET", f"{BASES[0]}/{house.jobs['done']}/result", key=key)).status == 200
    for base in RESPONSES:
        shown = (await proxy.call("GET", f"{base}/{house.responses['done']}", key=key)).json()
        assert (shown["id"], shown["status"]) == (house.responses["done"], "completed")
    body = {"model": "m", "input": "And?", "previous_response_id": house.responses["done"]}
    assert (await proxy.call("POST", RESPONSES[0], body, key=key)).status == 200
    reply = await proxy.call("POST", f"{RESPONSES[0]}/{house.responses['waiting']}/cancel", key=key)
    assert reply.json()["status"] == "cancelled"


@pytest.mark.parametrize("stranger", ["a user", "their admin", "the first admin"])
async def test_a_list_and_the_figures_are_of_the_callers_project_alone(house: House, stranger: str) -> None:
    proxy, key = house.proxy, house.strangers[stranger]
    own = str((await proxy.call("POST", BASES[0], chat(), key=key)).json()["id"])
    for base in BASES:
        for query in ("", "?status=queued", "?limit=100"):
            found = (await proxy.call("GET", base + query, key=key)).json()["data"]
            assert [job["id"] for job in found] == [own]
        assert (await proxy.call("GET", f"{base}?status=completed", key=key)).json()["data"] == []
        for id in house.jobs.values():
            nothing = new_id()
            reply = await proxy.call("GET", f"{base}?after={id}", key=key)
            other = await proxy.call("GET", f"{base}?after={nothing}", key=key)
            assert without_id(reply, id) == without_id(other, nothing)
            assert (reply.status, reply.error["param"]) == (400, "after")
    if stranger == "a user":
        house.proxy.services.clock.advance(60)  # type: ignore[attr-defined]
        shown = (await proxy.call("GET", "/v1/async/metrics", key=key)).json()
        assert (shown["total_jobs"], shown["completed_jobs"]) == (1, 0)


async def test_an_idempotency_key_is_the_projects_own(house: House) -> None:
    proxy, theirs = house.proxy, house.strangers["a user"]

    async def post(path: str, body: Json, key: str) -> Reply:
        return await proxy.call("POST", path, body, key=key, headers={"Idempotency-Key": "same"})

    first, second = await post(BASES[0], asked(), house.ours), await post(BASES[0], chat(), theirs)
    assert (first.status, second.status) == (202, 202)
    assert first.json()["id"] != second.json()["id"]
    again = await post(BASES[0], asked(), house.ours), await post(BASES[0], chat(), theirs)
    assert [reply.json()["id"] for reply in again] == [first.json()["id"], second.json()["id"]]
    assert (await post(BASES[0], chat(), house.ours)).error["code"] == "idempotency_conflict"
    # Within a project it is one job's, of whatever kind.
    assert (await post(RESPONSES[0], wanted(), house.ours)).error["code"] == "idempotency_conflict"
    third = house.strangers["the first admin"]
    made = [await post(RESPONSES[0], wanted(), key) for key in (third, await proxy.add_key(project="fourth"))]
    assert [reply.status for reply in made] == [200, 200]
    assert made[0].json()["id"] != made[1].json()["id"]


async def test_an_id_of_one_kind_of_job_is_none_of_the_other(house: House) -> None:
    """Not even for the project whose jobs they are."""
    proxy, before = house.proxy, await house.heads()
    for id in house.jobs.values():
        for method, below in ABOUT_RESPONSES:
            reply = await proxy.call(method, f"{RESPONSES[0]}/{id}{below}", key=house.ours)
            assert reply.status == 404
    for id in (*house.responses.values(), *await house.jobs_behind()):
        for method, below in ABOUT_JOBS:
            reply = await proxy.call(method, f"{BASES[0]}/{id}{below}", key=house.ours)
            assert reply.status == 404
    assert await house.heads() == before
