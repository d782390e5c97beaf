"""What models can do where their documents do not say: out of LiteLLM's model map, without its import."""

import asyncio
import importlib.util
import logging
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import orjson

from shared.catalog.documents import Capabilities, Model

MODEL_MAP = "model_prices_and_context_window_backup.json"
_FLAGS = {
    "vision": "supports_vision",
    "function_calling": "supports_function_calling",
    "json_schema": "supports_response_schema",
    "reasoning": "supports_reasoning",
}
_SIZES = ("max_input_tokens", "max_output_tokens")
_STREAMED_MODES = frozenset(("chat", "completion", "responses"))

logger = logging.getLogger("llmproxy.catalog")


class CapabilityBook:
    """Keeps what the map says about the models it was asked about, and nothing else of it.

    The map has thousands of entries: it is read in a thread when a model comes up that is new to the book.
    """

    def __init__(self, model_map: Path | None = None) -> None:
        self._model_map = model_map
        self._known: dict[str, Capabilities] = {}
        self._turn = asyncio.Lock()

    async def learn(self, models: Iterable[Model]) -> None:
        """Makes `of` complete for these models, and forgets all others."""
        wanted = {model.litellm_name: tuple(map_names(model)) for model in models}
        async with self._turn:
            if wanted.keys() <= self._known.keys():
                return
            self._known = await asyncio.to_thread(_looked_up, self._model_map, wanted)

    def of(self, model: Model) -> Capabilities:
        """What the document says, and the map where the document is silent and `learn` has been here."""
        known = self._known.get(model.litellm_name)
        if known is None:
            return model.capabilities
        said = model.capabilities.model_dump(exclude_none=True)
        return known.model_copy(update=said)


def map_names(model: Model) -> Iterator[str]:
    """Names under which the map may know a model, the most telling first."""
    if model.provider == "Demo":
        return
    full = model.litellm_name
    codes = [full, full.partition("/")[2]]
    if model.provider == "Azure":
        # A deployment may be called anything; its code may still be the model's.
        codes += [f"{full.partition('/')[0]}/{model.code}", model.code]
    for code in codes:
        yield code
        if "@" in code:
            yield code.partition("@")[0]


def _looked_up(model_map: Path | None, wanted: Mapping[str, tuple[str, ...]]) -> dict[str, Capabilities]:
    entries = _entries(model_map)
    found: dict[str, Capabilities] = {}
    for name, candidates in wanted.items():
        entry = next((entries[key] for key in candidates if isinstance(entries.get(key), dict)), None)
        found[name] = Capabilities() if entry is None else _capabilities(entry)
    return found


def _entries(model_map: Path | None) -> Mapping[str, Any]:
    path = model_map or installed_map()
    if path is None:
        return {}
    try:
        entries = orjson.loads(path.read_bytes())
    except (OSError, orjson.JSONDecodeError) as error:
        logger.warning("The model map cannot be read: %s", type(error).__name__)
        return {}
    return entries if isinstance(entries, dict) else {}


def installed_map() -> Path | None:
    """The file of the installed litellm; None where it is not installed."""
    spec = importlib.util.find_spec("litellm")
    if spec is None or spec.origin is None:
        return None
    return Path(spec.origin).parent / MODEL_MAP


def _capabilities(entry: Mapping[str, Any]) -> Capabilities:
    """An entry of the map in our words: what it does not claim, a model that it knows cannot do."""
    streamed = entry.get("mode") in _STREAMED_MODES
    said: dict[str, bool | int | None] = {ours: entry.get(theirs) is True for ours, theirs in _FLAGS.items()}
    said["streaming"] = streamed and entry.get("supports_native_streaming") is not False
    for name in _SIZES:
        size = entry.get(name)
        said[name] = size if isinstance(size, int) and not isinstance(size, bool) and size > 0 else None
    return Capabilities.model_validate(said)
