"""What `make run` promises: the console, the files, a second start, and a clean end."""

import signal
import socket
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from openai import OpenAI

from tests.e2e.local_host import LocalHost, local_host, refused

HELLO = {"model": "demo-chat", "messages": [{"role": "user", "content": "Hello"}]}
ADDED = {
    "id": "mine",
    "code": "mine",
    "provider": "Demo",
    "model_type": "Demo",
    "operations": ["ChatCompletion"],
}


@dataclass
class FirstLife:
    """What a first start left behind when Ctrl-C ended it."""

    host: LocalHost
    key: str
    files: dict[str, int]
    exit_status: int
    seconds_to_end: float


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> FirstLife:
    directory = tmp_path_factory.mktemp("first") / "local"
    with local_host(directory) as host:
        key = host.key
        assert host.call("POST", "/manage/models", ADDED)[0] == 201
        assert host.call("DELETE", "/manage/models/demo-chat-mini")[0] == 200
        # The very last thing before the end.
        assert host.call("POST", "/v1/chat/completions", HELLO)[0] == 200
        status, seconds = host.end(signal.SIGINT)
    files = {path.name: stat.S_IMODE(path.stat().st_mode) for path in directory.iterdir()}
    return FirstLife(host, key, files, status, seconds)


@pytest.fixture(scope="module")
def second(first: FirstLife) -> Iterator[LocalHost]:
    with local_host(first.host.directory) as host:
        yield host


def test_the_console_shows_the_address_the_routes_the_demo_models_and_the_key(first: FirstLife) -> None:
    console = first.host.console
    assert f"LLM Proxy is ready at {first.host.url}\n" in console
    for route in ("/v1/chat/completions", "/v1/completions", "/v1/models", "/openai", "/health/ready"):
        assert route in console.split()
    for route in ("models", "keys", "projects", "usage", "requests"):
        assert f"/manage/{route}" in console.split()
    assert "demo-chat  demo-chat-mini" in console
    assert first.key in console.split()
    assert str(first.host.directory / "admin-key") in console


def test_the_console_fits_a_terminal(first: FirstLife) -> None:
    own = str(first.host.directory)
    assert max(len(line.replace(own, ".local")) for line in first.host.console.splitlines()) <= 100


def test_the_key_is_in_a_file_that_only_its_owner_can_read(first: FirstLife) -> None:
    assert len(first.key) >= 32
    assert first.files["admin-key"] == 0o600
    assert first.files["secrets.json"] == 0o600
    assert first.files["data.sqlite3"] == 0o600


def test_ctrl_c_ends_it_within_five_seconds_and_without_a_traceback(first: FirstLife) -> None:
    assert first.exit_status == 0
    assert first.seconds_to_end < 5
    assert "Traceback" not in first.host.log.read_text()


def test_a_second_start_keeps_the_key_and_the_data(first: FirstLife, second: LocalHost) -> None:
    assert second.key == first.key
    assert first.key in second.console
    status, listing = second.call("GET", "/v1/models")
    ids = {model["id"] for model in listing["data"]}
    assert status == 200
    assert "mine" in ids
    assert "demo-chat-mini" not in ids, "a demo model that was deleted does not come back"


def test_the_usage_of_the_last_request_before_the_end_is_written(second: LocalHost) -> None:
    _, page = second.call("GET", "/manage/requests?model=demo-chat&limit=1")
    assert [record["status"] for record in page["data"]] == [200]
    _, sums = second.call("GET", "/manage/usage?group_by=model")
    assert {row["model"]: row["requests"] for row in sums["data"]}["demo-chat"] >= 1
    assert sums["total"]["cost_usd"] > 0


def test_a_signal_ends_open_streams_too_and_accounts_for_them(tmp_path: Path) -> None:
    directory = tmp_path / "local"
    with local_host(directory) as host:
        client = OpenAI(base_url=host.url + "/v1", api_key=host.key, max_retries=0)
        stream = client.chat.completions.create(
            model="demo-chat", messages=[{"role": "user", "content": "and so on " * 100}], stream=True
        )
        next(iter(stream))
        status, seconds = host.end(signal.SIGTERM)
        stream.close()
        client.close()
        assert status == 0
        assert seconds < 5
        assert "Traceback" not in host.log.read_text()
    with local_host(directory) as host:
        _, page = host.call("GET", "/manage/requests")
        assert len(page["data"]) == 1
        assert page["data"][0]["usage"]["estimated"]


def test_a_taken_port_is_said_in_one_line(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = str(other.getsockname()[1])
        assert refused(tmp_path / "local", "--port", port) == (
            1,
            f"port {port} is taken; choose another with PORT=\n",
        )


def test_a_wrong_setting_stops_the_start_with_one_line_that_names_it(tmp_path: Path) -> None:
    status, said = refused(tmp_path / "local", "--port", "0", LLMPROXY_IDLE_TIMEOUT="soon")
    assert status == 2
    assert said.count("\n") == 1
    assert "LLMPROXY_IDLE_TIMEOUT" in said


def test_local_mode_is_refused_on_azure(tmp_path: Path) -> None:
    status, said = refused(tmp_path / "local", "--port", "0", WEBSITE_INSTANCE_ID="0123456789")
    assert (status, said) == (2, "LLMPROXY_MODE must not be local on Azure\n")


def test_a_folder_that_cannot_be_made_is_said_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "local").write_text("a file where the folder should be")
    status, said = refused(tmp_path / "local", "--port", "0")
    assert status == 2
    assert said.count("\n") == 1
    assert "secrets.json" in said
