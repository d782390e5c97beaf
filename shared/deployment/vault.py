"""The deployment's Key Vault as its deployer sees it: read a secret, write one."""

import time
from collections.abc import Callable
from urllib.parse import quote

from shared.deployment.login import access_token
from shared.deployment.web import Answer, CannotAsk, Server

API_VERSION = "7.4"
"""https://learn.microsoft.com/rest/api/keyvault/"""

_CLOUDS = ("vault.azure.net", "vault.azure.cn", "vault.usgovcloudapi.net")
_LOOPBACK = ("localhost", "127.0.0.1", "::1")
_PAUSE = 5.0


class VaultProblem(Exception):
    """The message says what is wrong, in one line, never with a secret."""


class DeployerVault:
    """Reads and writes as whoever is logged in with azd or az.

    A role takes minutes to be known everywhere: for `patience` seconds a refusal for want of one is asked
    again, every `pause` seconds. Raises ValueError for an address that is no vault's.
    """

    def __init__(
        self,
        address: str,
        *,
        patience: float = 600.0,
        pause: float = _PAUSE,
        token: Callable[[str], str] = access_token,
    ) -> None:
        self._server = Server(address)
        self._resource = _resource(self._server.host)
        self._patience = patience
        self._pause = pause
        self._token_of = token
        self._token = ""

    def get(self, name: str) -> str | None:
        """The secret's text; None where there is none. Raises `VaultProblem`, `NotLoggedIn`."""
        answer = self._ask("GET", name)
        if answer.status == 404:
            return None
        self._check(answer, name)
        text = str(_field(answer, "value")).strip()
        return text or None

    def set(self, name: str, text: str) -> None:
        """Writes a new version of the secret. Raises `VaultProblem`, `NotLoggedIn`.

        One that was deleted keeps its name, and purge protection lets no one free it: it is recovered first.
        """
        deadline = time.monotonic() + self._patience
        answer = self._ask("PUT", name, text)
        while answer.status == 409:
            # Also while the vault still recovers it, which the second answer to `recover` says.
            recovering = self._ask("POST", name, path="/deletedsecrets/{}/recover")
            if recovering.status not in (200, 404, 409) or time.monotonic() + self._pause > deadline:
                raise VaultProblem(
                    f"the secret {name} was deleted, and cannot be recovered: {answer.problem()}"
                )
            time.sleep(self._pause)
            answer = self._ask("PUT", name, text)
        self._check(answer, name)

    def _ask(self, method: str, name: str, text: str | None = None, *, path: str = "/secrets/{}") -> Answer:
        deadline = time.monotonic() + self._patience
        path = f"{path.format(quote(name, safe=''))}?api-version={API_VERSION}"
        self._token = self._token or self._token_of(self._resource)
        while True:
            try:
                body = None if text is None else {"value": text}
                answer = self._server.ask(method, path, body, bearer=self._token)
            except CannotAsk as error:
                raise VaultProblem(f"the vault cannot be asked: {error}") from None
            if not _lacks_role(answer) or time.monotonic() + self._pause > deadline:
                return answer
            time.sleep(self._pause)

    def _check(self, answer: Answer, name: str) -> None:
        if answer.status != 200:
            raise VaultProblem(f"the vault refused the secret {name}: {answer.problem()}")


def _resource(host: str) -> str:
    """What a token for this vault is asked for. A token must reach no other host than a vault."""
    if host in _LOOPBACK:
        return "https://" + _CLOUDS[0]
    for cloud in _CLOUDS:
        if host.endswith("." + cloud):
            return "https://" + cloud
    raise ValueError("must be the address of a Key Vault")


def _lacks_role(answer: Answer) -> bool:
    if answer.status != 403:
        return False
    try:
        return bool(answer.json()["error"]["innererror"]["code"] == "ForbiddenByRbac")
    except (CannotAsk, LookupError, TypeError):
        return False


def _field(answer: Answer, name: str) -> object:
    try:
        return answer.json().get(name) or ""
    except CannotAsk as error:
        raise VaultProblem(f"the vault cannot be read: {error}") from None
