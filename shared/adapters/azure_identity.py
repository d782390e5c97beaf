"""The app's own identity: managed in Azure, a developer's login (`az login`) elsewhere."""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from shared.clock import SystemClock
from shared.errors import SecretsUnavailable
from shared.ports import Clock
from shared.single_flight import SingleFlight
from shared.telemetry.logging import log_event

if TYPE_CHECKING:
    from azure.core.credentials import AccessToken, AccessTokenInfo, TokenRequestOptions

_logger = logging.getLogger("llmproxy.identity")

_REFRESH_BEFORE_EXPIRY = 300.0
"""Seconds before a token's end from which a new one is fetched in the background (azure-core's margin)."""
_USABLE_BEFORE_EXPIRY = 30.0
"""Seconds before a token's end from which it is not handed out: a request takes time to arrive."""
_PAUSE_AFTER_FAILURE = 5.0
_TOKEN_TIMEOUT = 20.0
"""Seconds for one token. The slowest way is a developer's command line, which takes up to ten."""


class TokenCredential(Protocol):
    """What azure-identity's asynchronous credentials offer (azure.core.credentials_async)."""

    async def get_token(
        self,
        *scopes: str,
        claims: str | None = None,
        tenant_id: str | None = None,
        enable_cae: bool = False,
        **kwargs: Any,
    ) -> "AccessToken": ...

    async def get_token_info(
        self, *scopes: str, options: "TokenRequestOptions | None" = None
    ) -> "AccessTokenInfo": ...

    async def close(self) -> None: ...


@dataclass(slots=True)
class _Token:
    """`expires_at` is the clock's `time()`, `refresh_at` its `monotonic()`. Without text: a failure."""

    text: str = field(repr=False)
    expires_at: float
    refresh_at: float
    problem: str = "The app's identity was given a token that has expired."


class AzureIdentity:
    """A `TokenSource`, and the credential that Azure's clients take. Costs nothing until it is used."""

    def __init__(
        self,
        client_id: str = "",
        clock: Clock | None = None,
        *,
        build: Callable[[str], TokenCredential] | None = None,
    ) -> None:
        """`client_id` names a user-assigned identity; empty means the system's. `build` makes the credential
        out of it, in a thread; left out, it is azure-identity's `DefaultAzureCredential`."""
        self._client_id = client_id
        self._clock = clock or SystemClock()
        self._build = build or _default_credential
        self._credential: TokenCredential | None = None
        self._building: SingleFlight[TokenCredential] = SingleFlight()
        self._tokens: dict[str, _Token] = {}
        self._flights: SingleFlight[_Token] = SingleFlight()

    def credential(self) -> TokenCredential:
        """For Azure's clients. azure-identity is imported and asked when they first need a token."""
        return _LazyCredential(self._built)

    async def token(self, scope: str) -> str:
        token = self._tokens.get(scope)
        if token is not None:
            if self._clock.monotonic() < token.refresh_at:
                return self._usable(token)
            if token.text and self._clock.time() < token.expires_at - _USABLE_BEFORE_EXPIRY:
                self._flights.start(scope, lambda: self._fetch(scope))
                return token.text
        return self._usable(await self._flights.join(scope, lambda: self._fetch(scope)))

    async def close(self) -> None:
        await self._flights.close()
        await self._building.close()
        self._tokens.clear()
        if self._credential is not None:
            await self._credential.close()
            self._credential = None

    async def _built(self) -> TokenCredential:
        if self._credential is None:
            self._credential = await self._building.join(
                "credential", lambda: asyncio.to_thread(self._build, self._client_id)
            )
        return self._credential

    async def _fetch(self, scope: str) -> _Token:
        try:
            async with asyncio.timeout(_TOKEN_TIMEOUT):
                answer = await (await self._built()).get_token(scope)
        except Exception as error:
            # Any: azure-identity lets through what its many ways raise, of azure-core, msal, aiohttp and the
            # system. Our error tells the class only; the log has the text, cleaned of credentials, since it
            # says which way of logging in was tried and why it failed.
            log_event(_logger, logging.WARNING, "token_unavailable", scope=scope, message=str(error))
            token = self._failed(scope, error)
        else:
            left = answer.expires_on - self._clock.time()
            refresh_in = max(left - _REFRESH_BEFORE_EXPIRY, left / 2)
            token = _Token(answer.token, answer.expires_on, self._clock.monotonic() + refresh_in)
        self._tokens[scope] = token
        return token

    def _usable(self, token: _Token) -> str:
        if not token.text or self._clock.time() >= token.expires_at:
            raise SecretsUnavailable(token.problem)
        return token.text

    def _failed(self, scope: str, error: Exception) -> _Token:
        problem = f"The app's identity has no token for {scope} ({type(error).__name__})."
        known = self._tokens.get(scope)
        ask_again = self._clock.monotonic() + _PAUSE_AFTER_FAILURE
        if known is not None and known.text and self._clock.time() < known.expires_at:
            return _Token(known.text, known.expires_at, ask_again, problem)
        return _Token("", 0.0, ask_again, problem)


class _LazyCredential:
    """Azure's clients keep this one; the real credential is made at their first request."""

    def __init__(self, built: "Callable[[], Any]") -> None:
        self._built = built

    async def get_token(self, *scopes: str, **options: Any) -> "AccessToken":
        credential: TokenCredential = await self._built()
        return await credential.get_token(*scopes, **options)

    async def get_token_info(
        self, *scopes: str, options: "TokenRequestOptions | None" = None
    ) -> "AccessTokenInfo":
        credential: TokenCredential = await self._built()
        return await credential.get_token_info(*scopes, options=options)

    async def close(self) -> None:
        """Nothing: several clients share the credential, and the identity closes it."""

    async def __aenter__(self) -> "_LazyCredential":
        return self

    async def __aexit__(self, *_: object) -> None: ...


def _default_credential(client_id: str) -> TokenCredential:
    from azure.identity.aio import DefaultAzureCredential

    return DefaultAzureCredential(managed_identity_client_id=client_id or None)
