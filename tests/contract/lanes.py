"""Both lanes to one recording upstream, for what must not depend on which of them is taken."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from shared.providers.calls import Provider
from shared.providers.http_client import HttpClient
from shared.providers.openai_wire import OpenAIWire
from tests.unit.providers.lane import Lane, open_lane


@dataclass
class Lanes:
    lane: Lane
    native: Provider

    def both(self) -> tuple[Provider, Provider]:
        return self.native, self.lane.provider


@asynccontextmanager
async def open_lanes() -> AsyncIterator[Lanes]:
    async with open_lane() as lane:
        native = OpenAIWire(HttpClient(), lane.secrets, lane.tokens)
        try:
            yield Lanes(lane, native)
        finally:
            await native.close()
