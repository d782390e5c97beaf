"""The native lane: upstreams that speak OpenAI's wire format are relayed with almost no work."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import TYPE_CHECKING, TypeAlias

import orjson

from shared import SERVICE, VERSION, Json
from shared.catalog.documents import Model
from shared.errors import InvalidProviderResponse, ProviderRefusal, ProviderTimeout, ProviderUnreachable
from shared.ports import SecretStore, TokenSource
from shared.providers.addresses import call_address, listing_address
from shared.providers.calls import NO_STREAM, Answer, AnsweredWhole, Call, Events
from shared.providers.credentials import credential_header
from shared.providers.http_client import HttpClient, Sent, sending
from shared.providers.openai_errors import error_in_stream, error_of, visible_headers
from shared.providers.transcript_events import WholeTranscript
from shared.wire.embeddings import wanted_format
from shared.wire.events import Event
from shared.wire.images import without_pictures
from shared.wire.sse import DONE, Decoder, ServerSentEvent
from shared.wire.transcriptions import text_type
from shared.wire.usage import Usage, read_usage
from shared.wire.vectors import formatted

if TYPE_CHECKING:
    import aiohttp
    from yarl import URL

_USER_AGENT = f"{SERVICE}/{VERSION}"
_STALE_CONNECTIONS = 8
"""How many closed connections out of the pool are tried before a fresh one must have come up."""
_DRAIN_SECONDS = 1.0
_NO_TEXT = ("application/json", "text/html")
"""What an answer in text is not: an error, or the page of another server."""
_NO_BYTES = (*_NO_TEXT, "text/event-stream")
_LARGE = 64 * 1024
_USAGE_ASKED = ("chat/completions", "completions")
"""Streams that carry usage only where it is asked for."""

Body: TypeAlias = "bytes | Callable[[], aiohttp.FormData] | None"
"""What is sent. A form can be sent once only, so it is made anew for each try."""


class OpenAIWire:
    """OpenAI, Azure OpenAI, Foundry's v1 endpoint and every server that is compatible with them."""

    def __init__(self, client: HttpClient, secrets: SecretStore, tokens: TokenSource) -> None:
        self._client = client
        self._secrets = secrets
        self._tokens = tokens

    async def send(self, call: Call) -> Answer:
        return await _answer(call, *await self._post(call))

    async def open(self, call: Call) -> Events:
        response, secret = await self._post(call)
        if response.content_type != "text/event-stream":
            if call.path == "audio/transcriptions":
                return WholeTranscript(await _answer(call, response, secret))
            if response.content_type == "application/json":
                raise AnsweredWhole(await _answer(call, response, secret))
            response.close()
            raise InvalidProviderResponse(NO_STREAM)
        return OpenAIEvents(response, secret)

    async def download(self, call: Call) -> "OpenAIDownload":
        response, secret = await self._post(call)
        if response.content_type in _NO_BYTES:
            body = await _read(response)
            content = decode_object(body) if response.content_type == "application/json" else {}
            if content.get("error"):
                raise error_in_stream(content["error"], secret)
            raise InvalidProviderResponse("The provider answered a call for bytes in text.")
        return OpenAIDownload(response)

    async def probe(self, model: Model) -> bool:
        """Lists the provider's models, which is free. A compatible server without such a list is alive too."""
        try:
            response, _ = await self._exchange("GET", listing_address(model), None, model, {}, 10.0)
        except ProviderRefusal as refusal:
            if model.provider == "OpenAICompatible" and refusal.status in (404, 405):
                return True
            raise
        await _read(response)
        return True

    async def post(self, address: str, body: "Body", call: Call) -> "Posted":
        """A call whose answer is passed on as it is, with its status and where it says that something was made."""
        response, _ = await self._exchange(
            "POST", address, body, call.model, call.headers, call.connect_timeout
        )
        return Posted(
            response.status,
            await _read(response),
            response.headers.get("Content-Type", "application/octet-stream"),
            visible_headers(response.headers),
            response.headers.get("Location", ""),
        )

    async def headers(self, model: Model, forwarded: Mapping[str, str]) -> tuple[dict[str, str], str | None]:
        """The headers of a call of a model, and the credential among them."""
        # In lower case throughout: the catalog's headers take the place of others, and stand not beside them.
        headers = {"user-agent": _USER_AGENT, "accept-encoding": "identity", **forwarded}
        for name, value in model.parameters.extra_headers.items():
            headers[name.lower()] = value
        credential = await credential_header(model, self._secrets, self._tokens)
        if credential is None:
            return headers, None
        headers[credential[0].lower()] = credential[1]
        return headers, credential[1].removeprefix("Bearer ")

    async def close(self) -> None:
        await self._client.close()

    async def _post(self, call: Call) -> tuple["aiohttp.ClientResponse", str | None]:
        address = call_address(call)
        body: Body = None
        if call.bodiless:
            pass
        elif call.form is None:
            body = upstream_body(call)
        else:
            from shared.providers.form_body import form_body

            body = partial(form_body, call.form, call.model)
        return await self._exchange(
            call.method, address, body, call.model, call.headers, call.connect_timeout
        )

    async def _exchange(
        self,
        method: str,
        address: str,
        body: Body,
        model: Model,
        forwarded: Mapping[str, str],
        connect_timeout: float,
    ) -> tuple["aiohttp.ClientResponse", str | None]:
        """Sends, and returns an answer of the 200s with the credential that was used."""
        headers, secret = await self.headers(model, forwarded)
        if isinstance(body, bytes):
            headers["content-type"] = "application/json"
        response = await self._send(method, _url(address), body, headers, connect_timeout)
        if response.status >= 300:
            raise error_of(response.status, await _read(response), response.headers, secret)
        return response, secret

    async def _send(
        self, method: str, url: "URL", body: Body, headers: dict[str, str], connect_timeout: float
    ) -> "aiohttp.ClientResponse":
        import aiohttp

        session = self._client.session()
        for _ in range(_STALE_CONNECTIONS):
            sent = Sent()
            sending.set(sent)
            try:
                return await session.request(
                    method,
                    url,
                    data=body() if callable(body) else body,
                    headers=headers,
                    allow_redirects=False,
                    timeout=_timeout(connect_timeout),
                )
            except aiohttp.ServerTimeoutError:
                raise ProviderTimeout("The provider could not be connected to in time.") from None
            except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError) as error:
                if sent.reused:
                    continue
                raise ProviderUnreachable(_unreachable(error)) from None
            except (aiohttp.ClientError, OSError, ValueError) as error:
                raise ProviderUnreachable(_unreachable(error)) from None
        raise ProviderUnreachable("The provider closes every connection.")


