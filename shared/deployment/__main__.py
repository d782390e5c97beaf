"""`python -m shared.deployment`: what the hooks of a deployment run, as whoever is logged in with azd or az.

own-secrets       makes the proxy's own secrets in the vault where they are missing
rotate            gives one of them a new text; the one before works on until it is deleted
smoke-access      makes the smoke test's model and key in a running proxy, and puts the key into the vault
vault-deleted     prints `true` if a vault of this environment waits to be taken back, else `false`
"""

import argparse
import sys

from shared.deployment.login import NotLoggedIn
from shared.deployment.own_secrets import NAMES, StillInUse, ensure_secrets, rotate_secret
from shared.deployment.recovery import MANAGEMENT, CannotTell, deleted_vaults
from shared.deployment.smoke_access import NotPrepared, SmokeAccess
from shared.deployment.vault import DeployerVault, VaultProblem
from shared.deployment.web import Server


def main(arguments: list[str] | None = None) -> int:
    """0, or 1 with the reason in one line; 2 for wrong arguments. No secret is ever printed."""
    chosen = _parser().parse_args(arguments)
    try:
        if chosen.command == "vault-deleted":
            found = deleted_vaults(
                chosen.subscription,
                chosen.resource_group,
                chosen.environment,
                chosen.location,
                management=chosen.management,
            )
            print("true" if found else "false")
            return 0
        vault = DeployerVault(chosen.key_vault, patience=chosen.wait)
        if chosen.command == "own-secrets":
            done = [f"made the secret {name}" for name in ensure_secrets(vault)]
        elif chosen.command == "rotate":
            done = rotate_secret(vault, chosen.name)
        else:
            done = SmokeAccess(Server(chosen.url), vault, wait=chosen.wait).prepare()
    except ValueError as error:
        print(f"an address is wrong: it {error}", file=sys.stderr)
        return 2
    except (CannotTell, NotLoggedIn, NotPrepared, StillInUse, VaultProblem) as error:
        print(error, file=sys.stderr)
        return 1
    print("\n".join(done) if done else "nothing was missing")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m shared.deployment", description="Prepare a deployment.")
    commands = parser.add_subparsers(dest="command", required=True)
    own = commands.add_parser("own-secrets", help="make the proxy's own secrets where they are missing")
    rotate = commands.add_parser("rotate", help="give one of the proxy's own secrets a new text")
    rotate.add_argument("name", choices=NAMES, metavar="NAME", help=f"one of {', '.join(NAMES)}")
    access = commands.add_parser("smoke-access", help="make the smoke test's model and key")
    access.add_argument("--url", required=True, help="the proxy's address")
    for command in (own, rotate, access):
        command.add_argument("--key-vault", required=True, metavar="URL", help="the deployment's Key Vault")
        command.add_argument(
            "--wait", type=float, default=600.0, help="seconds for roles and the app to come (default: 600)"
        )
    deleted = commands.add_parser("vault-deleted", help="whether a vault waits to be taken back")
    for name in ("subscription", "resource-group", "environment", "location"):
        deleted.add_argument(f"--{name}", required=True)
    deleted.add_argument("--management", default=MANAGEMENT, help=f"Azure's address (default: {MANAGEMENT})")
    return parser


if __name__ == "__main__":
    sys.exit(main())
