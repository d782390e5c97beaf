"""Models by what they can do and what they cost, cheapest first."""

import math
from collections.abc import Callable, Mapping

from shared import Json
from shared.access.caller import Caller
from shared.access.paging import known_only
from shared.catalog.cache import CatalogCache
from shared.catalog.view import list_models
from shared.errors import InvalidValue

Test = Callable[[Json], bool]
"""Whether a model, as `/v1/models` shows it, is one that was asked for."""

_CAPABILITIES = {"supports_vision": "vision", "supports_function_calling": "function_calling"}
_OPERATIONS = {"supports_chat": "ChatCompletion", "supports_completion": "ChatCompletion"}
"""Every model that chats serves text completions as well: where its provider has none, they are made of chat."""
SEARCH_FILTERS = (*_CAPABILITIES, *_OPERATIONS, "min_context", "max_cost", "provider", "q")


async def search_models(cache: CatalogCache, caller: Caller, query: Mapping[str, str]) -> Json:
    """`{"object": "list", "data": [...]}` of the models and groups that the caller may use and that pass all filters.

    `supports_…` are `true` or `false`; `min_context` is in tokens of input, `max_cost` in USD per million input
    tokens; `provider` is a name without regard to case; `q` a part of id, name or code. A model that does not say
    how much it takes or costs is not found by that. Sorted by price of input, then of output, then id, those
    without a price last. Raises `InvalidValue` for any other name or value, `CatalogUnavailable`.
    """
    known_only(query, SEARCH_FILTERS)
    tests = _tests(query)
    listed = await list_models(cache, caller, {})
    found = [item for item in listed["data"] if all(test(item) for test in tests)]
    return {"object": "list", "data": sorted(found, key=_price)}


def _tests(query: Mapping[str, str]) -> list[Test]:
    tests: list[Test] = []
    for name, capability in _CAPABILITIES.items():
        if name in query:
            tests.append(_can(capability, _flag(query, name)))
    for name, operation in _OPERATIONS.items():
        if name in query:
            tests.append(_does(operation, _flag(query, name)))
    if "min_context" in query:
        tests.append(_takes(_tokens(query["min_context"])))
    if "max_cost" in query:
        tests.append(_costs_at_most(_usd(query["max_cost"])))
    if query.get("provider"):
        tests.append(_is_from(query["provider"]))
    if query.get("q"):
        tests.append(_speaks_of(query["q"]))
    return tests


def _can(capability: str, wanted: bool) -> Test:
    return lambda item: bool(item["capabilities"].get(capability)) is wanted


def _does(operation: str, wanted: bool) -> Test:
    return lambda item: (operation in item["operations"]) is wanted


def _takes(tokens: int) -> Test:
    return lambda item: item["capabilities"].get("max_input_tokens", -1) >= tokens


def _costs_at_most(usd: float) -> Test:
    return lambda item: (item["costs"] or {}).get("cost_input_1Mtokens", math.inf) <= usd


def _is_from(provider: str) -> Test:
    wanted = provider.casefold()
    return lambda item: (item["provider"] or "").casefold() == wanted


def _speaks_of(text: str) -> Test:
    wanted = text.casefold()
    return lambda item: any(wanted in (item[name] or "").casefold() for name in ("id", "name", "code"))


def _price(item: Json) -> tuple[float, float, str]:
    costs = item["costs"] or {}
    return costs.get("cost_input_1Mtokens", math.inf), costs.get("cost_output_1Mtokens", math.inf), item["id"]


def _flag(query: Mapping[str, str], name: str) -> bool:
    text = query[name].lower()
    if text not in ("true", "false"):
        raise InvalidValue(f"'{name}' must be true or false.", param=name)
    return text == "true"


def _tokens(text: str) -> int:
    # More digits than that are no number of tokens, and slow to read.
    if not (text.isascii() and text.isdigit() and len(text) <= 18):
        raise InvalidValue("'min_context' must be a whole number of tokens.", param="min_context")
    return int(text)


def _usd(text: str) -> float:
    try:
        price = float(text)
    except ValueError:
        price = math.nan
    if not 0 <= price < math.inf:
        raise InvalidValue(
            "'max_cost' must be a price in USD per million input tokens, 0 or more.", param="max_cost"
        )
    return price
