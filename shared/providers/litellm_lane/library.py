"""LiteLLM, imported late: it costs seconds of CPU and 170 MB, so only a catalog that needs it pays for it."""

import asyncio
import importlib
import logging
import os
import threading
import warnings
from concurrent.futures import Future
from types import ModuleType

_SWITCHES = {
    # Its own price map and header list come with it; otherwise it asks GitHub for them at import.
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    "LITELLM_LOCAL_ANTHROPIC_BETA_HEADERS": "True",
    # In its development mode it reads a `.env` file into the environment.
    "LITELLM_MODE": "PRODUCTION",
}
"""Switches that LiteLLM reads from the environment while it is imported. None is a credential."""

_LOGGERS = ("LiteLLM", "LiteLLM Proxy", "LiteLLM Router", "httpx", "httpcore", "openai", "google.auth")
"""Loggers that would write addresses with keys in their query, or errors that reach the caller anyway."""


class LiteLLMLibrary:
    """The module, once it is there. `preload` starts the import in a thread; `module` waits for it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._imported: Future[ModuleType] | None = None

    def preload(self) -> None:
        """Starts the import unless it has begun. Returns at once."""
        self._begin()

    async def module(self) -> ModuleType:
        imported = self._begin()
        if imported.done():
            return imported.result()
        # A caller that leaves must not cancel the import for the others.
        return await asyncio.shield(asyncio.wrap_future(imported))

    def loaded(self) -> ModuleType | None:
        """The module if it is there already."""
        imported = self._imported
        if imported is None or not imported.done() or imported.exception() is not None:
            return None
        return imported.result()

    def _begin(self) -> "Future[ModuleType]":
        with self._lock:
            if self._imported is None:
                self._imported = Future()
                self._imported.set_running_or_notify_cancel()
                threading.Thread(
                    target=_import, args=(self._imported,), name="litellm-import", daemon=True
                ).start()
            return self._imported


def _import(imported: "Future[ModuleType]") -> None:
    try:
        imported.set_result(_quiet(_load()))
    except BaseException as error:
        imported.set_exception(error)


def _load() -> ModuleType:
    os.environ.update(_SWITCHES)
    return importlib.import_module("litellm")


def _quiet(module: ModuleType) -> ModuleType:
    """No telemetry, no downloads, no advice on the console, no request or answer in a log."""
    for name, value in {
        "telemetry": False,
        "suppress_debug_info": True,
        "turn_off_message_logging": True,
        "disable_hf_tokenizer_download": True,
        "drop_params": False,
        "modify_params": False,
        "num_retries": None,
    }.items():
        setattr(module, name, value)
    # Pydantic's remark on LiteLLM's types, made when it first builds them: no user can act on it.
    warnings.filterwarnings("ignore", message="Item '.*' on TypedDict class", category=UserWarning)
    for logger in _LOGGERS:
        logging.getLogger(logger).setLevel(logging.CRITICAL)
    return module
