"""`python -m shared.catalog export|import`: the catalog as a file, with the settings of the app."""

import argparse
import asyncio
import os
import sys
from collections.abc import Sequence

from shared.errors import ProxyError, SecretsUnavailable, SettingError

_FAILED, _MISUSED = 1, 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns the exit status: 1 where something was left out or refused, 2 for a wrong setting or file."""
    asked = _parser().parse_args(arguments)
    from shared.transfer import command

    try:
        return asyncio.run(command.run(asked))
    except (SettingError, SecretsUnavailable) as error:
        print(error, file=sys.stderr)
        return _MISUSED
    except command.Misused as error:
        print(error, file=sys.stderr)
        return _MISUSED
    except ProxyError as error:
        print(error.message, file=sys.stderr)
        return _FAILED
    except BrokenPipeError:
        # Whoever read the export has enough of it; what is left must not be flushed at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _FAILED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m shared.catalog",
        description="Write the catalog (models, groups, projects, keys) to a file, or take one in.",
    )
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="export|import")
    export = verbs.add_parser("export", help="write everything as JSON Lines")
    export.add_argument("file", nargs="?", default="-", help="where to (standard output)")
    take = verbs.add_parser("import", help="create and change what a file says; nothing is deleted")
    take.add_argument("file", nargs="?", default="-", help="an export (standard input)")
    take.add_argument("--dry-run", action="store_true", help="say what would happen, and write nothing")
    take.add_argument("--litellm", action="store_true", help="the file is a config.yaml of LiteLLM's proxy")
    take.add_argument(
        "--variable",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="with --litellm: what os.environ/NAME means where no secret is wanted, such as an address",
    )
    return parser


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
