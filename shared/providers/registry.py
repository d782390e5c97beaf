"""Which provider calls a model: the table of lanes."""

from collections.abc import Callable
from typing import Protocol

from shared.catalog.documents import Model
from shared.providers.calls import Provider


class Loadable(Provider, Protocol):
    """A provider whose library is slow to load."""

    def preload(self) -> None:
        """Starts loading it in the background."""
        ...


class Providers:
    """The three ways of calling models. The LiteLLM lane is made at its first use: it is heavy."""

    def __init__(self, native: Provider, demo: Provider, litellm: Callable[[], Loadable]) -> None:
        self._native = native
        self._demo = demo
        self._make_litellm = litellm
        self._litellm: Loadable | None = None

    def of(self, model: Model) -> Provider:
        if model.native:
            return self._native
        return self._demo if model.provider == "Demo" else self.litellm()

    def litellm(self) -> Loadable:
        if self._litellm is None:
            self._litellm = self._make_litellm()
        return self._litellm

    def preload_litellm(self) -> None:
        self.litellm().preload()

    async def close(self) -> None:
        for provider in (self._native, self._demo, self._litellm):
            if provider is not None:
                await provider.close()
