"""The README's own commands and examples, run as they stand there against the local host."""

import re
import sys
from collections.abc import Iterator

import pytest

from tests.e2e.local_host import ROOT, LocalHost, local_host
from tests.e2e.pages import blocks, needs_curl, run, shell

README = (ROOT / "README.md").read_text(encoding="utf-8")
GREETING = "Hello"


def curl_about(text: str) -> str:
    """The one command of the README that speaks of `text`."""
    [command] = [block for block in blocks(README, "bash") if block.startswith("curl ") and text in block]
    return command


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalHost]:
    with local_host(tmp_path_factory.mktemp("checkout") / ".local") as running:
        yield running


@needs_curl
def test_the_curl_command_gets_an_answer(host: LocalHost) -> None:
    answer = shell(host, curl_about("/v1/chat/completions"))
    assert '"object":"chat.completion"' in answer
    assert GREETING in answer


@needs_curl
def test_the_curl_command_on_the_console_gets_an_answer(host: LocalHost) -> None:
    command = host.console[host.console.index("curl ") : host.console.index("Ctrl-C")]
    assert '"object":"chat.completion"' in shell(host, command)


@needs_curl
def test_the_curl_command_on_the_console_streams_as_the_console_says(host: LocalHost) -> None:
    command = host.console[host.console.index("curl ") : host.console.index("Ctrl-C")]
    answer = shell(host, command.replace("curl ", "curl -N ").replace('{"model"', '{"stream": true, "model"'))
    assert answer.count("data: {") > 2
    assert answer.endswith("data: [DONE]\n\n")


def test_the_python_example_has_six_lines(host: LocalHost) -> None:
    assert len(blocks(README, "python")[0].splitlines()) == 6


def test_the_python_example_gets_an_answer(host: LocalHost) -> None:
    assert GREETING in run(host, sys.executable, "-c", blocks(README, "python")[0])


def test_the_streamed_python_example_gets_the_same_answer_in_pieces(host: LocalHost) -> None:
    plain, streamed = blocks(README, "python")
    whole, both = run(host, sys.executable, "-c", plain), run(host, sys.executable, "-c", plain + streamed)
    assert both == whole + whole.rstrip("\n")
    in_lines = (plain + streamed).replace('end=""', 'end="|"')
    assert run(host, sys.executable, "-c", in_lines).count("|") > 2


def test_the_azure_client_works_as_it_is_written(host: LocalHost) -> None:
    [client] = re.findall(r"`(AzureOpenAI\(.*?\))`", README)
    example = blocks(README, "python")[0].replace("import OpenAI", "import AzureOpenAI")
    example = re.sub(r"^client = .*$", f"client = {client}", example, flags=re.MULTILINE)
    assert f"client = {client}" in example
    assert GREETING in run(host, sys.executable, "-c", example)


@needs_curl
def test_the_commands_that_add_a_model_and_a_key_and_show_usage_work(host: LocalHost) -> None:
    assert '"id":"gpt-4o-mini"' in shell(host, curl_about("/manage/models"))
    assert '"gpt-4o-mini"' in str(host.call("GET", "/v1/models")[1]).replace("'", '"')
    key = shell(host, curl_about("/manage/keys"))
    assert '"key":"llmp_' in key
    assert '"object":"usage"' in shell(host, curl_about("/manage/usage"))


@needs_curl
def test_the_added_model_wants_the_secret_of_the_readme(host: LocalHost) -> None:
    """The example's secret is not there: that is said, and by no other error."""
    hello = {"messages": [{"role": "user", "content": GREETING}]}
    host.call("DELETE", "/manage/models/gpt-4o-mini")
    shell(host, curl_about("/manage/models"))
    status, answer = host.call("POST", "/v1/chat/completions", {"model": "gpt-4o-mini", **hello})
    assert (status, answer["error"]["code"]) == (503, "provider_unavailable")
