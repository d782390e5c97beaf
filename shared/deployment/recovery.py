"""A vault that was deleted with an earlier deployment: purge protection keeps its name until it comes back."""

from collections.abc import Callable
from urllib.parse import quote, urlsplit

from shared import Json
from shared.deployment.login import access_token
from shared.deployment.web import CannotAsk, Server

MANAGEMENT = "https://management.azure.com"
_HOSTS = ("management.azure.com", "management.chinacloudapi.cn", "management.usgovcloudapi.net")
_LOOPBACK = ("localhost", "127.0.0.1", "::1")
API_VERSION = "2023-07-01"
"""https://learn.microsoft.com/rest/api/keyvault/keyvault/vaults/list-deleted"""
_MOST_PAGES = 100


class CannotTell(Exception):
    """The message says why, in one line."""


def deleted_vaults(
    subscription: str,
    group: str,
    environment: str,
    location: str,
    *,
    management: str = MANAGEMENT,
    token: Callable[[str], str] = access_token,
) -> list[str]:
    """The names of the deleted vaults of this environment (by their tag) in this region and resource group.

    The template makes a vault's name of just these, so there is one or none. Raises `CannotTell`,
    `NotLoggedIn`, and ValueError for an address that is not Azure's.
    """
    server = Server(management)
    if server.host not in _HOSTS + _LOOPBACK:
        raise ValueError("must be the address of Azure's management")
    bearer = token(f"https://{server.host}" if server.host in _HOSTS else MANAGEMENT)
    path = f"/subscriptions/{quote(subscription, safe='')}/providers/Microsoft.KeyVault/deletedVaults"
    path += f"?api-version={API_VERSION}"
    found: list[str] = []
    for _ in range(_MOST_PAGES):
        page = _page(server, path, bearer)
        entries = [entry for entry in page.get("value") or [] if isinstance(entry, dict)]
        found.extend(
            str(entry.get("name")) for entry in entries if _is_of(entry, group, environment, location)
        )
        link = page.get("nextLink")
        if not link:
            return found
        # The token goes to the same host, whatever the answer names.
        parts = urlsplit(str(link))
        path = f"{parts.path}?{parts.query}"
    return found


def _page(server: Server, path: str, bearer: str) -> Json:
    try:
        answer = server.ask("GET", path, bearer=bearer)
        if answer.status != 200:
            raise CannotTell(f"the deleted vaults cannot be listed: {answer.problem()}")
        return answer.json()
    except CannotAsk as error:
        raise CannotTell(f"the deleted vaults cannot be listed: {error}") from None


def _is_of(entry: Json, group: str, environment: str, location: str) -> bool:
    properties = entry.get("properties") or {}
    tags = properties.get("tags") or {}
    return (
        tags.get("azd-env-name") == environment
        and _region(properties.get("location")) == _region(location)
        and f"/resourcegroups/{group}/".lower() in str(properties.get("vaultId")).lower()
    )


def _region(text: object) -> str:
    """`West Europe` and `westeurope` are the same region."""
    return str(text or "").replace(" ", "").lower()
