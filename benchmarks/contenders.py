"""What stands between the load and the upstream: how each is started, and what is sent to it."""

import shutil
import sys
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from benchmarks.generators import Order
from benchmarks.processes import RUN, Running, free_port

CHAT = "/v1/chat/completions"
MODEL = "bench"


class Unavailable(Exception):
    """A contender that cannot take part; the text says why."""


@dataclass(frozen=True, slots=True)
class Contender:
    """One that is ready. `started` is the seconds from the start of its process to its first chat answer."""

    name: str
    order: Order
    running: Running
    started: float


Starter = Callable[[ExitStack, str], Contender]
"""Starts one in front of the upstream's address; the stack ends it. Raises Unavailable or NotReady."""


def ready(
    running: Running, address: str, headers: dict[str, str] | None = None, timeout: float = 30
) -> Contender:
    """Waits for the first chat answer."""
    order = Order(address + CHAT, MODEL, headers or {})
    started = running.wait_for(
        "POST", order.url, headers=order.all_headers(), body=order.body(streamed=False), timeout=timeout
    )
    return Contender(running.name, order, running, started)


def start_upstream(stack: ExitStack, pause: float = 0.0) -> Contender:
    """`pause` is in seconds, before each answer."""
    port = free_port()
    command = [sys.executable, "-m", "benchmarks.upstream", "--port", str(port), "--pause", str(pause)]
    running = Running("upstream", command)
    return ready(stack.enter_context(running), f"http://127.0.0.1:{port}")


def start_relay(stack: ExitStack, upstream: str) -> Contender:
    port = free_port()
    command = [sys.executable, "-m", "benchmarks.relay", "--port", str(port), "--upstream", upstream]
    return ready(stack.enter_context(Running("bare relay", command)), f"http://127.0.0.1:{port}")


NGINX = """
daemon off;
worker_processes 1;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{ worker_connections 1024; }}
http {{
  access_log off;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  upstream fixed {{ server {upstream}; keepalive 256; }}
  server {{
    listen 127.0.0.1:{port};
    keepalive_requests 1000000;
    location / {{
      proxy_pass http://fixed;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_buffering off;
    }}
  }}
}}
"""


def start_nginx(stack: ExitStack, upstream: str) -> Contender:
    program = shutil.which("nginx")
    if program is None:
        raise Unavailable("nginx is not installed")
    port, folder = free_port(), RUN / "nginx"
    folder.mkdir(parents=True, exist_ok=True)
    configuration = Path(folder, "nginx.conf")
    text = NGINX.format(folder=folder, port=port, upstream=upstream.removeprefix("http://"))
    configuration.write_text(text, encoding="utf-8")
    # nginx opens its built-in error log before it reads the file that names another.
    command = [program, "-p", str(folder), "-c", str(configuration), "-e", str(folder / "error.log")]
    return ready(stack.enter_context(Running("nginx", command)), f"http://127.0.0.1:{port}")