@dataclass(frozen=True, slots=True)
class Posted:
    """An answer as it came. `headers` are what a caller may see; `location` is the provider's, of what it made."""

    status: int
    body: bytes
    content_type: str
    headers: Mapping[str, str]
    location: str


class OpenAIDownload:
    """An open answer of bytes."""

    dropped: tuple[str, ...] = ()
    usage: Usage | None = None

    def __init__(self, response: "aiohttp.ClientResponse") -> None:
        self._response = response
        self.headers: Mapping[str, str] = visible_headers(response.headers)
        self.content_type = response.headers.get("Content-Type", "application/octet-stream")

    async def __aiter__(self) -> AsyncGenerator[bytes, None]:
        import aiohttp

        while True:
            try:
                chunk = await self._response.content.readany()
            except (aiohttp.ClientError, OSError):
                raise ProviderUnreachable("The provider broke off its answer.") from None
            if not chunk:
                return
            yield chunk

    async def aclose(self) -> None:
        if self._response.content.at_eof():
            self._response.release()
        else:
            self._response.close()


class OpenAIEvents:
    """An open stream of server-sent events."""

    dropped: tuple[str, ...] = ()

    def __init__(self, response: "aiohttp.ClientResponse", secret: str | None) -> None:
        self._response = response
        self._secret = secret
        self.headers: Mapping[str, str] = visible_headers(response.headers)
        self.done = False

    async def __aiter__(self) -> AsyncGenerator[Event, None]:
        decoder = Decoder()
        content = self._response.content
        while not self.done:
            chunk = await self._next_chunk(content)
            if not chunk:
                break
            for event in decoder.feed(chunk):
                if event.data == DONE:
                    self.done = True
                    return
                yield self._event(event)
        for event in decoder.flush():
            if event.data == DONE:
                self.done = True
            elif _is_json(event.data):
                yield self._event(event)

    async def _next_chunk(self, content: "aiohttp.StreamReader") -> bytes:
        import aiohttp

        try:
            return await content.readany()
        except (aiohttp.ClientError, OSError):
            raise ProviderUnreachable("The provider broke off the stream.") from None

    def _event(self, event: ServerSentEvent) -> Event:
        try:
            chunk = orjson.loads(event.data)
        except orjson.JSONDecodeError:
            raise InvalidProviderResponse("The provider sent an event that is not JSON.") from None
        if not isinstance(chunk, dict):
            raise InvalidProviderResponse("The provider sent an event that is not an object.")
        if chunk.get("error") or chunk.get("type") == "error":
            raise error_in_stream(chunk.get("error") or chunk, self._secret)
        data = event.data.replace(b"\n", b" ") if b"\n" in event.data else event.data
        return Event(data, chunk, event.name)

    async def aclose(self) -> None:
        """Gives a finished connection back to the pool; drops every other."""
        if self.done and not self._response.content.at_eof():
            try:
                async with asyncio.timeout(_DRAIN_SECONDS):
                    await self._next_chunk(self._response.content)
            except (TimeoutError, ProviderUnreachable):
                pass
        if self._response.content.at_eof():
            self._response.release()
        else:
            self._response.close()


