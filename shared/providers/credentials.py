"""The credential of a model, as the header that carries it."""

from shared.catalog.documents import Model
from shared.catalog.endpoints import takes_identity
from shared.errors import ProviderUnavailable, SecretError, SecretNotFound
from shared.ports import SecretStore, TokenSource
from shared.secrets import secret_name

COGNITIVE_SERVICES_SCOPE = "https://cognitiveservices.azure.com/.default"


async def model_secret(model: Model, reference: str, secrets: SecretStore) -> str:
    """The text of a secret that a model names. Raises `ProviderUnavailable`, which never holds the text."""
    try:
        name = secret_name(reference)
    except ValueError:
        raise ProviderUnavailable(
            f"The model '{model.id}' names a secret that cannot exist.", code="provider_unavailable"
        ) from None
    try:
        return await secrets.get(name)
    except SecretNotFound:
        raise ProviderUnavailable(f"A secret that the model '{model.id}' needs does not exist.") from None
    except SecretError:
        raise ProviderUnavailable(f"A secret that the model '{model.id}' needs cannot be read now.") from None


async def identity_token(model: Model, tokens: TokenSource, scope: str = COGNITIVE_SERVICES_SCOPE) -> str:
    """A token of the app's own identity for a model that uses `auth: managed_identity`.

    The catalog refuses such a model with another host than Azure's; here it is checked once more, since what
    leaves is the identity of the whole app.
    """
    if not takes_identity(model.parameters.endpoint or ""):
        raise ProviderUnavailable(f"The model '{model.id}' may not be sent the app's identity.")
    try:
        return await tokens.token(scope)
    except SecretError:
        raise ProviderUnavailable(
            f"The app's identity has no token for the model '{model.id}' now."
        ) from None


async def credential_header(
    model: Model, secrets: SecretStore, tokens: TokenSource
) -> tuple[str, str] | None:
    """(header name, value) for an upstream that speaks OpenAI's format; None where the model has no credential."""
    parameters = model.parameters
    if parameters.auth == "managed_identity":
        return "Authorization", "Bearer " + await identity_token(model, tokens)
    if parameters.secret_name:
        secret = await model_secret(model, parameters.secret_name, secrets)
        return ("api-key", secret) if model.provider == "Azure" else ("Authorization", "Bearer " + secret)
    return None
