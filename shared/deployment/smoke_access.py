"""What the smoke test needs in a deployment: a demo model that is private to its project, and a key."""

import time
from collections.abc import Callable
from urllib.parse import quote

from shared import Json
from shared.deployment.vault import DeployerVault
from shared.deployment.web import Answer, CannotAsk, Server
from shared.smoke import MODEL, PROJECT

ADMIN_KEY = "llmproxy-admin-key"
SMOKE_KEY = "llmproxy-smoke-key"
KEY_NAME = "smoke test"

DOCUMENT: Json = {
    "id": MODEL,
    "name": "Smoke test",
    "code": MODEL,
    "provider": "Demo",
    "model_type": "Demo",
    "operations": ["ChatCompletion"],
    "projects": [PROJECT],
    "private": True,
    "enabled": True,
}
_ROUNDS = 2
_PAUSE = 2.0
_KNOWN_EVERYWHERE = 30.0
"""Seconds after which each instance of the app has a change of the catalog."""


class NotPrepared(Exception):
    """The message says which step failed and why, in one line, never with a key."""


class SmokeAccess:
    """Brings a deployment to where the smoke test can run; a second time there is nothing left to do.

    Speaks to the proxy as its administrator, through `/manage`. `wait` is how long, in seconds, the app may
    take to start and to see a new administrator's key.
    """

    def __init__(
        self,
        server: Server,
        vault: DeployerVault,
        *,
        wait: float = 600.0,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self._server = server
        self._vault = vault
        self._wait = wait
        self._pause = pause
        self._admin = ""

    def prepare(self) -> list[str]:
        """What was done, one line each. Raises `NotPrepared`, `VaultProblem`, `NotLoggedIn`."""
        admin = self._vault.get(ADMIN_KEY)
        if admin is None:
            raise NotPrepared(f"the secret {ADMIN_KEY} is missing")
        self._admin = admin
        done = self._model()
        if done:
            # Whatever asks for the model next may ask another instance.
            self._pause(min(self._wait, _KNOWN_EVERYWHERE))
        for _ in range(_ROUNDS):
            if self._works(self._vault.get(SMOKE_KEY)):
                return done
            # Another deployment may do the same: whose key the vault has in the end, counts.
            self._new_key()
            done.append(f"made a key of the project {PROJECT}: the secret {SMOKE_KEY}")
        if not self._works(self._vault.get(SMOKE_KEY)):
            raise NotPrepared(f"the key in {SMOKE_KEY} does not work")
        return done

    def _model(self) -> list[str]:
        found = self._when_it_answers(f"/manage/models/{quote(MODEL)}")
        if found.status == 404:
            self._manage("POST", "/manage/models", DOCUMENT, 201)
            return [f"made the model {MODEL}"]
        current = _json(found)
        changes = {name: value for name, value in DOCUMENT.items() if current.get(name) != value}
        if not changes:
            return []
        self._manage("PATCH", f"/manage/models/{quote(MODEL)}", changes, 200)
        return [f"put the model {MODEL} right: {', '.join(sorted(changes))}"]

    def _works(self, key: str | None) -> bool:
        if key is None:
            return False
        answer = self._ask("GET", f"/v1/models/{quote(MODEL)}", None, key)
        if answer.status not in (200, 401, 403, 404):
            raise NotPrepared(f"the key cannot be tried: {answer.problem()}")
        return answer.status == 200

    def _new_key(self) -> None:
        fields: Json = {"project": PROJECT, "name": KEY_NAME, "models": [MODEL]}
        made = self._manage("POST", "/manage/keys", fields, 201)
        key = made.get("key")
        if not isinstance(key, str):
            raise NotPrepared("the proxy made no key")
        self._vault.set(SMOKE_KEY, key)
        self._forget_others(self._vault.get(SMOKE_KEY) or key)

    def _forget_others(self, kept: str) -> None:
        """Deletes the keys that this made before, whose secrets no one has any more."""
        listed = self._manage("GET", f"/manage/keys?project_id={PROJECT}&limit=1000", None, 200)
        for entry in listed.get("data") or []:
            id = str(entry.get("id"))
            if entry.get("name") == KEY_NAME and f"_{id}_" not in kept:
                self._ask("DELETE", f"/manage/keys/{quote(id, safe='')}", None, self._admin)

    def _when_it_answers(self, path: str) -> Answer:
        """The first answer that is neither of an app that starts nor of one that knows an older key."""
        deadline = time.monotonic() + self._wait
        while True:
            try:
                answer = self._server.ask("GET", path, bearer=self._admin)
                if answer.status == 200 or _not_found(answer):
                    return answer
                problem = answer.problem()
            except CannotAsk as error:
                problem = str(error)
            if time.monotonic() + _PAUSE > deadline:
                raise NotPrepared(f"the proxy does not serve its administrator: {problem}")
            self._pause(_PAUSE)

    def _manage(self, method: str, path: str, body: Json | None, expected: int) -> Json:
        answer = self._ask(method, path, body, self._admin)
        if answer.status != expected:
            raise NotPrepared(f"{method} {path}: {answer.problem()}")
        return _json(answer)

    def _ask(self, method: str, path: str, body: Json | None, key: str) -> Answer:
        try:
            return self._server.ask(method, path, body, bearer=key)
        except CannotAsk as error:
            raise NotPrepared(f"{method} {path}: {error}") from None


def _json(answer: Answer) -> Json:
    try:
        return answer.json()
    except CannotAsk as error:
        raise NotPrepared(str(error)) from None


def _not_found(answer: Answer) -> bool:
    """Whether the proxy says so, not the host: while an app is put in place, the host's 404 is empty."""
    try:
        return answer.status == 404 and bool(answer.json()["error"]["code"])
    except (CannotAsk, LookupError, TypeError):
        return False
