"""Where LiteLLM may connect to: it resolves names itself, so they are looked up here before each call."""

import asyncio
import socket
from urllib.parse import urlsplit

from cachetools import TTLCache

from shared.catalog.documents import Model
from shared.catalog.endpoints import refuse_address
from shared.errors import ProviderUnreachable

_SECONDS = 60
"""As long as an answer is believed."""


class AddressGuard:
    """Refuses endpoints whose name leads to a link-local or metadata address."""

    def __init__(self) -> None:
        self._allowed: TTLCache[str, bool] = TTLCache(1024, _SECONDS)

    async def check(self, model: Model) -> None:
        """Raises `ProviderUnreachable` where the model's endpoint is refused or its name is not known."""
        host = urlsplit(model.parameters.endpoint or "").hostname
        if not host or self._allowed.get(host):
            return
        try:
            found = await asyncio.get_running_loop().getaddrinfo(host, None, type=socket.SOCK_STREAM)
        except OSError:
            raise ProviderUnreachable("The provider's host name is not known.") from None
        if any(refuse_address(str(entry[4][0])) for entry in found):
            raise ProviderUnreachable("The provider's host name leads to an address that is refused.")
        self._allowed[host] = True
