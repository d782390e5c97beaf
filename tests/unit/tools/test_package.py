"""The zip that Azure gets: what is in it, what is not, and that it comes out the same each time."""

import os
import subprocess
import zipfile
from pathlib import Path

import pytest

from tools.package import CannotPackage, main, packaged_files, write_package

ROOT = Path(__file__).resolve().parents[3]


def git(folder: Path, *arguments: str) -> None:
    subprocess.run(
        ["git", "-c", "core.excludesFile=", *arguments], cwd=folder, check=True, capture_output=True
    )


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A small checkout with the real .funcignore and .gitignore."""
    folder = tmp_path / "checkout"
    for path in (
        "function_app.py",
        "host.json",
        "requirements.txt",
        "shared/core.py",
        "shared/readme.md",
        "tests/test_core.py",
        "docs/deploy.md",
        "infra-bicep/main.bicep",
        "benchmarks/load.py",
        "azure.yaml",
        ".github/workflows/ci.yml",
    ):
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(f"# {path}\n", encoding="utf-8")
    for name in (".funcignore", ".gitignore"):
        (folder / name).write_bytes((ROOT / name).read_bytes())
    git(folder, "init", "--quiet")
    git(folder, "add", ".")
    return folder


def test_only_what_the_app_needs_is_in_the_package(checkout: Path) -> None:
    assert packaged_files(checkout) == ["function_app.py", "host.json", "requirements.txt", "shared/core.py"]


def test_what_git_ignores_or_does_not_know_stays_out(checkout: Path) -> None:
    for path in (".local/secrets.json", "shared/__pycache__/core.pyc", "shared/draft.py", "notes.txt"):
        (checkout / path).parent.mkdir(parents=True, exist_ok=True)
        (checkout / path).write_text("not for others", encoding="utf-8")
    assert packaged_files(checkout) == ["function_app.py", "host.json", "requirements.txt", "shared/core.py"]


def test_the_same_files_make_the_same_bytes(checkout: Path, tmp_path: Path) -> None:
    first = write_package(checkout, tmp_path / "first.zip")
    # Another time, another mode, another folder: none of it is content.
    os.utime(checkout / "function_app.py", (1, 1))
    (checkout / "host.json").chmod(0o755)
    moved = checkout.rename(tmp_path / "elsewhere")
    second = write_package(moved, tmp_path / "second.zip")
    assert (tmp_path / "first.zip").read_bytes() == (tmp_path / "second.zip").read_bytes()
    assert first == second


def test_another_content_makes_another_package(checkout: Path, tmp_path: Path) -> None:
    first = write_package(checkout, tmp_path / "first.zip")
    (checkout / "function_app.py").write_text("# changed\n", encoding="utf-8")
    assert write_package(checkout, tmp_path / "second.zip") != first


def test_the_zip_is_sorted_and_says_nothing_of_the_machine(checkout: Path, tmp_path: Path) -> None:
    write_package(checkout, tmp_path / "package.zip")
    with zipfile.ZipFile(tmp_path / "package.zip") as package:
        entries = package.infolist()
        assert package.testzip() is None
        assert package.read("shared/core.py") == b"# shared/core.py\n"
    assert [entry.filename for entry in entries] == sorted(entry.filename for entry in entries)
    assert {entry.date_time for entry in entries} == {(1980, 1, 1, 0, 0, 0)}
    assert {entry.external_attr >> 16 for entry in entries} == {0o100644}


def test_a_file_that_is_missing_stops_the_packaging(checkout: Path, tmp_path: Path) -> None:
    (checkout / "shared/core.py").unlink()
    with pytest.raises(CannotPackage, match=r"shared/core\.py"):
        write_package(checkout, tmp_path / "package.zip")
    assert not (tmp_path / "package.zip").exists()


def test_a_link_stops_the_packaging(checkout: Path, tmp_path: Path) -> None:
    (checkout / "shared/secret.py").symlink_to("/etc/hostname")
    git(checkout, "add", "shared/secret.py")
    with pytest.raises(CannotPackage, match=r"shared/secret\.py"):
        write_package(checkout, tmp_path / "package.zip")


def test_a_folder_that_is_no_checkout_is_refused_in_one_line(tmp_path: Path) -> None:
    (tmp_path / ".funcignore").write_text("", encoding="utf-8")
    with pytest.raises(CannotPackage) as refused:
        packaged_files(tmp_path)
    assert len(str(refused.value).splitlines()) == 1


def test_this_project_packages_the_app_and_nothing_else(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--output", str(tmp_path / "made" / "package.zip")]) == 0
    assert "sha256" in capsys.readouterr().out
    with zipfile.ZipFile(tmp_path / "made" / "package.zip") as package:
        names = package.namelist()
    assert {name.split("/")[0] for name in names} == {
        "function_app.py",
        "functions",
        "host.json",
        "requirements.txt",
        "shared",
    }
    assert {Path(name).suffix for name in names} <= {".py", ".json", ".txt"}


def test_whoever_asks_no_git_leaves_out_the_same() -> None:
    """azd and func read .funcignore alone: what git ignores must stand there too."""

    def patterns(name: str) -> set[str]:
        lines = (ROOT / name).read_text(encoding="utf-8").splitlines()
        return {line.strip().rstrip("/") for line in lines if line.strip() and not line.startswith("#")}

    covered = patterns(".funcignore") | {"local.settings.json"}  # by local.settings.json*
    assert patterns(".gitignore") <= covered
