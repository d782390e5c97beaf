"""A Key Vault and Azure's management API as a deployer meets them, on loopback."""

from typing import Any

from shared import Json
from tests.upstreams.behaviours import Behaviour, Reply
from tests.upstreams.server import Received, Upstream

TOKEN = "token-of-the-deployer"


class Azure(Upstream):
    """`secrets` is what the vault holds, `deleted` the names whose secret was deleted and not purged.

    `role_after` is how many requests are refused before the deployer's role is known. `vaults` are the
    pages of deleted vaults.
    """

    def __init__(self) -> None:
        super().__init__()
        self.secrets: dict[str, str] = {}
        self.written: list[str] = []
        self.deleted: set[str] = set()
        self.unrecoverable = False
        self.role_after = 0
        self.vaults: list[list[Json]] = []

    def answer(self, request: Received) -> Behaviour:
        if request.headers.get("authorization") != f"Bearer {TOKEN}":
            return refused(401, "Unauthorized")
        if "api-version" not in request.query:
            return refused(400, "BadParameter")
        if request.path.endswith("/deletedVaults"):
            return self._deleted_vaults(int(request.query.get("page", "0")))
        if self.role_after:
            self.role_after -= 1
            return refused(403, "Forbidden", inner="ForbiddenByRbac")
        if request.path.startswith("/deletedsecrets/"):
            return self._recover(request.path.split("/")[2])
        return self._secret(request, request.path.removeprefix("/secrets/"))

    def _recover(self, name: str) -> Behaviour:
        if name not in self.deleted:
            return refused(404, "SecretNotFound")
        if self.unrecoverable:
            return refused(403, "Forbidden", inner="AccessDenied")
        self.deleted.remove(name)
        return Reply({"id": f"{self.url}/secrets/{name}"})

    def _secret(self, request: Received, name: str) -> Behaviour:
        if request.method == "PUT":
            if name in self.deleted:
                return refused(409, "Conflict", inner="ObjectIsDeletedButRecoverable")
            self.secrets[name] = request.body["value"]
            self.written.append(name)
        if name not in self.secrets:
            return refused(404, "SecretNotFound")
        return Reply({"value": self.secrets[name], "id": f"{self.url}/secrets/{name}/1"})

    def _deleted_vaults(self, page: int) -> Behaviour:
        body: Json = {"value": self.vaults[page] if self.vaults else []}
        if page + 1 < len(self.vaults):
            body["nextLink"] = f"https://elsewhere.example/x/deletedVaults?api-version=1&page={page + 1}"
        return Reply(body)


def refused(status: int, code: str, *, inner: str = "") -> Reply:
    error: dict[str, Any] = {"code": code, "message": f"{code} it is"}
    if inner:
        error["innererror"] = {"code": inner}
    return Reply({"error": error}, status)


def deleted_vault(name: str, environment: str, location: str, group: str = "rg-dev") -> Json:
    id = f"/subscriptions/s/resourceGroups/{group}/providers/Microsoft.KeyVault/vaults/{name}"
    properties = {"vaultId": id, "location": location, "tags": {"azd-env-name": environment}}
    return {"name": name, "properties": properties}
