"""The smoke test against servers that are well, down, wrong and slow."""

import asyncio
import io
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from shared import VERSION
from shared.deployment.web import LARGEST_ANSWER
from shared.secrets import SMOKE_KEY
from shared.smoke.__main__ import SECRET, main
from tests.proxy import running_proxy
from tests.unit.smoke.proxy import COMPLETION, HEALTH, JOBS, KEY, ProxyServer
from tests.upstreams.behaviours import Hang, HangUp, Reply, SoundReply

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
async def proxy() -> AsyncIterator[ProxyServer]:
    async with ProxyServer() as server:
        yield server


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    file = tmp_path / "key"
    file.write_text(KEY + "\n", encoding="utf-8")
    return file


async def smoke(url: str, key_file: Path, *more: str) -> int:
    return await asyncio.to_thread(main, ["--url", url, "--key-file", str(key_file), "--limit", "5", *more])


async def failure(proxy: ProxyServer, key_file: Path, capsys: pytest.CaptureFixture[str], *more: str) -> str:
    assert await smoke(proxy.url, key_file, *more) == 1
    return capsys.readouterr().err.strip()


async def test_a_proxy_that_is_well_passes_every_step(
    proxy: ProxyServer, key_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert await smoke(proxy.url, key_file, "--expect-version", "1.2.3") == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[1] for line in lines] == ["health:", "models:", "chat:", "job:"]
    assert {line.split()[0] for line in lines} == {"ok"}
    asked = [request for request in proxy.requests if request.method == "POST"]
    assert [request.body["model"] for request in asked] == ["smoke-chat", "smoke-chat"]


async def test_health_is_asked_without_the_key(proxy: ProxyServer, key_file: Path) -> None:
    assert await smoke(proxy.url, key_file) == 0
    assert "authorization" not in proxy.requests[0].headers


