"""docs/deploy.md against the templates, the hooks and the tools that it tells of."""

import re
from pathlib import Path

from shared.deployment.__main__ import _parser as deployment_parser
from shared.deployment.own_secrets import NAMES
from shared.secrets import PROXY_SECRETS
from shared.settings import settings_table
from shared.smoke import MODEL
from shared.smoke.__main__ import _parser as smoke_parser

ROOT = Path(__file__).resolve().parents[3]
PAGE = (ROOT / "docs" / "deploy.md").read_text(encoding="utf-8")
BICEP = (ROOT / "infra-bicep" / "main.bicep").read_text(encoding="utf-8")
PARAMETERS = (ROOT / "infra-bicep" / "main.bicepparam").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```bash\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


def commands(block: str) -> list[str]:
    """Its commands, each on one line."""
    return [line for line in block.replace("\\\n", " ").splitlines() if line.strip()]


def words(command: str) -> list[str]:
    """Those of a command, with every substitution as one word."""
    return re.sub(r'"\$\([^)]*\)"|"\$\w+"', "https://x.vault.azure.net", command).split()


def test_the_first_answer_takes_less_than_ten_commands() -> None:
    first = commands(BLOCKS[0])
    cloning = 2  # git clone, cd
    assert cloning + sum(1 + line.count("&&") for line in first) < 10
    assert "azd up" in first
    assert first[-1].startswith("curl ")
    assert f'"model": "{MODEL}"' in first[-1]


def test_every_variable_of_the_templates_is_explained_with_its_default() -> None:
    section = PAGE.split("\n## Parameters\n", 1)[1].split("\n## ", 1)[0]
    explained = dict(re.findall(r"^\| `(\w+)` \| (?:`(.*?)` )?\|", section, re.MULTILINE))
    read = dict(re.findall(r"readEnvironmentVariable\('(\w+)'(?:, '([^']*)')?\)", PARAMETERS))
    assert len(read) >= 20
    # What azd asks for, or knows by itself.
    for own in ("AZURE_ENV_NAME", "AZURE_LOCATION", "AZURE_PRINCIPAL_ID"):
        del read[own]
    assert explained == read


def test_what_is_read_from_the_environment_of_azd_is_an_output() -> None:
    outputs = set(re.findall(r"^output (\w+) ", BICEP, re.MULTILINE))
    asked = set(re.findall(r"azd env get-value (\w+)", PAGE))
    assert len(asked) >= 5
    assert asked <= outputs


def test_the_commands_of_this_project_are_as_they_are_shown() -> None:
    shown = [command for block in BLOCKS for command in commands(block) if " -m shared." in command]
    tools = {"shared.smoke": smoke_parser, "shared.deployment": deployment_parser}
    found = set()
    for command in shown:
        _, _, module, *arguments = words(command)
        found.add(module)
        if module in tools:
            assert tools[module]().parse_args(arguments)
        else:
            assert (ROOT / module.replace(".", "/") / "__main__.py").is_file()
    assert found >= {*tools, "shared.catalog"}


def test_every_secret_of_the_proxy_has_its_way_to_be_rotated() -> None:
    table = PAGE.split("| Secret | Made by | To rotate |", 1)[1].split("\n\n", 1)[0]
    assert set(re.findall(r"^\| `(llmproxy-[\w-]+)`", table, re.MULTILINE)) == set(PROXY_SECRETS)
    assert all(f"| `{name}` |" in table for name in NAMES)


def test_every_setting_that_the_page_names_exists() -> None:
    known = {name for name, _, _ in settings_table()}
    outputs = set(re.findall(r"^output (\w+) ", BICEP, re.MULTILINE))
    assert set(re.findall(r"\bLLMPROXY_\w+", PAGE)) <= known | outputs


def test_every_target_of_make_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    assert set(re.findall(r"\bmake ([a-z-]+) (?:&&|\n)", "\n".join(BLOCKS))) <= targets
