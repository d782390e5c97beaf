"""What LiteLLM's configuration says about a model itself: its mode, prices and abilities."""

from collections.abc import Mapping

from shared import Json
from shared.catalog.model_types import MODEL_TYPES
from shared.catalog.names import looks_secret, names_credential
from shared.transfer.litellm_providers import Map, Target, map_entry
from shared.transfer.litellm_values import EntryRefused, Fields, Remarks

_OPERATIONS: Mapping[str, tuple[str, ...]] = {
    "chat": ("ChatCompletion", "Responses"),
    "completion": ("ChatCompletion",),
    "responses": ("Responses",),
    "embedding": ("embeddings",),
    "image_generation": ("images",),
    "image_edit": ("images",),
    "audio_speech": ("audio_tts",),
    "audio_transcription": ("audio_stt",),
    "realtime": ("audio_realtime",),
    "moderation": ("moderations",),
}
"""`mode` of LiteLLM and our operations."""
_CHAT_ONLY = ("OpenAICompatible", "AzureFoundry")
"""Servers that need not have a `/responses` of their own."""
_CAPABILITIES = {
    "supports_vision": "vision",
    "supports_function_calling": "function_calling",
    "supports_response_schema": "json_schema",
    "supports_reasoning": "reasoning",
    "supports_native_streaming": "streaming",
}
_PRICES = (
    # (LiteLLM's name, ours, factor)
    ("cache_read_input_token_cost", "cached_input", 1),
    ("output_cost_per_image", "per_image", 1),
    ("input_cost_per_second", "per_minute", 60),
    ("input_cost_per_character", "per_1M_characters", 1_000_000),
)
_ACCESS = ("access_groups", "blocked", "team_id", "team_public_model_name")
"""What decides in LiteLLM who may use a model."""
_OF_LITELLM = ("db_model", "disable_background_health_check", "health_check_model", "health_check_timeout")


def operations_of(target: Target, info: Fields, base_model: str | None, known: Map) -> tuple[str, list[str]]:
    """(mode, operations). The mode is what the entry says, else LiteLLM's map, else `chat`."""
    said = info.take("mode")
    mode = str(said.written if said else map_entry(target.name, base_model, known).get("mode") or "chat")
    if mode == "chat" and target.responses_only:
        mode = "responses"
    wanted = _OPERATIONS.get(mode)
    if wanted is None:
        where = said.path if said else info.path
        raise EntryRefused(where, f"no operation here corresponds to the mode {mode[:40]!a}")
    if target.model_type in _CHAT_ONLY:
        wanted = tuple(name for name in wanted if name != "Responses" or wanted == ("Responses",))
    return mode, [name for name in wanted if name in MODEL_TYPES[target.model_type].operations]


def costs_of(mode: str, params: Fields, info: Fields, remarks: Remarks) -> Json:
    """`costs` in USD a token; both parts of the entry may say them, `litellm_params` first."""
    costs: Json = {}
    place = info.path
    for name in ("input_cost_per_token", "output_cost_per_token"):
        price = _price(name, params, info)
        if price is not None:
            costs[name] = price
    if mode in ("embedding", "moderation") and "input_cost_per_token" in costs:
        costs.setdefault("output_cost_per_token", 0.0)
    if len(costs) == 1:
        [name] = costs
        remarks.add((*place, name), "left out: a price of input and one of output go together")
        costs = {}
    for theirs, ours, factor in _PRICES:
        price = _price(theirs, params, info)
        if price is None:
            continue
        if ours == "cached_input" and not costs:
            remarks.add((*place, theirs), "left out: it goes with the prices of input and output")
        else:
            costs[ours] = float(f"{price * factor:.12g}")
    return costs


def capabilities_of(info: Fields) -> Json:
    found: Json = {}
    for theirs, ours in _CAPABILITIES.items():
        flag = info.flag(theirs)
        if flag is not None:
            found[ours] = flag
    tokens = {name: info.number(name, whole=True) for name in ("max_input_tokens", "max_output_tokens")}
    largest = info.number("max_tokens", whole=True)
    tokens["max_output_tokens"] = tokens["max_output_tokens"] or largest
    return found | {name: number for name, number in tokens.items() if number}


def metadata_of(info: Fields, remarks: Remarks) -> Json:
    """All that is left of `model_info`, which LiteLLM lets everyone add to."""
    metadata: Json = {}
    for name, value in info.rest():
        if name in _ACCESS:
            remarks.add(
                value.path,
                "left out: every project may use the model, unless private and projects say otherwise",
            )
        elif name in _OF_LITELLM or "_cost" in name or name.startswith("supports_"):
            remarks.add(value.path, "left out: nothing here corresponds to it")
        elif names_credential(name) or holds_secret(value.written):
            remarks.add(value.path, "left out: it may be a credential")
        else:
            metadata[name] = value.written
    return metadata


def holds_secret(value: object) -> bool:
    """Whether a text anywhere in a JSON value looks like a credential."""
    if isinstance(value, Mapping):
        return any(holds_secret(item) for item in value.values())
    if isinstance(value, list):
        return any(holds_secret(item) for item in value)
    return isinstance(value, str) and looks_secret(value.strip())


def _price(name: str, params: Fields, info: Fields) -> float | None:
    first, second = params.number(name), info.number(name)
    return first if first is not None else second
