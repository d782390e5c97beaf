"""`python -m shared.catalog`: data on standard output, words on standard error, and an honest exit status."""

import io
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from shared.catalog.__main__ import main
from shared.transfer.lines import first_line
from tests.unit.catalog.worlds import OPENAI

ROOT = Path(__file__).resolve().parents[3]
MODEL = {"kind": "model", **OPENAI}

Run = Callable[..., tuple[int, str]]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Run:
    """Runs the command on a store of its own. Gives the exit status and what was said."""
    for name in list(os.environ):
        if name.startswith("LLMPROXY_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("LLMPROXY_MODE", "local")

    def run(*arguments: str, store: str = "store") -> tuple[int, str]:
        monkeypatch.setenv("LLMPROXY_LOCAL_DIR", str(tmp_path / store))
        capfd.readouterr()
        status = main(arguments)
        return status, capfd.readouterr().err

    return run


def write(path: Path, *documents: object) -> str:
    path.write_bytes(first_line({}) if documents else b"")
    with path.open("a") as file:
        for document in documents:
            file.write((document if isinstance(document, str) else json.dumps(document)) + "\n")
    # Its counts say nothing is in it: a file made by hand has none.
    path.write_text(
        path.read_text().replace('"counts":{"project":0,"model":0,"group":0,"key":0}', '"by":"hand"')
    )
    return str(path)


def test_a_file_goes_in_and_comes_out_the_same_twice(run: Run, tmp_path: Path) -> None:
    source = write(tmp_path / "in.jsonl", {**MODEL, "id": "a"}, {**MODEL, "id": "b"})
    assert run("import", source)[0] == 0
    once, twice = tmp_path / "once.jsonl", tmp_path / "twice.jsonl"
    assert run("export", str(once)) == (0, "0 projects, 2 models, 0 groups, 0 keys\n")
    assert run("import", str(once), store="other")[0] == 0
    assert run("export", str(twice), store="other")[0] == 0
    assert once.read_bytes() == twice.read_bytes()
    assert once.stat().st_mode & 0o777 == 0o600
    assert [path.name for path in tmp_path.glob(".*.jsonl*")] == []


def test_a_bad_line_is_named_and_the_others_are_taken(run: Run, tmp_path: Path) -> None:
    source = write(tmp_path / "in.jsonl", {**MODEL, "id": "a"}, "not json", {**MODEL, "code": ""}, MODEL)
    status, said = run("import", source)
    assert status == 1
    assert said.splitlines() == [
        "line 2: model 'a': created",
        "line 3: refused: is no JSON object",
        "line 4: refused: code: string should have at least 1 character",
        "line 5: model 'm': created",
        "2 created, 0 changed, 0 unchanged, 2 refused",
    ]


def test_a_dry_run_leaves_the_store_as_it_is(run: Run, tmp_path: Path) -> None:
    source = write(tmp_path / "in.jsonl", MODEL)
    status, said = run("import", "--dry-run", source)
    assert (status, said.splitlines()[-1]) == (
        0,
        "dry run, nothing was written: 1 created, 0 changed, 0 unchanged, 0 refused",
    )
    assert run("export", str(tmp_path / "out")) == (0, "0 projects, 0 models, 0 groups, 0 keys\n")


def test_what_can_serve_but_is_odd_is_said(run: Run, tmp_path: Path) -> None:
    source = write(tmp_path / "in.jsonl", {**MODEL, "private": True})
    assert "model 'm': created: private: no projects are listed" in run("import", source)[1]


def test_a_file_that_was_cut_off_fails_but_is_taken_in(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "in.jsonl"
    path.write_bytes(first_line({"model": 2}) + json.dumps(MODEL).encode())
    status, said = run("import", str(path))
    assert status == 1
    assert "promises 2 of kind model, and the file has 1" in said
    assert "model 'm': created" in said


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("import", "nowhere.jsonl"), "nowhere.jsonl cannot be read: No such file or directory"),
        (("import", "."), ". cannot be read: Is a directory"),
        (("export", "nowhere/out.jsonl"), "nowhere/out.jsonl cannot be written: No such file or directory"),
        (("import", "--variable", "A=b", __file__), "--variable goes with --litellm"),
        (("import", __file__), "the first line does not say"),
        (("import", "--litellm", __file__), "valid YAML"),
    ],
)
def test_a_wrong_file_is_one_line_and_status_2(run: Run, arguments: tuple[str, ...], reason: str) -> None:
    status, said = run(*arguments)
    assert (status, said.count("\n")) == (2, 1)
    assert reason in said


