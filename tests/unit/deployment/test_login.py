"""Whose token it is: azd's login first, then az's, and nothing of theirs is ever shown."""

from pathlib import Path

import pytest

from shared.deployment.login import NotLoggedIn, access_token
from tests.unit.deployment.conftest import command

VAULT = "https://vault.azure.net"


def test_azd_is_asked_for_the_scope_of_the_vault(programs: Path) -> None:
    command(programs, "azd", """printf '{"token": "%s"}' "$*" """)
    command(programs, "az", """echo '{"accessToken": "of-az"}'""")
    assert access_token(VAULT) == "auth token --scope https://vault.azure.net/.default --output json"


def test_az_serves_where_azd_is_not_logged_in(programs: Path) -> None:
    command(programs, "azd", "echo 'not logged in' >&2; exit 1")
    command(programs, "az", """printf '{"accessToken": "%s"}' "$*" """)
    assert access_token(VAULT) == "account get-access-token --resource https://vault.azure.net --output json"


@pytest.mark.parametrize("said", ["", "[]", '{"token": ""}', '{"token": 7}', "token-in-the-open"])
def test_an_odd_answer_is_no_login_and_is_not_repeated(programs: Path, said: str) -> None:
    command(programs, "azd", f"echo '{said}'")
    with pytest.raises(NotLoggedIn, match="azd auth login") as refused:
        access_token(VAULT)
    assert "token-in-the-open" not in str(refused.value)
