"""Models as `GET /v1/models` shows them: OpenAI's fields first, ours after them."""

from collections.abc import Mapping
from datetime import UTC, datetime

from shared import SERVICE, Json
from shared.access.caller import Caller
from shared.catalog.cache import CatalogCache
from shared.catalog.capabilities import CapabilityBook
from shared.catalog.catalog import Catalog
from shared.catalog.documents import Capabilities, Group, Model
from shared.catalog.model_types import OPERATIONS
from shared.errors import InvalidValue

FILTERS = ("provider", "operation", "model_type")
_TRUE, _FALSE = ("true", "1"), ("false", "0", "")


async def list_models(cache: CatalogCache, caller: Caller, query: Mapping[str, str]) -> Json:
    """`{"object": "list", "data": [...]}` of what the caller may use, by id.

    `query` may hold `provider`, `operation` and `model_type`, and for admins `project_id` and
    `include_private`; other names are ignored, as OpenAI does. Raises `AdminRequired`, `InvalidValue`,
    `CatalogUnavailable`.
    """
    catalog = await cache.current()
    documents = catalog.visible(
        caller,
        include_private=_flag(query, "include_private"),
        project_id=query.get("project_id") or None,
    )
    await cache.capabilities.learn(catalog.models.values())
    shown = [shown_model(document, catalog, caller, cache.capabilities) for document in documents]
    return {"object": "list", "data": [item for item in shown if _passes(item, query)]}


async def one_model(cache: CatalogCache, caller: Caller, name: str) -> Json:
    """The model or group that `name` means to the caller. Raises what `Catalog.resolve` raises."""
    catalog = await cache.current()
    document = catalog.resolve(name, caller)
    await cache.capabilities.learn(catalog.models.values())
    return shown_model(document, catalog, caller, cache.capabilities)


def shown_model(
    document: Model | Group, catalog: Catalog, caller: Caller, capabilities: CapabilityBook
) -> Json:
    """One entry. `created` is in seconds since 1970, 0 where the document does not say."""
    if isinstance(document, Group):
        return _group(document, [model for model, _ in catalog.members(document, caller)])
    return {
        **_openai_fields(document, document.provider.lower()),
        "name": document.name or document.id,
        "code": document.code,
        "provider": document.provider,
        "model_type": document.model_type,
        "operations": list(document.operations),
        "costs": document.costs.shown() if document.costs else None,
        "capabilities": _shown(capabilities.of(document)),
        "enabled": document.enabled,
    }


def _group(group: Group, members: list[Model]) -> Json:
    """A group shows of its members only those that the caller may use."""
    offered = {operation for model in members for operation in model.operations}
    return {
        **_openai_fields(group, SERVICE),
        "name": group.name or group.id,
        "code": None,
        "provider": None,
        "model_type": None,
        "operations": [operation for operation in OPERATIONS if operation in offered],
        "costs": None,
        "capabilities": {},
        "enabled": group.enabled,
        "kind": "group",
        "members": [model.id for model in members],
    }


def _openai_fields(document: Model | Group, owner: str) -> Json:
    return {
        "id": document.id,
        "object": "model",
        "created": _epoch(document.created_at),
        "owned_by": owner,
    }


def _shown(capabilities: Capabilities) -> Json:
    return capabilities.model_dump(exclude_none=True)


def _epoch(time: str | None) -> int:
    if time is None:
        return 0
    moment = datetime.fromisoformat(time)
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())


def _passes(item: Json, query: Mapping[str, str]) -> bool:
    for name in FILTERS:
        wanted = query.get(name)
        if not wanted:
            continue
        has = item["operations"] if name == "operation" else [item[name] or ""]
        if wanted.casefold() not in [value.casefold() for value in has]:
            return False
    return True


def _flag(query: Mapping[str, str], name: str) -> bool:
    text = query.get(name, "").lower()
    if text not in _TRUE + _FALSE:
        raise InvalidValue(f"'{name}' must be true or false.", param=name)
    return text in _TRUE
