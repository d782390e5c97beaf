"""The proxy on the local host: authentication, catalog and accounting on, the model on the native lane."""

import json
import statistics
import sys
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from benchmarks.contenders import CHAT, MODEL, Contender, ready
from benchmarks.generators import Order
from benchmarks.processes import RUN, NotReady, Running, ask, free_port
from shared import Json

DATA = RUN / "data"


@dataclass(frozen=True, slots=True)
class StartUp:
    """Seconds from the start of the process to the first 200; medians of several starts."""

    health: float
    chat: float


def environment() -> dict[str, str]:
    return {"LLMPROXY_MODE": "local", "LLMPROXY_LOCAL_DIR": str(DATA), "LLMPROXY_LOG_LEVEL": "info"}


def launch(port: int, python: list[str] | None = None) -> Running:
    command = [*(python or [sys.executable]), "-m", "shared.devhost", "--port", str(port), "--quiet"]
    return Running("proxy", command, environment=environment())


def launch_held(port: int, name: str, concurrency: int, python: list[str] | None = None) -> Running:
    """One that runs so many jobs at once, from `SIGUSR1` on."""
    command = [*(python or [sys.executable]), "-m", "benchmarks.job_host", "--port", str(port)]
    variables = {**environment(), "LLMPROXY_JOB_CONCURRENCY": str(concurrency)}
    return Running(name, command, environment=variables)


def provision(upstream: str) -> str:
    """Data with one model on the upstream and one key of an ordinary user; the key."""
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    model: Json = {
        "id": MODEL,
        "name": MODEL,
        "code": "fixed",
        "provider": "OpenAICompatible",
        "model_type": "OpenAICompatible",
        "operations": ["ChatCompletion"],
        "parameters": {"endpoint": f"{upstream}/v1"},
        "costs": {"cost_input_1Mtokens": 1.0, "cost_output_1Mtokens": 4.0},
    }
    with launch(port) as running:
        running.wait_for("GET", f"{address}/health")
        running.wait_for("GET", f"{address}/")
        admin = admin_key()
        create(f"{address}/manage/models", admin, model)
        key: str = create(f"{address}/manage/keys", admin, {"project": MODEL})["key"]
    return key


def admin_key() -> str:
    return Path(DATA, "admin-key").read_text(encoding="utf-8").strip()


def create(url: str, admin: str, document: Json) -> dict[str, str]:
    headers = {"authorization": f"Bearer {admin}", "content-type": "application/json"}
    reply = ask("POST", url, headers=headers, body=json.dumps(document))
    if reply.status not in (200, 201):
        raise NotReady(f"POST {url} answered {reply.status}: {reply.body[:300].decode(errors='replace')}")
    created: dict[str, str] = reply.json()
    return created


def start_proxy(stack: ExitStack, key: str) -> Contender:
    port = free_port()
    return ready(stack.enter_context(launch(port)), f"http://127.0.0.1:{port}", bearer(key))


def bearer(key: str) -> dict[str, str]:
    return {"authorization": f"Bearer {key}"}


def measure_start_up(key: str, starts: int) -> StartUp:
    """Starts the proxy on its data again and again, and asks from the first moment on."""
    health, chat = [], []
    for _ in range(starts):
        port = free_port()
        order = Order(f"http://127.0.0.1:{port}{CHAT}", MODEL, bearer(key))
        with launch(port) as running:
            health.append(running.wait_for("GET", f"http://127.0.0.1:{port}/health"))
            body = order.body(streamed=False)
            chat.append(running.wait_for("POST", order.url, headers=order.all_headers(), body=body))
    return StartUp(statistics.median(health), statistics.median(chat))
