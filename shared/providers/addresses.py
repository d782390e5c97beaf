"""Where a model's provider is called: base addresses of everything that speaks OpenAI's wire format."""

from functools import lru_cache
from urllib.parse import quote, urlencode, urlsplit

from shared.catalog.documents import Model
from shared.providers.calls import Call

OPENAI = "https://api.openai.com/v1"


def openai_base(model: Model) -> str:
    """The base address below which OpenAI's paths lie, without a slash at its end.

    An endpoint without a path gets `/v1`: servers that speak OpenAI's format serve it there.
    """
    endpoint = model.parameters.endpoint
    if not endpoint:
        return OPENAI
    endpoint = endpoint.rstrip("/")
    return endpoint if urlsplit(endpoint).path else endpoint + "/v1"


@lru_cache(maxsize=1024)
def operation_address(model: Model, path: str) -> str:
    """The address of one operation, `path` as below `/v1/` (`chat/completions`), for a native model type."""
    if model.provider != "Azure":
        return f"{openai_base(model)}/{path}"
    root, dated = azure_root(model)
    if not dated:
        return f"{root}/{path}"
    version = f"?api-version={quote(model.parameters.api_version or '')}"
    # Responses lie beside the deployments: their body names one.
    if root.endswith("/models") or path.split("/", 1)[0] == "responses":
        return f"{root}/{path}{version}"
    return f"{root}/deployments/{quote(model.deployment, safe='')}/{path}{version}"


def call_address(call: Call) -> str:
    """The address of one call, with the query that it passes on."""
    if not call.query and not call.bodiless:
        return operation_address(call.model, call.path)
    # Addresses of stored things are as many as there are things: they would push the others out of the cache.
    address = operation_address.__wrapped__(call.model, call.path)
    if not call.query:
        return address
    return f"{address}{'&' if '?' in address else '?'}{urlencode(call.query)}"


def listing_address(model: Model) -> str:
    """The address that lists models: the cheapest sign of life."""
    if model.provider != "Azure":
        return f"{openai_base(model)}/models"
    root, dated = azure_root(model)
    if not dated:
        return f"{root}/models"
    return f"{root.removesuffix('/models')}/models?api-version={quote(model.parameters.api_version or '')}"


def azure_root(model: Model) -> tuple[str, bool]:
    """Azure's base address and whether its paths are the dated ones.

    With `api_version` the deployment addresses (`/openai/deployments/…?api-version=`) are used, without it
    the v1 addresses (`/openai/v1/…`). An endpoint that already ends in `/openai/v1` is v1; one that ends in
    `/models` is Foundry's model inference address.
    """
    endpoint = (model.parameters.endpoint or "").rstrip("/")
    if endpoint.endswith("/openai/v1"):
        return endpoint, False
    if endpoint.endswith("/models"):
        return endpoint, True
    endpoint = endpoint.removesuffix("/openai")
    if model.parameters.api_version and model.parameters.api_version not in ("v1", "preview", "latest"):
        return f"{endpoint}/openai", True
    return f"{endpoint}/openai/v1", False
