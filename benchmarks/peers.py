"""Other gateways, each installed into a place of its own under .bench/ and set up to do the same."""

import json
import shutil
import subprocess
import sys
from contextlib import ExitStack

from benchmarks.contenders import MODEL, Contender, Unavailable, ready
from benchmarks.processes import BENCH, RUN, Running, free_port

# Newer releases of the web server under it keep its streams from being answered ("TypeError: immutable").
PORTKEY = {
    "private": True,
    "dependencies": {"@portkey-ai/gateway": "^1.15.2"},
    "overrides": {"@hono/node-server": "1.13.8"},
}
LITELLM = "litellm[proxy]>=1.100,<2"
MASTER_KEY = "sk-bench-0123456789abcdef0123456789abcdef"
LITELLM_CONFIGURATION = """\
model_list:
  - model_name: {model}
    litellm_params:
      model: openai/{model}
      api_base: {upstream}/v1
      api_key: sk-upstream
general_settings:
  master_key: {key}
"""


def start_portkey(stack: ExitStack, upstream: str) -> Contender:
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        raise Unavailable("Node.js with npm is not installed")
    folder = BENCH / "npm"
    server = folder / "node_modules/@portkey-ai/gateway/build/start-server.js"
    wanted, installed = json.dumps(PORTKEY), folder / "package.json"
    if not server.exists() or installed.read_text(encoding="utf-8") != wanted:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        installed.write_text(wanted, encoding="utf-8")
        _install([npm, "install", "--prefix", str(folder), "--no-audit", "--no-fund"])
    port = free_port()
    running = Running("portkey", [node, str(server), f"--port={port}", "--headless"])
    headers = {
        "authorization": "Bearer sk-upstream",
        "x-portkey-provider": "openai",
        "x-portkey-custom-host": f"{upstream}/v1",
    }
    return ready(stack.enter_context(running), f"http://127.0.0.1:{port}", headers)


def start_litellm(stack: ExitStack, upstream: str) -> Contender:
    folder = BENCH / "litellm"
    program = folder / "bin/litellm"
    if not program.exists():
        shutil.rmtree(folder, ignore_errors=True)
        _install([sys.executable, "-m", "venv", str(folder)])
        _install([str(folder / "bin/python"), "-m", "pip", "install", "--quiet", LITELLM])
    configuration = RUN / "litellm.yaml"
    configuration.write_text(
        LITELLM_CONFIGURATION.format(model=MODEL, upstream=upstream, key=MASTER_KEY), encoding="utf-8"
    )
    port = free_port()
    command = [str(program), "--config", str(configuration), "--host", "127.0.0.1", "--port", str(port)]
    offline = {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_LOCAL_ANTHROPIC_BETA_HEADERS": "True"}
    running = Running("litellm", [*command, "--telemetry", "False"], environment=offline)
    headers = {"authorization": f"Bearer {MASTER_KEY}"}
    return ready(stack.enter_context(running), f"http://127.0.0.1:{port}", headers, timeout=120)


def _install(command: list[str]) -> None:
    try:
        finished = subprocess.run(command, capture_output=True, text=True, check=False, timeout=600)
    except subprocess.TimeoutExpired:
        raise Unavailable(f"{' '.join(command[:3])} … took more than ten minutes") from None
    if finished.returncode:
        last = (finished.stderr or finished.stdout).strip().splitlines()[-1:]
        raise Unavailable(f"it cannot be installed: {''.join(last)[:200]}")
