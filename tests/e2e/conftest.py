"""One proxy for the tests of a module, and one official client of it; the provider forgets between tests."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from openai import AsyncOpenAI

from tests.e2e.targets import TARGETS, Target
from tests.e2e.world import World, running_world
from tests.upstreams.openai import OpenAIUpstream


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    async with running_world(tmp_path_factory.mktemp("local")) as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def openai(world: World) -> AsyncIterator[AsyncOpenAI]:
    """The official client as anyone makes it: nothing but an address and a key."""
    async with world.client() as client:
        yield client


@pytest.fixture
def upstream(world: World) -> OpenAIUpstream:
    world.upstream.requests.clear()
    return world.upstream


@pytest.fixture(params=TARGETS, ids=lambda target: target.name)
def target(request: pytest.FixtureRequest) -> Target:
    """Each way of calling a provider in turn."""
    chosen: Target = request.param
    return chosen


@pytest.fixture(params=["demo-chat", *(target.name for target in TARGETS)])
def model(request: pytest.FixtureRequest) -> str:
    """Each model in turn: what a client sees must not depend on who answers."""
    return str(request.param)
