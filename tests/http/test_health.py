"""`/health`, `/health/ready` and the probe timer, through the local host."""

from pathlib import Path

from azure.functions.timer import TimerRequest

from functions import create_app
from shared import SERVICE, VERSION
from shared.devhost.demo_models import demo_models
from shared.devhost.functions import read_functions
from shared.health.stored import read_marks
from tests.proxy import Proxy, running_proxy
from tests.upstreams.openai import OpenAIUpstream


async def test_health_needs_no_key_and_names_the_service(proxy: Proxy) -> None:
    reply = await proxy.call("GET", "/health", key=None)
    body = reply.json()
    assert reply.status == 200
    assert set(body) == {"status", "service", "version", "environment", "uptime_seconds", "timestamp"}
    assert (body["status"], body["service"], body["version"]) == ("healthy", SERVICE, VERSION)
    assert body["environment"] == proxy.services.settings.environment
    assert body["uptime_seconds"] >= 0


async def test_readiness_needs_a_key(proxy: Proxy) -> None:
    reply = await proxy.call("GET", "/health/ready", key=None)
    assert (reply.status, reply.error["code"]) == (401, "missing_api_key")


async def test_any_key_sees_readiness(proxy: Proxy) -> None:
    reply = await proxy.call("GET", "/health/ready", key=await proxy.add_key())
    body = reply.json()
    assert reply.status == 200
    assert body["status"] == "ready"
    assert body["secrets"] == {"status": "ok", "missing": []}
    assert body["database"]["latency_ms"] > 0
    demo = [model for model in demo_models() if model.get("provider") == "Demo"]
    assert body["models"]["by_provider"] == {"Demo": len(demo)}


async def test_a_wrong_method_is_told_the_right_one(proxy: Proxy) -> None:
    for path in ("/health", "/health/ready"):
        reply = await proxy.call("POST", path)
        assert (reply.status, reply.error["code"]) == (405, "method_not_allowed")
        assert "GET" in reply.headers["allow"]


async def test_a_missing_secret_of_the_proxy_is_named(tmp_path: Path) -> None:
    async with running_proxy(tmp_path) as proxy:
        proxy.add_secret("llmproxy-signing-key", "")
        body = (await proxy.call("GET", "/health/ready")).json()
        assert body["secrets"]["missing"] == ["llmproxy-signing-key"]
        assert body["status"] == "degraded"


async def test_the_probes_ask_each_provider_and_show_in_the_report(
    proxy: Proxy, upstream: OpenAIUpstream
) -> None:
    proxy.add_secret("A-KEY", "sk-a-key-of-an-upstream")
    await proxy.add_model("real", upstream.url, parameters={"secret_name": "A-KEY"})
    await proxy.add_model("keyless", upstream.url, parameters={"secret_name": "NO-SUCH-KEY"})
    await proxy.services.prober.run()
    marks = await read_marks(proxy.services.store)
    assert marks["demo-chat"].status == "healthy"
    assert marks["real"].status == "healthy"
    assert (marks["keyless"].status, marks["keyless"].error_code) == ("unavailable", "provider_unavailable")
    [asked] = upstream.requests
    assert (asked.method, asked.path.rsplit("/", 1)[-1]) == ("GET", "models")
    assert asked.headers["authorization"] == "Bearer sk-a-key-of-an-upstream"
    body = (await proxy.call("GET", "/health/ready")).json()
    assert body["providers"] == {"total": 2, "healthy": 1, "degraded": 1, "unhealthy": 0, "unknown": 0}
    status = (await proxy.call("GET", "/manage/models/keyless")).json()["status"]
    assert status["status"] == "unavailable"


async def test_real_calls_count_as_probes(proxy: Proxy) -> None:
    body = {"model": "demo-chat", "messages": [{"role": "user", "content": "Hello"}]}
    assert (await proxy.call("POST", "/v1/chat/completions", body)).status == 200
    await proxy.services.health.flush(all=True)
    mark = (await read_marks(proxy.services.store))["demo-chat"]
    assert (mark.status, mark.source) == ("healthy", "traffic")


async def test_a_timer_probes_the_models_each_minute(proxy: Proxy) -> None:
    timers = read_functions(create_app(proxy.services), "").timers
    [timer] = [timer for timer in timers if timer.name == "probe_models"]
    assert timer.schedule == "0 * * * * *"
    assert await timer.function(**{timer.argument: TimerRequest(past_due=False)}) is None
    assert (await read_marks(proxy.services.store))["demo-chat"].source == "probe"
