"""What Azure's runtime library makes of the app: every function accepted, each as it was meant."""

from pathlib import Path
from typing import Any

import orjson
import pytest

from functions import create_app
from shared.bootstrap import build_services
from shared.settings import Settings
from tests.worker.conftest import Client
from tests.worker.hosted import ROOT, HostedApp, example_settings

ALL_METHODS = {"DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"}


async def indexed(client: Client) -> dict[str, list[dict[str, Any]]]:
    return {function["name"]: function["bindings"] for function in await client.host("/functions")}


def triggers(functions: dict[str, list[dict[str, Any]]], type: str) -> dict[str, dict[str, Any]]:
    return {
        name: binding
        for name, bindings in functions.items()
        for binding in bindings
        if binding["type"] == type
    }


async def test_every_registered_function_is_accepted(client: Client, tmp_path: Path) -> None:
    settings = Settings.from_environment({**example_settings(), "LLMPROXY_LOCAL_DIR": str(tmp_path)})
    services = build_services(settings)
    registered = {function.get_function_name() for function in create_app(services).get_functions()}
    await services.close()
    assert set(await indexed(client)) == registered
    assert "zz_fallback" in registered


async def test_the_routes_are_those_that_clients_call(client: Client) -> None:
    routes = {trigger["route"] for trigger in triggers(await indexed(client), "httpTrigger").values()}
    assert routes >= {
        "v1/chat/completions",
        "v1/completions",
        "v1/models/{*id}",
        "openai/{*rest}",
        "health",
        "health/ready",
        "{*path}",
    }


async def test_each_http_function_takes_every_method_and_leaves_keys_to_the_app(client: Client) -> None:
    for name, trigger in triggers(await indexed(client), "httpTrigger").items():
        assert set(trigger["methods"]) == ALL_METHODS, name
        assert trigger["authLevel"].lower() == "anonymous", name


async def test_each_function_has_one_trigger_and_only_http_functions_answer(client: Client) -> None:
    expected = (["http", "httpTrigger"], ["timerTrigger"], ["eventHubTrigger"])
    for name, bindings in (await indexed(client)).items():
        types = sorted(binding["type"] for binding in bindings)
        assert types in expected, name


async def test_models_are_probed_every_minute_and_jobs_seen_to_every_15_seconds(client: Client) -> None:
    timers = triggers(await indexed(client), "timerTrigger")
    assert {name: timer["schedule"] for name, timer in timers.items()} == {
        "probe_models": "0 * * * * *",
        "maintenance": "*/15 * * * * *",
    }


async def test_the_root_names_the_routes_that_were_indexed(client: Client) -> None:
    status, root = await client.get("/")
    assert status == 200
    assert root["service"] == "llm-proxy"
    assert "/v1/chat/completions" in root["routes"]


def test_the_host_is_told_what_the_app_relies_on() -> None:
    host = orjson.loads((ROOT / "host.json").read_bytes())
    assert host["extensions"]["http"]["routePrefix"] == ""
    assert host["functionTimeout"] == "01:10:00"
    assert host["extensions"]["eventHubs"] == {
        "maxEventBatchSize": 8,
        "targetUnprocessedEventThreshold": 8,
        "batchCheckpointFrequency": 1,
    }


def test_an_app_that_azure_would_refuse_is_refused_here(tmp_path: Path) -> None:
    (tmp_path / "host.json").write_text('{"version": "2.0"}', encoding="utf-8")
    (tmp_path / "function_app.py").write_text(
        "import azure.functions as func\n"
        "app = func.FunctionApp()\n"
        "@app.timer_trigger(arg_name='timer', schedule='0 * * * * *')\n"
        "async def broken(other: func.TimerRequest) -> None: ...\n",
        encoding="utf-8",
    )
    with pytest.raises(RuntimeError, match="cannot load the broken function"), HostedApp({}, tmp_path):
        pass
