"""Azure on loopback, and a deployer who is logged in with azd."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.unit.deployment.vault import TOKEN, Azure


def command(folder: Path, name: str, script: str) -> None:
    """Puts a program on the PATH that `folder` is."""
    file = folder / name
    file.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    file.chmod(0o755)


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only folder on the PATH, with nothing in it."""
    folder = tmp_path / "programs"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    return folder


@pytest.fixture
def logged_in(programs: Path) -> None:
    command(programs, "azd", f"""echo '{{"token": "{TOKEN}", "expiresOn": "2099-01-01T00:00:00Z"}}'""")


@pytest.fixture
async def azure() -> AsyncIterator[Azure]:
    async with Azure() as serving:
        yield serving
