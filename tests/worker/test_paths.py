"""Whatever is asked is answered by the app, and no invocation is left waiting."""

import pytest
from yarl import URL

from tests.worker.conftest import Client

PAGES = ["/docs", "/redoc", "/openapi.json", "/docs/oauth2-redirect"]
ODD = ["/nothing", "//nothing", "/a%0Ab", "/%0A", "/a%2Fb", "/docs/", "/%64ocs", "/v1/chat/completions/no"]


@pytest.mark.parametrize("path", [*PAGES, *ODD])
@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS"])
async def test_an_unknown_path_is_answered_by_the_app(client: Client, method: str, path: str) -> None:
    address = URL(client.app.address + path, encoded=True)
    async with client.session.request(method, address, allow_redirects=False) as answer:
        body = await answer.read()
        assert answer.headers["x-llmproxy-version"]
        if method != "OPTIONS":
            assert answer.status == 404
            assert (await answer.json())["error"]["code"] == "not_found"
        else:
            assert answer.status in (204, 404), body
    assert await client.host("/waiting") == []


@pytest.mark.parametrize("path", [*PAGES, "/v1/models/a%0Ab", "/manage/models/a%0Ab"])
async def test_a_head_request_is_answered_too(client: Client, path: str) -> None:
    address = URL(client.app.address + path, encoded=True)
    async with client.session.head(address) as answer:
        assert answer.headers["x-llmproxy-version"]
        assert answer.status in (404, 405)
    assert await client.host("/waiting") == []


async def test_a_wrong_method_is_405_with_allow(client: Client) -> None:
    async with client.session.get(f"{client.app.address}/v1/chat/completions") as answer:
        assert answer.status == 405
        assert answer.headers["allow"] == "POST"
        assert (await answer.json())["error"]["code"] == "method_not_allowed"
    assert await client.host("/waiting") == []


async def test_a_method_that_azure_does_not_know_never_reaches_a_function(client: Client) -> None:
    async with client.session.request("PROPFIND", f"{client.app.address}/health") as answer:
        assert answer.status == 404
        assert await answer.read() == b""
    assert await client.host("/waiting") == []


async def test_ids_with_slashes_are_decoded_once(client: Client) -> None:
    address = URL(f"{client.app.address}/v1/models/no%2Fsuch", encoded=True)
    async with client.session.get(address) as answer:
        assert answer.status == 404
        assert "no/such" in (await answer.json())["error"]["message"]
