"""Signs of life that cost nothing, of the LiteLLM lane's providers. None of it imports litellm."""

import asyncio
import re
from urllib.parse import urlsplit

import orjson

from shared.catalog.documents import Model
from shared.errors import (
    ProviderCredentialRefused,
    ProviderTimeout,
    ProviderUnavailable,
    ProviderUnreachable,
)
from shared.ports import SecretStore
from shared.providers.credentials import model_secret
from shared.providers.http_client import HttpClient
from shared.providers.openai_errors import error_of

_SCOPE = "https://www.googleapis.com/auth/cloud-platform"
_SECONDS = 10.0
_ANTHROPIC_VERSION = "2023-06-01"
_VERSION = re.compile(r"/v\d\w*$")


async def probe_anthropic(model: Model, secrets: SecretStore, client: HttpClient) -> None:
    """Lists one of Anthropic's models (`GET /v1/models`). Raises what a call would."""
    secret = await _secret(model, secrets)
    base = (model.parameters.endpoint or "https://api.anthropic.com").rstrip("/")
    base = base.removesuffix("/messages").removesuffix("/v1")
    headers = {"x-api-key": secret, "anthropic-version": _ANTHROPIC_VERSION}
    await _get(client, f"{base}/v1/models?limit=1", headers, secret)


async def probe_gemini(model: Model, secrets: SecretStore, client: HttpClient) -> None:
    """Lists one of AI Studio's models (`GET /v1beta/models`). Raises what a call would."""
    secret = await _secret(model, secrets)
    base = (model.parameters.endpoint or "https://generativelanguage.googleapis.com").rstrip("/")
    if not _VERSION.search(urlsplit(base).path):
        base += "/v1beta"
    await _get(client, f"{base}/models?pageSize=1", {"x-goog-api-key": secret}, secret)


async def probe_vertex(model: Model, secrets: SecretStore) -> None:
    """Exchanges the service account, or the ambient identity, for a token. Raises what a call would."""
    account = None
    if model.parameters.secret_name:
        account = await model_secret(model, model.parameters.secret_name, secrets)
    try:
        async with asyncio.timeout(_SECONDS):
            await asyncio.to_thread(_log_in, account)
    except TimeoutError:
        raise ProviderTimeout("Google's token service did not answer in time.") from None


def _log_in(account: str | None) -> None:
    """One token, in a thread: Google's library blocks."""
    import google.auth
    from google.auth import exceptions
    from google.auth.transport.requests import Request
    from google.oauth2 import service_account

    try:
        if account is None:
            credentials, _ = google.auth.default(scopes=[_SCOPE])
        else:
            info = orjson.loads(account)
            credentials = service_account.Credentials.from_service_account_info(info, scopes=[_SCOPE])
        credentials.refresh(Request())
    except exceptions.TransportError:
        raise ProviderUnreachable("Google's token service cannot be reached.") from None
    except exceptions.RefreshError:
        raise ProviderCredentialRefused("Google refused the service account of this model.") from None
    except exceptions.DefaultCredentialsError:
        raise ProviderUnavailable("The app has no identity at Google, and the model names none.") from None
    except (ValueError, LookupError, TypeError, AttributeError):
        raise ProviderUnavailable("The secret of this model is no service account.") from None


async def _secret(model: Model, secrets: SecretStore) -> str:
    if not model.parameters.secret_name:
        raise ProviderUnavailable(f"The model '{model.id}' has no secret_name, which it needs.")
    return await model_secret(model, model.parameters.secret_name, secrets)


async def _get(client: HttpClient, address: str, headers: dict[str, str], secret: str) -> None:
    import aiohttp

    timeout = aiohttp.ClientTimeout(total=_SECONDS)
    headers = {**headers, "User-Agent": "llm-proxy"}
    try:
        async with client.session().get(
            address, headers=headers, allow_redirects=False, timeout=timeout
        ) as response:
            body = await response.read()
            if response.status >= 300:
                raise error_of(response.status, body, response.headers, secret)
    except TimeoutError:
        raise ProviderTimeout("The provider did not answer in time.") from None
    except (aiohttp.ClientError, OSError):
        raise ProviderUnreachable("The provider cannot be reached.") from None
