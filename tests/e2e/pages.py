"""The commands and examples of a page of the documentation, run as they stand there against a local host."""

import re
import shutil
import subprocess

import pytest

from tests.e2e.local_host import PATIENCE, LocalHost

ADDRESS = "http://127.0.0.1:7071"

needs_curl = pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")


def blocks(text: str, language: str) -> list[str]:
    """What the page shows in this language, in its order."""
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


def run(host: LocalHost, *command: str) -> str:
    """What a command prints in a checkout that has the running host's `.local`."""
    done = subprocess.run(
        [part.replace(ADDRESS, host.url) for part in command],
        cwd=host.directory.parent,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def shell(host: LocalHost, command: str) -> str:
    return run(
        host, "/bin/sh", "-ec", command.replace("curl ", "curl --silent --show-error --fail-with-body ")
    )