async def test_a_server_that_is_down_fails_the_first_step(
    key_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    assert await smoke(f"http://127.0.0.1:{port}", key_file) == 1
    assert capsys.readouterr().err.startswith("FAILED  health: no connection")


async def test_a_server_that_starts_late_is_waited_for(
    proxy: ProxyServer, key_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    proxy.script(Reply(b"starting", 503), HangUp())
    assert await smoke(proxy.url, key_file, "--wait", "30") == 0


async def test_the_version_before_is_not_taken_for_the_new_one(
    proxy: ProxyServer, key_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = await failure(proxy, key_file, capsys, "--expect-version", "2.0.0")
    assert said == "FAILED  health: version 1.2.3 answers, 2.0.0 was deployed"
    proxy.script(Reply(HEALTH), Reply({**HEALTH, "version": "2.0.0"}))
    assert await smoke(proxy.url, key_file, "--expect-version", "2.0.0", "--wait", "30") == 0


async def test_a_process_of_the_deployment_before_is_not_taken_for_the_new_one(
    proxy: ProxyServer, key_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    deployed = time.time() - 60
    after = ("--started-after", str(deployed))
    for uptime in (3600.0, None):
        proxy.instead["/health"] = Reply({**HEALTH, "uptime_seconds": uptime})
        said = await failure(proxy, key_file, capsys, *after)
        assert said == "FAILED  health: a process answers that was there before the deployment"
    proxy.instead["/health"] = Reply({**HEALTH, "uptime_seconds": 5})
    assert await smoke(proxy.url, key_file, *after) == 0


@pytest.mark.parametrize(
    ("step", "path", "wrong"),
    [
        ("health", "/health", Reply(b"<html>Welcome</html>", content_type="text/html")),
        ("health", "/health", Reply({**HEALTH, "service": "another"})),
        ("health", "/health", Reply(status=302, headers={"location": "https://elsewhere.example/"})),
        ("health", "/health", Reply({"error": "odd"}, 500)),
        ("models", "/v1/models", Reply({"data": "none"})),
        ("models", "/v1/models", Reply({"data": [{"id": "another"}, None]})),
        ("models", "/v1/models", Reply([])),
        ("models", "/v1/models", HangUp()),
        ("models", "/v1/models", Reply(b"x" * (LARGEST_ANSWER + 1))),
        ("chat", "/v1/chat/completions", Reply({"error": {"code": "provider_error", "message": "no"}}, 502)),
        ("chat", "/v1/chat/completions", Reply({**COMPLETION, "choices": []})),
        ("chat", "/v1/chat/completions", Reply({**COMPLETION, "choices": [{"message": {"content": ""}}]})),
        ("job", JOBS, Reply({}, 202)),
        ("job", JOBS, Reply(COMPLETION)),
        ("job", f"{JOBS}/job-1/status", Reply({"status": "failed", "error": {"code": "worker_lost"}})),
        ("job", f"{JOBS}/job-1/status", Reply({"status": "asleep"})),
        ("job", f"{JOBS}/job-1/result", Reply({"status": "processing"}, 202)),
        ("job", f"{JOBS}/job-1/result", Reply({"object": "list"})),
    ],
)
async def test_a_wrong_answer_names_its_step(
    proxy: ProxyServer,
    key_file: Path,
    capsys: pytest.CaptureFixture[str],
    step: str,
    path: str,
    wrong: Reply | HangUp,
) -> None:
    if isinstance(wrong, HangUp):
        proxy.always(lambda request: wrong if request.path == path else proxy.answer(request))
    else:
        proxy.instead[path] = wrong
    said = await failure(proxy, key_file, capsys)
    assert said.startswith(f"FAILED  {step}: ")
    assert len(said.splitlines()) == 1
    assert "Traceback" not in said


@pytest.mark.parametrize(
    ("step", "path"),
    [
        ("health", "/health"),
        ("models", "/v1/models"),
        ("chat", "/v1/chat/completions"),
        ("job", JOBS),
        ("job", f"{JOBS}/job-1/result"),
    ],
)
async def test_a_silent_server_fails_its_step_within_the_limit(
    proxy: ProxyServer, key_file: Path, capsys: pytest.CaptureFixture[str], step: str, path: str
) -> None:
    proxy.always(lambda request: Hang() if request.path == path else proxy.answer(request))
    said = await failure(proxy, key_file, capsys, "--limit", "0.6")
    assert said == f"FAILED  {step}: no answer in time"


async def test_an_answer_that_never_ends_fails_its_step(
    proxy: ProxyServer, key_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    endless = SoundReply(pieces=(b'{"data": [',), ending="stall")
    proxy.always(lambda request: endless if request.path == "/v1/models" else proxy.answer(request))
    said = await failure(proxy, key_file, capsys, "--limit", "0.4")
    assert said == "FAILED  models: no answer in time"


async def test_a_job_that_never_ends_fails_with_its_state(
    proxy: ProxyServer, key_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    proxy.states = ["processing"]
    said = await failure(proxy, key_file, capsys, "--limit", "0.5")
    assert said.startswith("FAILED  job: the job job-1 was processing when the time was over")


async def test_a_step_that_fails_ends_the_test(
    proxy: ProxyServer, key_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    proxy.instead["/v1/models"] = Reply({"error": {"code": "catalog_unavailable"}}, 503)
    assert "catalog_unavailable" in await failure(proxy, key_file, capsys)
    assert "/v1/chat/completions" not in {request.path for request in proxy.requests}


async def test_the_key_is_never_printed(
    proxy: ProxyServer, key_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    proxy.instead["/v1/models"] = Reply({"error": {"code": "odd", "message": f"you sent {KEY}"}}, 400)
    said = await failure(proxy, key_file, capsys)
    assert "you sent ***" in said
    assert KEY not in said


async def test_the_key_can_come_on_standard_input(
    proxy: ProxyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(KEY + "\n"))
    arguments = ["--url", proxy.url, "--key-file", "-", "--limit", "5"]
    assert await asyncio.to_thread(main, arguments) == 0


@pytest.mark.parametrize("content", ["", "two words", "schlüssel", "a\nb"])
def test_what_cannot_be_a_key_is_refused_before_anything_is_asked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: str
) -> None:
    (tmp_path / "key").write_text(content, encoding="utf-8")
    assert main(["--url", "http://127.0.0.1:1", "--key-file", str(tmp_path / "key")]) == 2
    assert main(["--url", "http://127.0.0.1:1", "--key-file", str(tmp_path / "missing")]) == 2
    said = capsys.readouterr().err
    assert said.startswith("there is no key")
    assert not content or content not in said


@pytest.mark.parametrize("url", ["http://proxy.example", "ftp://127.0.0.1", "proxy.example", "https://a:b@c"])
def test_a_key_is_not_sent_in_the_clear(key_file: Path, capsys: pytest.CaptureFixture[str], url: str) -> None:
    assert main(["--url", url, "--key-file", str(key_file)]) == 2
    assert capsys.readouterr().err.startswith("--url must")


async def test_the_local_host_passes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    started = str(time.time() - 1)
    async with running_proxy(tmp_path / "local", events=True) as running:
        file = tmp_path / "key"
        file.write_text(running.key, encoding="utf-8")
        deployed = ("--expect-version", VERSION, "--started-after", started)
        status = await smoke(running.url, file, "--model", "demo-chat", *deployed)
    captured = capsys.readouterr()
    assert (status, captured.err) == (0, "")
    assert [line.split()[1] for line in captured.out.splitlines()] == ["health:", "models:", "chat:", "job:"]


async def test_a_proxy_that_runs_no_jobs_fails_at_the_job(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with running_proxy(tmp_path / "local") as running:
        file = tmp_path / "key"
        file.write_text(running.key, encoding="utf-8")
        assert await smoke(running.url, file, "--model", "demo-chat", "--limit", "2") == 1
    assert capsys.readouterr().err.startswith("FAILED  job: the job ")


def test_it_needs_nothing_but_python() -> None:
    """`-S` leaves out all that is installed."""
    done = subprocess.run(
        [sys.executable, "-S", "-m", "shared.smoke", "--help"], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert "--key-vault" in done.stdout


def test_the_secret_is_the_one_that_the_proxy_knows() -> None:
    assert SECRET == SMOKE_KEY
