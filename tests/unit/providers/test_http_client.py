"""The client to providers: where it may connect to, and what it keeps to itself."""

import socket
from collections.abc import AsyncIterator

import aiohttp
import pytest
from aiohttp.abc import AbstractResolver, ResolveResult

from shared.catalog.documents import Model, parse_document
from shared.errors import ProviderError, ProviderUnreachable
from shared.providers.calls import Call
from shared.providers.http_client import HttpClient
from shared.providers.openai_wire import OpenAIWire
from tests.unit.providers.lane import KEY, SomeSecrets, SomeTokens
from tests.upstreams.behaviours import Reply
from tests.upstreams.openai import OpenAIUpstream


class Names(AbstractResolver):
    """A resolver that knows what a test tells it."""

    def __init__(self) -> None:
        self.addresses: dict[str, list[str]] = {}
        self.asked: list[str] = []
        self.closed = 0

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        self.asked.append(host)
        if host not in self.addresses:
            raise OSError(None, "Name or service not known")
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=socket.AF_INET6 if ":" in address else socket.AF_INET,
                proto=socket.IPPROTO_TCP,
                flags=socket.AI_NUMERICHOST,
            )
            for address in self.addresses[host]
        ]

    async def close(self) -> None:
        self.closed += 1


@pytest.fixture
async def upstream() -> AsyncIterator[OpenAIUpstream]:
    async with OpenAIUpstream() as running:
        yield running


@pytest.fixture
def names() -> Names:
    return Names()


@pytest.fixture
async def wire(names: Names) -> AsyncIterator[OpenAIWire]:
    wire = OpenAIWire(HttpClient(resolver=lambda: names), SomeSecrets({"key": KEY}), SomeTokens())
    yield wire
    await wire.close()


def call_to(endpoint: str) -> Call:
    model, _ = parse_document(
        {
            "id": "m",
            "code": "m",
            "provider": "OpenAICompatible",
            "model_type": "OpenAICompatible",
            "operations": ["ChatCompletion"],
            "parameters": {"endpoint": endpoint, "secret_name": "key"},
        },
        strict=True,
    )
    assert isinstance(model, Model)
    return Call("ChatCompletion", "chat/completions", model, {"messages": []})


def call_past_the_catalog(endpoint: str) -> Call:
    """A call of a model whose document nobody has checked."""
    call = call_to("https://checked.example.com")
    parameters = call.model.parameters.model_copy(update={"endpoint": endpoint})
    unchecked = call.model.model_copy(update={"parameters": parameters})
    return Call(call.operation, call.path, unchecked, call.body)


def port_of(upstream: OpenAIUpstream) -> int:
    return int(upstream.url.rpartition(":")[2])


REFUSED = [
    "169.254.169.254",
    "169.254.1.1",
    "168.63.129.16",
    "100.100.100.200",
    "fe80::1",
    "fd00:ec2::254",
    "::ffff:169.254.169.254",
    "64:ff9b::a9fe:a9fe",
    "0.0.0.0",
]


@pytest.mark.parametrize("address", REFUSED)
async def test_a_name_that_leads_to_a_refused_address_is_refused_at_the_connection(
    wire: OpenAIWire, names: Names, address: str
) -> None:
    names.addresses["innocent.example.com"] = [address]
    with pytest.raises(ProviderUnreachable, match="leads to an address that is refused") as caught:
        await wire.send(call_to("https://innocent.example.com"))
    assert address not in caught.value.message
    with pytest.raises(ProviderUnreachable, match="refused"):
        await wire.probe(call_to("https://innocent.example.com").model)
    assert names.asked


async def test_one_refused_address_among_good_ones_refuses_the_name(
    wire: OpenAIWire, names: Names, upstream: OpenAIUpstream
) -> None:
    names.addresses["innocent"] = ["127.0.0.1", "169.254.169.254"]
    with pytest.raises(ProviderUnreachable, match="refused"):
        await wire.send(call_to(f"http://innocent:{port_of(upstream)}"))
    assert not upstream.requests


async def test_a_good_name_is_connected_to(wire: OpenAIWire, names: Names, upstream: OpenAIUpstream) -> None:
    names.addresses["innocent"] = ["127.0.0.1"]
    for _ in range(3):
        await wire.send(call_to(f"http://innocent:{port_of(upstream)}"))
    assert names.asked == ["innocent"], "an answer that was checked is believed for a minute"
    assert upstream.requests[0].headers["host"] == f"innocent:{port_of(upstream)}"


@pytest.mark.parametrize(
    "host",
    [
        "169.254.169.254",
        "168.63.129.16",
        "[fe80::1]",
        "[::ffff:169.254.169.254]",
        "[fd00:ec2::254]",
        "0.0.0.0",
    ],
)
async def test_a_literal_address_that_came_past_the_catalog_is_refused_without_a_connection(
    wire: OpenAIWire, names: Names, host: str
) -> None:
    with pytest.raises(ProviderUnreachable):
        await wire.send(call_past_the_catalog(f"http://{host}:1"))
    assert not names.asked, "a literal address is asked of no resolver"


async def test_a_wildcard_address_does_not_reach_this_machine(
    wire: OpenAIWire, upstream: OpenAIUpstream
) -> None:
    with pytest.raises(ProviderUnreachable):
        await wire.send(call_past_the_catalog(f"http://0.0.0.0:{port_of(upstream)}"))
    assert not upstream.requests


async def test_an_odd_spelling_of_an_address_is_none_that_is_connected_to(
    wire: OpenAIWire, names: Names
) -> None:
    for host in ("2852039166", "0xA9FEA9FE", "0251.0376.0251.0376", "169.254.43518"):
        names.addresses[host.lower()] = names.addresses[host] = ["169.254.169.254"]
        with pytest.raises(ProviderUnreachable):
            await wire.send(call_past_the_catalog(f"http://{host}:1"))


async def test_a_name_that_nobody_knows_is_unreachable(wire: OpenAIWire) -> None:
    with pytest.raises(ProviderUnreachable):
        await wire.send(call_to("https://nowhere.example.com"))


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_not_followed(wire: OpenAIWire, upstream: OpenAIUpstream, status: int) -> None:
    async with OpenAIUpstream() as elsewhere:
        upstream.script(Reply(status=status, headers={"location": elsewhere.url + "/v1/chat/completions"}))
        with pytest.raises(ProviderError, match="redirect") as caught:
            await wire.send(call_to(upstream.url))
        assert "location" not in caught.value.headers
        assert not elsewhere.requests
    assert len(upstream.requests) == 1


async def test_cookies_are_not_kept(wire: OpenAIWire, upstream: OpenAIUpstream) -> None:
    for _ in range(2):
        await wire.send(call_to(upstream.url))
    assert "cookie" not in upstream.requests[1].headers


async def test_a_proxy_in_the_environment_is_not_asked(
    wire: OpenAIWire, upstream: OpenAIUpstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    await wire.send(call_to(upstream.url))
    assert len(upstream.requests) == 1


async def test_the_client_imports_nothing_and_opens_nothing_before_its_first_use() -> None:
    client = HttpClient()
    await client.close()
    session = client.session()
    assert client.session() is session
    assert isinstance(session, aiohttp.ClientSession)
    await client.close()
    assert session.closed
    assert not client.session().closed, "it can be used again"
    await client.close()
