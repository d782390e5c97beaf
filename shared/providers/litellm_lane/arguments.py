"""One call in LiteLLM's words: model, address, credentials, and what of the body the provider can take."""

import copy
from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import ModuleType
from typing import Any
from urllib.parse import urlsplit

from shared import Json
from shared.catalog.documents import Model
from shared.errors import ProviderUnavailable, UnsupportedParameter
from shared.ports import SecretStore, TokenSource
from shared.providers.addresses import azure_root, openai_base
from shared.providers.calls import Call
from shared.providers.credentials import identity_token, model_secret
from shared.providers.litellm_lane.parameters import taken

_TOTAL_TIMEOUT = 3700.0
"""Seconds that LiteLLM may take: above every deadline of the proxy, which cancels the call itself."""


@dataclass(frozen=True, slots=True)
class Arguments:
    """Keyword arguments for LiteLLM. `secrets` are the texts among them that no one may see."""

    values: Json
    dropped: tuple[str, ...]
    secrets: tuple[str, ...]
    model: str
    provider: str


async def arguments(call: Call, module: ModuleType, secrets: SecretStore, tokens: TokenSource) -> Arguments:
    """A chat's. Raises `UnsupportedParameter` for what the provider lacks, `ProviderUnavailable` without a secret."""
    model = call.model
    access = await base_arguments(call, module, secrets, tokens)
    if not model.parameters.enable_tools and (call.body.get("tools") or call.body.get("functions")):
        raise UnsupportedParameter("The model is set not to take tools.", param="tools")
    body = taken(call.body, module, access.model, access.provider)
    # Ours come last: nothing in a body may take their place.
    values: Json = {**body.arguments, **access.values}
    if body.extra:
        values["extra_body"] = body.extra
    values["messages"] = copy.deepcopy(call.body.get("messages") or [])
    if call.streamed:
        values["stream"] = True
        if model.parameters.stream_usage is not False:
            values["stream_options"] = {**(call.body.get("stream_options") or {}), "include_usage": True}
        elif call.body.get("stream_options"):
            values["stream_options"] = dict(call.body["stream_options"])
    return replace(access, values=values, dropped=tuple(body.dropped))


async def base_arguments(
    call: Call, module: ModuleType, secrets: SecretStore, tokens: TokenSource
) -> Arguments:
    """What every operation passes: model, address, credentials, times. Raises `ProviderUnavailable`."""
    model = call.model
    access, texts = await credentials(model, secrets, tokens)
    name, provider = provider_of(module, model, access)
    values: Json = {
        **access,
        "model": model.litellm_name,
        "max_retries": 0,
        "timeout": _timeout(call.connect_timeout),
        "drop_params": False,
    }
    headers = {**call.headers, **dict(model.parameters.extra_headers or {})}
    if headers:
        values["extra_headers"] = headers
    return Arguments(values, (), tuple(texts), name, provider)


def provider_of(module: ModuleType, model: Model, access: Mapping[str, Any]) -> tuple[str, str]:
    """(model, provider) as LiteLLM splits a full name (`vertex_ai/gemini-2.5-flash`)."""
    try:
        name, provider, _, _ = module.get_llm_provider(
            model=model.litellm_name, api_base=access.get("api_base"), api_key=access.get("api_key")
        )
    except Exception:
        raise ProviderUnavailable(
            f"The code of the model '{model.id}' names no provider that is known."
        ) from None
    return str(name), str(provider)


async def credentials(model: Model, secrets: SecretStore, tokens: TokenSource) -> tuple[Json, list[str]]:
    """(arguments that say where and as whom to call, the secret texts among them)."""
    parameters = model.parameters
    values: Json = dict(parameters.litellm_params or {})
    texts: list[str] = []
    for argument, reference in (parameters.litellm_secrets or {}).items():
        values[argument] = await model_secret(model, reference, secrets)
        texts.append(values[argument])
    values.update(address(model))
    if model.type.vertex:
        values["vertex_project"] = parameters.gcp_project
        values["vertex_location"] = parameters.location or "us-central1"
        if parameters.secret_name:
            values["vertex_credentials"] = await model_secret(model, parameters.secret_name, secrets)
            texts += _parts(values["vertex_credentials"])
        return values, texts
    if parameters.auth == "managed_identity":
        values["azure_ad_token"] = await identity_token(model, tokens)
        texts.append(values["azure_ad_token"])
    elif parameters.secret_name:
        values["api_key"] = await model_secret(model, parameters.secret_name, secrets)
        texts.append(values["api_key"])
    elif model.provider == "OpenAICompatible":
        # Without an argument LiteLLM would look for a key in the environment and send that.
        values["api_key"] = "none"
    elif model.provider != "LiteLLM":
        raise ProviderUnavailable(f"The model '{model.id}' has no secret_name, which it needs.")
    return values, texts


def address(model: Model) -> Json:
    """`api_base` and `api_version`, where the catalog says them, in the form that LiteLLM wants."""
    endpoint = (model.parameters.endpoint or "").rstrip("/")
    if model.provider == "Azure":
        return _azure_address(model, endpoint)
    if not endpoint:
        return {}
    if model.provider in ("OpenAI", "OpenAICompatible"):
        return {"api_base": openai_base(model)}
    if model.model_type == "GoogleGemini" and not urlsplit(endpoint).path:
        return {"api_base": endpoint + "/v1beta"}
    return {"api_base": endpoint}


def _azure_address(model: Model, endpoint: str) -> Json:
    version = model.parameters.api_version
    if model.model_type == "AzureFoundry":
        root, dated = azure_root(model)
        if not dated:
            return {"api_base": root}
        return {"api_base": endpoint.removesuffix("/models") + "/models", "api_version": version}
    # `v1` makes LiteLLM use the addresses without a dated version.
    return {
        "api_base": endpoint.removesuffix("/openai/v1").removesuffix("/openai"),
        "api_version": version or "v1",
    }


def _parts(service_account: str) -> list[str]:
    """A service account's text, and the lines of its key: an error may repeat a part alone."""
    return [service_account, *(line for line in service_account.split("\\n") if len(line) > 40)]


def _timeout(connect: float) -> Any:
    import httpx

    return httpx.Timeout(_TOTAL_TIMEOUT, connect=connect)
