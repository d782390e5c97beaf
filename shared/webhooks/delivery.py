"""Sends webhooks: one try each, behind a guard that no address of an inner network passes."""

import asyncio
import logging
import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from shared import SERVICE, VERSION
from shared.ports import Clock, SecretStore
from shared.providers.http_client import HttpClient
from shared.telemetry.logging import log_event
from shared.webhooks.addresses import refuse_receiver, refuse_url
from shared.webhooks.outcome import Outcome, Verdict, given_up, outcome_of, try_again
from shared.webhooks.signing import WebhookSecrets, signed_headers

if TYPE_CHECKING:
    import ssl

    import aiohttp
    from aiohttp.abc import AbstractResolver

TIMEOUT = 10.0
"""Seconds for one try in all: name, connection, request and the answer's status."""
MAX_ANSWER = 16 * 1024
"""Bytes of an answer's body that are read, and dropped, before the connection is closed."""
_READING = 1.0
"""Seconds for that, within the ten."""

_ID = re.compile(r"[A-Za-z0-9_-]{1,255}")
_logger = logging.getLogger("llmproxy.webhooks")


@dataclass(frozen=True, slots=True)
class Message:
    """One event on its way to one address. `id` stays the same at every try, and holds no full stop.

    `payload` is what `webhook_payload` made. Neither it nor the address shows in a `repr`.
    """

    id: str
    project: str
    url: str = field(repr=False)
    payload: bytes = field(repr=False)

    def __post_init__(self) -> None:
        if not _ID.fullmatch(self.id):
            raise ValueError("a message's id has 1 to 255 letters, digits, hyphens or underscores")


class ReceiverRefused(Exception):
    """A host name led to an address that no webhook is sent to."""


class Webhooks:
    """Delivers messages. `local` is local mode, in which loopback and plain http are allowed.

    `resolver` looks host names up and `tls` says which certificates are trusted; left out, both are the
    system's. Nothing is opened before the first use.
    """

    def __init__(
        self,
        secrets: SecretStore,
        clock: Clock,
        *,
        local: bool,
        resolver: "Callable[[], AbstractResolver] | None" = None,
        tls: "ssl.SSLContext | None" = None,
        timeout: float = TIMEOUT,
    ) -> None:
        self.secrets = WebhookSecrets(secrets)
        self._clock = clock
        self._local = local
        self._tls = tls
        self._timeout = timeout
        self._client = HttpClient(resolver=resolver, guard=self._guard, untrusted=True)

    async def deliver(self, message: Message) -> Outcome:
        """Makes one try and says what came of it.

        Raises `ProviderUnavailable` where the signing secrets cannot be read: nothing was sent then, and it
        counts as no try.
        """
        reason = refuse_url(message.url, self._local)
        if reason is not None:
            outcome = given_up(f"the address {reason}")
        else:
            secrets = await self.secrets.signing(message.project)
            outcome = await self._try(message, secrets)
        self._log(message, outcome)
        return outcome

    async def close(self) -> None:
        await self._client.close()

    async def _try(self, message: Message, secrets: tuple[str, ...]) -> Outcome:
        import aiohttp

        headers = {
            **signed_headers(message.id, self._clock.time(), message.payload, secrets),
            "Content-Type": "application/json",
            "Accept-Encoding": "identity",
            "User-Agent": f"{SERVICE}/{VERSION}",
        }
        outcome = try_again("the receiver did not answer in time")
        response: aiohttp.ClientResponse | None = None
        try:
            async with asyncio.timeout(self._timeout):
                response = await self._post(message, headers)
                outcome = outcome_of(response.status, response.headers, self._clock.time())
                await _read_some(response)
        except TimeoutError:
            pass  # what was known by then stands
        except ReceiverRefused:
            outcome = given_up("the host name leads to an address that no webhook is sent to")
        except (aiohttp.ClientError, OSError, ValueError) as error:
            # The class alone: the text of such an error holds the address.
            outcome = try_again(f"the receiver could not be reached ({type(error).__name__})")
        finally:
            if response is not None:
                response.close()
        return outcome

    async def _post(self, message: Message, headers: dict[str, str]) -> "aiohttp.ClientResponse":
        from yarl import URL

        return await self._client.session().post(
            URL(message.url, encoded=True),
            data=message.payload,
            headers=headers,
            allow_redirects=False,
            ssl=self._tls or True,
            read_bufsize=MAX_ANSWER,
        )

    def _guard(self, address: str) -> None:
        if refuse_receiver(address, self._local) is not None:
            raise ReceiverRefused

    def _log(self, message: Message, outcome: Outcome) -> None:
        level = logging.INFO if outcome.verdict is Verdict.DELIVERED else logging.WARNING
        text = f"{message.id}: {outcome.verdict}, {outcome.reason}"
        if outcome.status is None:
            log_event(_logger, level, "webhook", project=message.project, message=text)
        else:
            log_event(_logger, level, "webhook", project=message.project, status=outcome.status, message=text)


async def _read_some(response: "aiohttp.ClientResponse") -> None:
    """Takes a short answer to its end, so that its sender sees no broken connection."""
    import aiohttp

    with suppress(TimeoutError, aiohttp.ClientError, OSError, ValueError):
        async with asyncio.timeout(_READING):
            left = MAX_ANSWER
            while left > 0 and (chunk := await response.content.read(left)):
                left -= len(chunk)