def upstream_body(call: Call) -> bytes:
    """The body as the provider gets it: the client's, but for `model` and, on streams, the wish for usage."""
    body: Json = {**call.body, "model": call.model.deployment}
    if call.streamed and call.path in _USAGE_ASKED and call.model.parameters.stream_usage:
        options = body.get("stream_options")
        body["stream_options"] = {**(options if isinstance(options, dict) else {}), "include_usage": True}
    return orjson.dumps(body)


def decode_object(body: bytes) -> Json:
    try:
        content = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise InvalidProviderResponse("The provider's answer is not JSON.") from None
    if not isinstance(content, dict):
        raise InvalidProviderResponse("The provider's answer is not an object.")
    return content


async def _answer(call: Call, response: "aiohttp.ClientResponse", secret: str | None) -> Answer:
    body = await _read(response)
    wanted = text_type(call.body) if call.form is not None else None
    if wanted is not None and response.content_type not in _NO_TEXT:
        told = response.headers.get("Content-Type", "")
        headers = visible_headers(response.headers)
        return Answer(body, {}, headers, content_type=told if told.startswith("text/") else wanted)
    if call.path == "embeddings":
        body, content = await formatted(body, wanted_format(call.body))
    else:
        content = decode_object(without_pictures(body) if len(body) > _LARGE else body)
    # What is asked about a stored thing may well show the error that it ended in.
    if content.get("error") and "choices" not in content and not call.bodiless:
        raise error_in_stream(content["error"], secret)
    return Answer(body, content, visible_headers(response.headers), read_usage(content.get("usage")))


async def _read(response: "aiohttp.ClientResponse") -> bytes:
    import aiohttp

    try:
        return await response.read()
    except (aiohttp.ClientError, OSError):
        raise ProviderUnreachable("The provider broke off its answer.") from None
    finally:
        if not response.content.at_eof():
            response.close()


def _is_json(data: bytes) -> bool:
    try:
        orjson.loads(data)
    except orjson.JSONDecodeError:
        return False
    return True


def _unreachable(error: Exception) -> str:
    return f"The provider could not be reached ({type(error).__name__})."


@lru_cache(maxsize=512)
def _url(address: str) -> "URL":
    from yarl import URL

    return URL(address, encoded=True)


@lru_cache(maxsize=64)
def _timeout(connect: float) -> "aiohttp.ClientTimeout":
    import aiohttp

    return aiohttp.ClientTimeout(total=None, sock_connect=connect)
