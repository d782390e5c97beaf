"""The house: imports run one way, and start-up loads nothing heavy."""

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
HEAVY = (
    "litellm",
    "openai",
    "aiohttp",
    "azure.cosmos",
    "azure.eventhub",
    "azure.identity",
    "azure.keyvault",
    "google",
    "requests",
    "croniter",
)


def modules(folder: str) -> list[Path]:
    return sorted((ROOT / folder).rglob("*.py"))


def imported(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute here"
            yield f"{node.module}"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("path", modules("shared"), ids=relative)
def test_the_core_imports_nothing_from_the_functions(path: Path) -> None:
    names = [name.split(".")[0] for name in imported(path)]
    assert "functions" not in names
    if relative(path) != "shared/devhost/__main__.py":
        assert "function_app" not in names
    assert "tests" not in names


@pytest.mark.parametrize("path", [*modules("shared"), *modules("functions")], ids=relative)
def test_only_bootstrap_knows_adapters(path: Path) -> None:
    if relative(path) == "shared/bootstrap.py" or relative(path).startswith("shared/adapters/"):
        return
    assert not [name for name in imported(path) if name.startswith("shared.adapters")]


@pytest.mark.parametrize("path", modules("shared/adapters"), ids=relative)
def test_adapters_know_ports_and_no_services(path: Path) -> None:
    allowed = (
        "shared.adapters",
        "shared.ports",
        "shared.errors",
        "shared.clock",
        "shared.containers",
        "shared.secrets",
    )
    for name in imported(path):
        if name.startswith("shared."):
            assert name.startswith((*allowed, "shared.single_flight", "shared.telemetry", "shared.Json")), (
                name
            )


@pytest.mark.parametrize("path", [*modules("shared"), *modules("functions")], ids=relative)
def test_only_settings_read_the_environment(path: Path) -> None:
    """The local host's entry and the LiteLLM library set switches for their process; no one else touches it."""
    if relative(path) in (
        "shared/settings.py",
        "shared/devhost/__main__.py",
        "shared/providers/litellm_lane/library.py",
    ):
        return
    text = path.read_text(encoding="utf-8")
    assert "os.environ[" not in text
    assert "os.environ." not in text
    assert "getenv(" not in text


def test_start_up_loads_nothing_that_a_first_request_may_not_need(tmp_path: Path) -> None:
    code = f"import function_app, sys, json; print(json.dumps([n for n in {HEAVY!r} if n in sys.modules]))"
    environment = {"LLMPROXY_MODE": "local", "LLMPROXY_LOCAL_DIR": str(tmp_path), "PATH": ""}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    )
    assert json.loads(done.stdout) == []
