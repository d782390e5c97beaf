"""A token of whoever is logged in on this machine, by Azure's own command lines."""

import json
import shutil
import subprocess

_PATIENCE = 60.0
"""Seconds for one command: both start slowly, and ask the network."""


class NotLoggedIn(Exception):
    """The message says what to do, in one line."""


def access_token(resource: str) -> str:
    """A bearer token for `resource` (`https://vault.azure.net`) from azd, else from az. Raises `NotLoggedIn`.

    azd comes first: whoever deploys with it is logged in there, maybe as someone else than with az.
    """
    commands = (
        ("azd", ["auth", "token", "--scope", f"{resource}/.default", "--output", "json"], "token"),
        ("az", ["account", "get-access-token", "--resource", resource, "--output", "json"], "accessToken"),
    )
    for program, arguments, field in commands:
        token = _token(program, arguments, field)
        if token:
            return token
    raise NotLoggedIn("log in with `azd auth login` or `az login` first")


def _token(program: str, arguments: list[str], field: str) -> str | None:
    path = shutil.which(program)
    if path is None:
        return None
    try:
        # What it prints is the token, or says why there is none, maybe with an account's name: not for a log.
        done = subprocess.run(  # noqa: S603
            [path, *arguments], capture_output=True, stdin=subprocess.DEVNULL, timeout=_PATIENCE, check=True
        )
        answer = json.loads(done.stdout)
    except (OSError, subprocess.SubprocessError, ValueError):
        return None
    token = answer.get(field) if isinstance(answer, dict) else None
    return token if isinstance(token, str) and token else None
