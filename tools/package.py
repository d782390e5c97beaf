"""`python -m tools.package`: the zip that Azure gets.

It holds the files that git tracks, as they are in the working tree, without those that .funcignore names (its
syntax is .gitignore's). So nothing that git ignores, and nothing that someone left lying about, can get in.
"""

import argparse
import hashlib
import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
IGNORE_FILE = ".funcignore"
DEFAULT_OUTPUT = Path("dist/llm-proxy.zip")

_EARLIEST = (1980, 1, 1, 0, 0, 0)
"""The first moment that a zip can tell (APPNOTE.TXT 4.4.6)."""
_MODE = 0o100644
_UNIX = 3


class CannotPackage(Exception):
    """The message says why, in one line."""


def packaged_files(root: Path) -> list[str]:
    """The paths that belong into the package, sorted, relative to `root`, with slashes.

    Raises `CannotPackage` where `root` is no checkout or lacks a file that git tracks.
    """
    ignore = root / IGNORE_FILE
    if not ignore.is_file():
        raise CannotPackage(f"{IGNORE_FILE} is missing")
    tracked = set(_git(root, "ls-files", "-z"))
    ignored = set(_git(root, "ls-files", "-z", "--cached", "--ignored", f"--exclude-from={ignore}"))
    paths = sorted(tracked - ignored)
    for path in paths:
        file = root / path
        if file.is_symlink() or not file.is_file():
            raise CannotPackage(f"{path} is tracked by git, and is not a file")
    return paths


def write_package(root: Path, output: Path) -> str:
    """Writes the zip and gives its SHA-256 in hex. The same files make the same bytes, on every machine.

    Nothing is compressed: what deflate makes of a file differs between versions of zlib.
    """
    paths = packaged_files(root)
    output.parent.mkdir(parents=True, exist_ok=True)
    # Written beside its place and moved there: one who is interrupted leaves no half of a package.
    unfinished = output.with_name(output.name + ".part")
    with zipfile.ZipFile(unfinished, "w", zipfile.ZIP_STORED) as package:
        for path in paths:
            entry = zipfile.ZipInfo(path, _EARLIEST)
            entry.create_system = _UNIX
            entry.external_attr = _MODE << 16
            package.writestr(entry, (root / path).read_bytes())
    unfinished.replace(output)
    return hashlib.sha256(output.read_bytes()).hexdigest()


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tools.package", description="Make the zip that Azure gets."
    )
    parser.add_argument("--output", type=Path, default=DEFAULT_OUTPUT, help=f"default: {DEFAULT_OUTPUT}")
    parser.add_argument("--list", action="store_true", help="print the files, make nothing")
    chosen = parser.parse_args(arguments)
    try:
        if chosen.list:
            print("\n".join(packaged_files(ROOT)))
            return 0
        digest = write_package(ROOT, chosen.output)
    except CannotPackage as error:
        print(error, file=sys.stderr)
        return 1
    print(f"{chosen.output}  sha256 {digest}")
    return 0


def _git(root: Path, *arguments: str) -> list[str]:
    """The paths that a git command lists. Raises `CannotPackage`."""
    try:
        done = subprocess.run(  # noqa: S603
            ["git", *arguments],  # noqa: S607
            cwd=root,
            capture_output=True,
            check=True,
        )
    except FileNotFoundError:
        raise CannotPackage("git is needed to know which files are the project's") from None
    except subprocess.CalledProcessError as error:
        reason = error.stderr.decode(errors="replace").strip().splitlines()
        raise CannotPackage(reason[-1] if reason else "git failed") from None
    return [path for path in done.stdout.decode().split("\0") if path]


if __name__ == "__main__":
    sys.exit(main())
