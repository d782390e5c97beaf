"""`python -m shared.smoke`: asks a running proxy for what it is for, and says which step failed."""

import argparse
import re
import sys
import time
from pathlib import Path

from shared.deployment.login import NotLoggedIn
from shared.deployment.vault import DeployerVault, VaultProblem
from shared.deployment.web import CannotAsk, Server
from shared.smoke import MODEL
from shared.smoke.steps import STEPS, StepFailed, Target

_PRINTABLE = re.compile(r"[!-~]+")
SECRET = "llmproxy-smoke-key"  # noqa: S105 (a name)


def main(arguments: list[str] | None = None) -> int:
    """0: all steps passed. 1: one failed, the others were not tried. 2: the test cannot be made."""
    chosen = _parser().parse_args(arguments)
    try:
        server = Server(chosen.url)
    except ValueError as error:
        return _cannot(f"--url {error}")
    try:
        key = _key(chosen)
    except (OSError, ValueError, NotLoggedIn, VaultProblem) as error:
        return _cannot(f"there is no key: {error}")
    if not _PRINTABLE.fullmatch(key):
        return _cannot("there is no key: it is empty, or holds what no key holds")
    target = Target(
        server, key, chosen.model, chosen.limit, chosen.wait, chosen.expect_version, chosen.started_after
    )
    for name, step in STEPS.items():
        started = time.monotonic()
        try:
            outcome = step(target)
        except (StepFailed, CannotAsk) as error:
            print(f"FAILED  {name}: {_without(str(error), key)}", file=sys.stderr)
            return 1
        print(f"ok      {name}: {_without(outcome, key)} ({time.monotonic() - started:.2f} s)", flush=True)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m shared.smoke", description="Ask a running proxy for health, models, a chat and a job."
    )
    parser.add_argument(
        "--url", required=True, help="the proxy's address, such as https://name.azurewebsites.net"
    )
    key = parser.add_mutually_exclusive_group(required=True)
    key.add_argument("--key-file", metavar="PATH", help="a file that holds the key, or - for standard input")
    key.add_argument("--key-vault", metavar="URL", help=f"the Key Vault that holds it as {SECRET}")
    parser.add_argument("--model", default=MODEL, help=f"the model to ask (default: {MODEL})")
    parser.add_argument("--limit", type=_seconds, default=60.0, help="seconds for each step (default: 60)")
    parser.add_argument(
        "--wait", type=_seconds, default=0.0, help="seconds that an app may take to start (default: 0)"
    )
    parser.add_argument("--expect-version", metavar="VERSION", help="the version that must answer")
    parser.add_argument(
        "--started-after",
        type=float,
        metavar="TIME",
        help="seconds since 1970: the process that answers must have started later, so be the one deployed",
    )
    return parser


def _key(chosen: argparse.Namespace) -> str:
    if chosen.key_vault:
        return DeployerVault(chosen.key_vault, patience=chosen.wait).get(SECRET) or ""
    if chosen.key_file == "-":
        return sys.stdin.read().strip()
    return Path(chosen.key_file).read_text(encoding="utf-8").strip()


def _seconds(text: str) -> float:
    number = float(text)
    if not 0 <= number <= 3600:
        raise argparse.ArgumentTypeError("must be a number of seconds from 0 to 3600")
    return number


def _without(text: str, key: str) -> str:
    """A server that is not ours may send back what it got."""
    return text.replace(key, "***")


def _cannot(reason: str) -> int:
    print(reason, file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
