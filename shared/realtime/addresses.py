"""Where a provider serves realtime: OpenAI's addresses, and Azure's two generations of them."""

from collections.abc import Mapping
from urllib.parse import quote, urlencode

from shared.catalog.documents import Model
from shared.providers.addresses import azure_root, openai_base

_DATED = {"realtime/sessions": "realtimeapi/sessions"}
"""What Azure's dated addresses have beside the WebSocket; everything else is found under `/openai/v1/` only."""


def http_address(model: Model, path: str) -> str:
    """The address of an HTTP flow, `path` as below `/v1/` (`realtime/client_secrets`)."""
    if model.provider != "Azure":
        return f"{openai_base(model)}/{path}"
    root, dated = azure_root(model)
    if not dated:
        return f"{root}/{path}"
    if path in _DATED:
        return f"{root}/{_DATED[path]}?api-version={quote(model.parameters.api_version or '')}"
    return f"{root.removesuffix('/models').removesuffix('/openai')}/openai/v1/{path}"


def socket_address(model: Model, query: Mapping[str, str]) -> str:
    """The address of a session's WebSocket. `query` travels on (`call_id`, `intent`).

    A session that joins a call, or that only transcribes, names no model on the addresses that OpenAI and
    Azure's v1 share.
    """
    named = {} if query.keys() & {"call_id", "intent"} else {"model": model.deployment}
    if model.provider == "Azure":
        root, dated = azure_root(model)
        if dated and "call_id" not in query:
            version = {"api-version": model.parameters.api_version or "", "deployment": model.deployment}
            return f"{root}/realtime?{urlencode({**version, **query})}"
        if dated:
            root = root.removesuffix("/openai") + "/openai/v1"
    else:
        root = openai_base(model)
    return f"{root}/realtime?{urlencode({**named, **query})}"
