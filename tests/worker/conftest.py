"""One hosted app for the suite, and what a test needs to talk to it."""

from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import orjson
import pytest
from aiohttp import ClientSession, ClientTimeout

from shared import Json
from tests.upstreams.openai import OpenAIUpstream
from tests.worker.hosted import HostedApp, example_settings


@pytest.fixture(scope="session")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HostedApp]:
    """The app with the settings of local.settings.json.example, its data in a folder of its own."""
    folder = tmp_path_factory.mktemp("local")
    with HostedApp({**example_settings(), "LLMPROXY_LOCAL_DIR": str(folder)}) as hosted:
        yield hosted


@pytest.fixture(scope="session")
def admin_key(app: HostedApp, tmp_path_factory: pytest.TempPathFactory) -> str:
    secrets = Path(tmp_path_factory.getbasetemp(), "local0", "secrets.json")
    key: str = orjson.loads(secrets.read_bytes())["llmproxy-admin-key"]
    return key


class Client:
    """Asks the app, with the admin key, and the host beside it."""

    def __init__(self, app: HostedApp, session: ClientSession) -> None:
        self.app = app
        self.session = session

    async def get(self, path: str) -> tuple[int, Any]:
        async with self.session.get(self.app.address + path) as answer:
            return answer.status, orjson.loads(await answer.read() or b"null")

    async def post(self, path: str, body: Json) -> tuple[int, Any]:
        async with self.session.post(self.app.address + path, json=body) as answer:
            return answer.status, orjson.loads(await answer.read() or b"null")

    async def host(self, path: str) -> Any:
        """What the host says of itself."""
        async with self.session.get(self.app.control + path) as answer:
            return await answer.json()

    async def run_timer(self, name: str) -> Any:
        """The failure of one run of a timer function, or None."""
        async with self.session.post(f"{self.app.control}/timers/{name}") as answer:
            answer.raise_for_status()
            return await answer.json()

    async def hand_over(self, function: str, events: Sequence[Json]) -> Any:
        """The failure of a function with one batch of a hub's events, or None. See `tests.worker.host.events`."""
        async with self.session.post(f"{self.app.control}/hubs/{function}", json=list(events)) as answer:
            answer.raise_for_status()
            return await answer.json()

    @asynccontextmanager
    async def model(self, upstream: OpenAIUpstream, id: str) -> AsyncIterator[str]:
        """A model in the catalog that is served by `upstream`, as long as the block runs."""
        document = {
            "id": id,
            "name": id,
            "code": "gpt-4o",
            "provider": "OpenAICompatible",
            "model_type": "OpenAICompatible",
            "operations": ["ChatCompletion"],
            "parameters": {"endpoint": f"{upstream.url}/v1"},
        }
        status, answer = await self.post("/manage/models", document)
        assert status == 201, answer
        try:
            yield id
        finally:
            async with self.session.delete(f"{self.app.address}/manage/models/{id}"):
                pass


@pytest.fixture
async def client(app: HostedApp, admin_key: str) -> AsyncIterator[Client]:
    headers = {"authorization": f"Bearer {admin_key}"}
    async with ClientSession(headers=headers, timeout=ClientTimeout(total=30)) as session:
        yield Client(app, session)


@pytest.fixture
async def upstream() -> AsyncIterator[OpenAIUpstream]:
    async with OpenAIUpstream(require_key=False) as serving:
        yield serving
