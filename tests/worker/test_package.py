"""The package alone: unpacked into an empty folder, beside nothing but what its requirements.txt asks for."""

import ast
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest
from aiohttp import ClientSession, ClientTimeout

from functions import create_app
from shared.bootstrap import build_services
from shared.settings import Settings
from tests.worker.hosted import ROOT, HostedApp, example_settings
from tools.package import write_package

ELSEWHERE = {"function_app", "msvcrt"}
"""The app itself, which wants settings, and what only Windows has."""
BY_NAME = {"litellm"}
"""What `importlib` is asked for."""
QUIET = {
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    "LITELLM_LOCAL_ANTHROPIC_BETA_HEADERS": "True",
}
"""LiteLLM asks the network for neither when it is imported."""

# The first run installs the requirements.
pytestmark = pytest.mark.timeout(900)


@pytest.fixture(scope="module")
def python() -> str:
    """The interpreter of an environment without the tools of developers."""
    made = subprocess.run(
        ["bash", "tests/worker/environment.sh", "package"],
        cwd=ROOT,
        env={**os.environ, "PYTHON313": sys.executable},
        capture_output=True,
        text=True,
    )
    assert made.returncode == 0, made.stderr
    return made.stdout.strip()


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("package")
    write_package(ROOT, folder / "package.zip")
    with zipfile.ZipFile(folder / "package.zip") as packed:
        packed.extractall(folder / "app")
    return folder / "app"


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The host without the project around it: whatever the package lacks, it does not find here."""
    folder = tmp_path_factory.mktemp("host")
    source = ROOT / "tests" / "worker" / "host"
    shutil.copytree(
        source, folder / "tests" / "worker" / "host", ignore=shutil.ignore_patterns("__pycache__")
    )
    for level in (folder / "tests", folder / "tests" / "worker"):
        (level / "__init__.py").touch()
    return folder


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("data")


@pytest.fixture(scope="module")
def packaged(python: str, package: Path, host: Path, data: Path) -> Iterator[HostedApp]:
    settings = {**example_settings(), "LLMPROXY_LOCAL_DIR": str(data), "PYTHONDONTWRITEBYTECODE": "1"}
    with HostedApp(settings, package, python=python, host=host) as hosted:
        yield hosted


def test_the_environment_has_no_tools_of_developers(python: str) -> None:
    code = "import importlib.util as u; print([n for n in ('pytest', 'mypy', 'trustme') if u.find_spec(n)])"
    done = subprocess.run([python, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


async def test_every_function_is_indexed(packaged: HostedApp, tmp_path: Path) -> None:
    settings = Settings.from_environment({**example_settings(), "LLMPROXY_LOCAL_DIR": str(tmp_path)})
    services = build_services(settings)
    registered = {function.get_function_name() for function in create_app(services).get_functions()}
    await services.close()
    async with ClientSession() as session, session.get(packaged.control + "/functions") as answer:
        assert {function["name"] for function in await answer.json()} == registered


async def test_a_chat_is_served(packaged: HostedApp, data: Path) -> None:
    key = orjson.loads((data / "secrets.json").read_bytes())["llmproxy-admin-key"]
    question = {"model": "demo-chat", "messages": [{"role": "user", "content": "Hello"}]}
    async with ClientSession(
        headers={"authorization": f"Bearer {key}"}, timeout=ClientTimeout(total=60)
    ) as session:
        async with session.post(packaged.address + "/v1/chat/completions", json=question) as answer:
            body = await answer.json()
            assert answer.status == 200, body
            assert body["choices"][0]["message"]["content"]
        async with session.post(
            packaged.address + "/v1/chat/completions", json={**question, "stream": True}
        ) as answer:
            assert (await answer.read()).endswith(b"data: [DONE]\n\n")


def test_everything_that_is_imported_late_is_asked_for_too(python: str, package: Path) -> None:
    modules = {
        name
        for path in package.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        for name in imported(node)
    }
    assert {"azure.cosmos.aio", "aiohttp"} <= modules
    code = f"import importlib\nfor name in {sorted((modules | BY_NAME) - ELSEWHERE)!r}: importlib.import_module(name)"
    environment = {"PATH": os.environ["PATH"], "HOME": str(package.parent), **QUIET}
    done = subprocess.run(
        [python, "-B", "-c", code], cwd=package, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-2000:]


def imported(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    return [node.module] if isinstance(node, ast.ImportFrom) and node.module else []


def test_the_app_wrote_nothing_beside_itself(packaged: HostedApp, package: Path) -> None:
    """On Azure the package's folder cannot be written to."""
    with zipfile.ZipFile(package.parent / "package.zip") as packed:
        expected = set(packed.namelist())
    found = {
        path.relative_to(package).as_posix()
        for path in package.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert found == expected
