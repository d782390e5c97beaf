"""The Bicep as it is in the repository, read once."""

from functools import cache
from pathlib import Path

from tools.bicep import Template, read_folder

ROOT = Path(__file__).resolve().parents[3]
FOLDER = ROOT / "infra-bicep"


@cache
def templates() -> dict[str, Template]:
    return read_folder(FOLDER)


def bicep_files() -> dict[str, Template]:
    return {path: template for path, template in templates().items() if path.endswith(".bicep")}


def module(name: str) -> Template:
    return templates()[f"modules/{name}.bicep"]
