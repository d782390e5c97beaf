from datetime import UTC, datetime

from tests.proxy import Proxy
from tests.upstreams.openai import OpenAIUpstream

CHAT = {"messages": [{"role": "user", "content": "hello"}], "user": "someone"}


async def test_a_call_is_seen_in_requests_and_in_sums(proxy: Proxy, upstream: OpenAIUpstream) -> None:
    proxy.add_secret("provider-key", "a-secret-of-the-provider")
    await proxy.add_model(
        "m/1",
        upstream.url + "/v1",
        parameters={"secret_name": "provider-key"},
        costs={"input": 1.0, "output": 2.0},
    )
    key = await proxy.add_key(project="search")
    for model in ("m/1", "absent"):
        reply = await proxy.call("POST", "/v1/chat/completions", {"model": model, **CHAT}, key=key)
        assert reply.status == (200 if model == "m/1" else 404), reply.body
    served = next(item for item in await proxy.requests() if item["status"] == 200)
    assert (served["project"], served["user"], served["model"]) == ("search", "someone", "m/1")
    assert served["usage"]["total_tokens"] > 0
    assert served["cost_usd"] > 0
    assert "hello" not in str(served)
    found = await proxy.call("GET", "/manage/requests?project_id=search&model=m%2F1&status=2xx&limit=1")
    assert [item["id"] for item in found.json()["data"]] == [served["id"]]
    report = (await proxy.call("GET", "/manage/usage?group_by=model,key&project_id=search")).json()
    row = next(row for row in report["data"] if row["model"] == "m/1")
    assert (row["requests"], row["errors"], row["key_id"]) == (1, 0, served["key_id"])
    assert round(row["cost_usd"], 9) == round(served["cost_usd"], 9)


async def test_sums_can_be_made_again(proxy: Proxy, upstream: OpenAIUpstream) -> None:
    await proxy.add_model("m", upstream.url + "/v1")
    await proxy.call("POST", "/v1/chat/completions", {"model": "m", **CHAT})
    records = await proxy.requests()
    before = (await proxy.call("GET", "/manage/usage")).json()
    day = datetime.now(UTC).date().isoformat()
    done = await proxy.call("POST", "/manage/usage/recompute", {"day": day})
    assert (done.status, done.json()["records"], done.json()["corrected"]) == (200, len(records), 0)
    assert (await proxy.call("GET", "/manage/usage")).json()["total"] == before["total"]


async def test_a_wrong_filter_is_400(proxy: Proxy) -> None:
    for path, param in (
        ("requests?status=x", "status"),
        ("requests?x=1", "x"),
        ("usage?group_by=x", "group_by"),
    ):
        reply = await proxy.call("GET", f"/manage/{path}")
        assert (reply.status, reply.error["param"]) == (400, param)
    reply = await proxy.call("POST", "/manage/usage/recompute", {"day": "2000-01-01"})
    assert (reply.status, reply.error["param"]) == (400, "day")


async def test_a_catalog_is_read_again_when_told(proxy: Proxy) -> None:
    before = (await proxy.call("POST", "/manage/catalog/refresh")).json()
    assert before["object"] == "catalog"
    await proxy.add_model("m", "http://127.0.0.1:9")
    after = (await proxy.call("POST", "/manage/catalog/refresh")).json()
    assert after["models"] == before["models"] + 1