def test_a_wrong_setting_is_one_line_and_status_2(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLMPROXY_MODE", "azure")
    assert run("export") == (2, "LLMPROXY_COSMOS_ENDPOINT is required unless LLMPROXY_MODE is local\n")


def test_a_store_that_cannot_be_reached_is_one_line_and_status_1(run: Run, tmp_path: Path) -> None:
    source = write(tmp_path / "in.jsonl", MODEL)
    run("import", source)
    (tmp_path / "store" / "data.sqlite3").write_bytes(b"no database at all, " * 1000)
    assert run("export", str(tmp_path / "out")) == (1, "The store cannot be reached at the moment.\n")
    assert not (tmp_path / "out").exists()
    status, said = run("import", source)
    assert status == 1
    assert said.startswith("line 2: stopped: The store cannot be reached")


def test_a_failed_export_leaves_the_one_before(run: Run, tmp_path: Path) -> None:
    run("import", write(tmp_path / "in.jsonl", MODEL))
    out = tmp_path / "out.jsonl"
    run("export", str(out))
    before = out.read_bytes()
    (tmp_path / "store" / "data.sqlite3").write_bytes(b"no database at all, " * 1000)
    assert run("export", str(out))[0] == 1
    assert out.read_bytes() == before


def test_standard_input_is_read_where_no_file_is_named(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = Path(write(tmp_path / "in.jsonl", MODEL)).read_bytes()
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))
    assert run("import")[0] == 0
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"")))
    assert run("import") == (2, "standard input: the file is empty: an export has at least a first line\n")


def test_litellms_configuration_goes_in_twice_and_changes_nothing(run: Run, tmp_path: Path) -> None:
    config = tmp_path / "config.yaml"
    config.write_text(
        """\
model_list:
  - model_name: chat
    litellm_params: {model: openai/gpt-4o, api_key: os.environ/OPENAI_API_KEY}
  - model_name: chat
    litellm_params: {model: azure/chat, api_base: os.environ/BASE, api_key: os.environ/AZURE_KEY}
  - model_name: other
    litellm_params: {model: openai/gpt-4o, api_key: hush-hush-hush}
router_settings:
  redis_host: here
"""
    )
    arguments = ("import", "--litellm", str(config), "--variable", "BASE=https://a.openai.azure.com")
    status, said = run(*arguments)
    assert status == 1
    assert said.splitlines() == [
        "line 9 (router_settings.redis_host): left out: nothing here corresponds to it",
        "2 of 2 models have no costs in the file: what they cost stays unknown",
        "secrets that the vault must hold: AZURE-KEY, OPENAI-API-KEY",
        "line 2 (model_list[0]): model 'chat-1': created",
        "line 4 (model_list[1]): model 'chat-2': created",
        "line 7 (model_list[2].litellm_params.api_key): refused: is a secret itself, which is never taken over: "
        "keep it in the vault and write os.environ/NAME",
        "line 2 (model_list[0]): group 'chat': created",
        "3 created, 0 changed, 0 unchanged, 1 refused",
    ]
    assert run(*arguments)[1].splitlines()[-1] == "0 created, 0 changed, 3 unchanged, 1 refused"


def test_data_alone_is_on_standard_output_and_a_reader_may_leave(tmp_path: Path) -> None:
    """In processes of its own, as in a shell: `export | import`, and `export | head -c 1`."""
    environment = {"PATH": os.environ["PATH"], "LLMPROXY_MODE": "local"}
    command = [sys.executable, "-m", "shared.catalog"]
    source = write(tmp_path / "in.jsonl", *({**MODEL, "id": f"m{n}"} for n in range(50)))
    one = {**environment, "LLMPROXY_LOCAL_DIR": str(tmp_path / "one")}
    subprocess.run([*command, "import", source], cwd=ROOT, env=one, check=True, capture_output=True)
    left = subprocess.Popen(
        [*command, "export"], cwd=ROOT, env=one, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert left.stdout is not None
    assert left.stderr is not None
    left.stdout.close()
    other = {**environment, "LLMPROXY_LOCAL_DIR": str(tmp_path / "other")}
    exported = subprocess.run([*command, "export"], cwd=ROOT, env=one, check=True, capture_output=True)
    taken = subprocess.run(
        [*command, "import"], cwd=ROOT, env=other, input=exported.stdout, capture_output=True, check=True
    )
    assert taken.stdout == b""
    assert taken.stderr.decode().splitlines()[-1] == "50 created, 0 changed, 0 unchanged, 0 refused"
    assert b"Traceback" not in left.stderr.read()
    left.stderr.close()
    assert left.wait() == 1
