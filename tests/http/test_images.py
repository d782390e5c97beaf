"""Images through the whole proxy: forms as they arrive, events, accounting, and clients that leave."""

import asyncio
import base64
import json
from typing import Any

import aiohttp
import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shared import Json
from tests.http.test_anything import Target
from tests.proxy import Proxy, Reply, running_proxy
from tests.upstreams.behaviours import (
    Behaviour,
    Hang,
    HangUp,
    StreamReply,
    broken_event,
    error_event,
)
from tests.upstreams.behaviours import Reply as Answered
from tests.upstreams.openai import OpenAIUpstream, openai_error
from tests.upstreams.pictures import PIXEL, USAGE, Part, parts

PICTURE = base64.b64decode(PIXEL)
BOUNDARY = "a-boundary"
PATHS = ("/v1/images/generations", "/v1/images/edits", "/v1/images/variations")


@pytest.fixture
async def ready(proxy: Proxy, upstream: OpenAIUpstream) -> Proxy:
    upstream.require_key = False
    await proxy.add_model(
        "m", upstream.url, code="gpt-image-1", operations=["images"], costs={"per_image": 0.04}
    )
    return proxy


def form(*items: tuple[str, bytes] | tuple[str, bytes, str]) -> bytes:
    """A multipart body of fields (name, value) and files (name, content, filename), in this order."""
    body = b""
    for name, content, *filename in items:
        about = f'; filename="{filename[0]}"\r\nContent-Type: image/png' if filename else ""
        head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"{about}\r\n\r\n'
        body += head.encode() + content + b"\r\n"
    return body + f"--{BOUNDARY}--\r\n".encode()


async def send(proxy: Proxy, path: str, *items: Any, data: bytes | None = None) -> Reply:
    headers = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}
    return await proxy.call("POST", path, data=form(*items) if data is None else data, headers=headers)


EDIT = (("model", b"m"), ("prompt", b"A cat"), ("image", PICTURE, "cat.png"))


async def test_an_answer_is_relayed_byte_for_byte_and_its_images_are_counted(
    ready: Proxy, upstream: OpenAIUpstream
) -> None:
    body = json.dumps(
        {"created": 1, "data": [{"b64_json": "QUFB" * 50_000}, {"b64_json": PIXEL}], "usage": USAGE}, indent=1
    ).encode()
    upstream.script(Answered(body))
    reply = await ready.call("POST", "/v1/images/generations", {"model": "m", "prompt": "A cat", "n": 2})
    assert (reply.status, reply.body) == (200, body)
    assert reply.headers["x-llmproxy-cost-usd"] == "0.08"
    [record] = await ready.requests()
    assert record["operation"] == "images"
    assert record["usage"]["images"] == 2
    assert record["usage"]["total_tokens"] == 283
    assert record["usage"]["estimated"] is False
    assert record["cost_usd"] == 0.08


async def test_every_field_of_a_generation_arrives(ready: Proxy, upstream: OpenAIUpstream) -> None:
    fields: Json = {
        "n": 1,
        "size": "17x5",
        "quality": "ultra",
        "style": None,
        "background": "transparent",
        "moderation": "low",
        "output_compression": 50,
        "output_format": "webp",
        "user": "someone",
        "unheard_of": {"deep": [1, None]},
    }
    reply = await ready.call(
        "POST", "/v1/images/generations", {"model": "m", "prompt": "A cat", "timeout": 3, **fields}
    )
    assert reply.status == 200
    [request] = upstream.requests
    assert request.path == "/v1/images/generations"
    assert request.body == {"model": "gpt-image-1", "prompt": "A cat", **fields}


async def test_a_form_arrives_in_its_order_with_names_as_they_were(
    ready: Proxy, upstream: OpenAIUpstream
) -> None:
    reply = await send(
        ready,
        "/v1/images/edits",
        ("image[]", PICTURE, "größe.png"),
        ("prompt", "Ein Käse".encode()),
        ("model", b"m"),
        ("image[]", b"second", "日本.png"),
        ("mask", b"third", "mask.png"),
        ("tag", b"one"),
        ("tag", b"two"),
        ("timeout", b"3"),
    )
    assert reply.status == 200, reply.body
    [request] = upstream.requests
    got = parts(request)
    fields = [(part.name, part.content.decode()) for part in got if part.filename is None]
    files = [part for part in got if part.filename is not None]
    assert fields == [("prompt", "Ein Käse"), ("model", "gpt-image-1"), ("tag", "one"), ("tag", "two")]
    assert files == [
        Part("image[]", "größe.png", "image/png", PICTURE),
        Part("image[]", "日本.png", "image/png", b"second"),
        Part("mask", "mask.png", "image/png", b"third"),
    ]


async def test_a_second_try_sends_the_whole_form_again(ready: Proxy, upstream: OpenAIUpstream) -> None:
    upstream.script(openai_error(500, "Out of order.", type="server_error"))
    large = bytes(range(256)) * 3600
    reply = await send(ready, "/v1/images/variations", ("model", b"m"), ("image", large, "large.png"))
    assert reply.status == 200
    first, second = upstream.requests
    assert parts(first)[1].content == parts(second)[1].content == large


async def test_an_edit_in_json_goes_as_json(ready: Proxy, upstream: OpenAIUpstream) -> None:
    images = [{"image_url": f"data:image/png;base64,{PIXEL}"}, {"image_url": "https://images.example/a.png"}]
    reply = await ready.call(
        "POST", "/v1/images/edits", {"model": "m", "prompt": "A cat", "images": images, "n": 2}
    )
    assert reply.status == 200
    [request] = upstream.requests
    assert request.path == "/v1/images/edits"
    assert request.body == {"model": "gpt-image-1", "prompt": "A cat", "images": images, "n": 2}


@pytest.mark.parametrize(
    ("path", "items", "param", "code"),
    [
        (PATHS[1], EDIT[:2], "image", "missing_required_parameter"),
        (PATHS[1], (EDIT[0], EDIT[2]), "prompt", "missing_required_parameter"),
        (PATHS[1], (*EDIT[:2], ("image", b"", "cat.png")), "image", "invalid_value"),
        (PATHS[1], (*EDIT[:2], ("image", b"text")), "image", "invalid_value"),
        (PATHS[1], (*EDIT, ("n", b"two")), "n", "invalid_value"),
        (PATHS[1], (*EDIT, ("vertex_project", b"x")), "vertex_project", "unsupported_parameter"),
        (PATHS[2], EDIT[:1], "image", "missing_required_parameter"),
        (PATHS[2], (*EDIT, EDIT[2]), "image", "invalid_value"),
    ],
)
async def test_a_form_at_fault_is_refused_by_name(
    ready: Proxy, upstream: OpenAIUpstream, path: str, items: Any, param: str, code: str
) -> None:
    reply = await send(ready, path, *items)
    assert reply.status == 400
    assert (reply.error["param"], reply.error["code"]) == (param, code)
    assert upstream.requests == []


@pytest.mark.parametrize("path", PATHS)
async def test_a_model_that_does_not_list_images_is_refused(
    ready: Proxy, upstream: OpenAIUpstream, path: str
) -> None:
    await ready.add_model("chatty", upstream.url)
    if path == PATHS[0]:
        reply = await ready.call("POST", path, {"model": "chatty", "prompt": "A cat"})
    else:
        reply = await send(ready, path, ("model", b"chatty"), *EDIT[1:])
    assert reply.status == 400
    assert (reply.error["param"], reply.error["code"]) == ("model", "unsupported_operation")


async def test_openais_ranges_hold_for_openai_and_not_elsewhere(
    ready: Proxy, upstream: OpenAIUpstream
) -> None:
    await ready.add_model(
        "openai",
        upstream.url + "/v1",
        provider="OpenAI",
        model_type="OpenAINative",
        operations=["images"],
        parameters={"secret_name": "any"},
    )
    for fields, param in (({"prompt": "a" * 32_001}, "prompt"), ({"prompt": "a", "n": 11}, "n")):
        reply = await ready.call("POST", PATHS[0], {"model": "openai", **fields})
        assert (reply.status, reply.error["param"]) == (400, param)
        assert (await ready.call("POST", PATHS[0], {"model": "m", **fields})).status == 200


async def test_without_a_model_the_default_one_draws(ready: Proxy, upstream: OpenAIUpstream) -> None:
    assert (await ready.call("DELETE", "/manage/models/demo-image")).status in (200, 204)
    for reply in (
        await ready.call("POST", PATHS[0], {"prompt": "A cat"}),
        await send(ready, PATHS[2], EDIT[2]),
    ):
        assert (reply.status, reply.error["code"]) == (400, "missing_required_parameter")
        assert reply.error["param"] == "model"
    await ready.add_model("usual", upstream.url, operations=["images"], default_for=["images"])
    assert (await ready.call("POST", PATHS[0], {"prompt": "A cat"})).status == 200
    assert (await send(ready, PATHS[2], EDIT[2])).status == 200
    generation, variation = upstream.requests
    assert generation.body["model"] == "usual"
    assert ("model", b"usual") in [(part.name, part.content) for part in parts(variation)]


async def test_what_the_catalog_presets_is_added_to_a_form(ready: Proxy, upstream: OpenAIUpstream) -> None:
    presets = {"quality": "low", "n": 2, "user": "no one", "flag": True, "palette": ["a", "b"]}
    await ready.add_model(
        "preset", upstream.url, operations=["images"], parameters={"default_params": presets}
    )
    reply = await send(ready, PATHS[1], ("model", b"preset"), *EDIT[1:], ("user", b"someone"))
    assert reply.status == 200, reply.body
    fields = [(part.name, part.content.decode()) for part in parts(upstream.requests[0]) if not part.filename]
    assert fields == [
        ("model", "preset"),
        ("prompt", "A cat"),
        ("user", "someone"),
        ("quality", "low"),
        ("n", "2"),
        ("flag", "true"),
        ("palette[]", "a"),
        ("palette[]", "b"),
    ]
    assert len(reply.json()["data"]) == 2


@pytest.mark.parametrize("status", [400, 401, 429, 500])
async def test_a_providers_error_is_told_in_the_envelope(
    ready: Proxy, upstream: OpenAIUpstream, status: int
) -> None:
    upstream.always(openai_error(status, "Your request was rejected.", code="moderation_blocked"))
    reply = await ready.call("POST", PATHS[0], {"model": "m", "prompt": "A cat", "max_retries": 0})
    assert reply.status == (502 if status in (401, 500) else status)
    assert set(reply.error) == {"message", "type", "param", "code"}


@pytest.mark.parametrize("behaviour", [Answered(b"{"), Answered(b"[]"), HangUp(), Answered(b'{"data": "')])
async def test_an_answer_that_is_none_is_a_bad_gateway(
    ready: Proxy, upstream: OpenAIUpstream, behaviour: Behaviour
) -> None:
    upstream.always(behaviour)
    reply = await ready.call("POST", PATHS[0], {"model": "m", "prompt": "A cat", "max_retries": 0})
    assert reply.status == 502
    assert reply.error["type"] == "upstream_error"


async def stream(proxy: Proxy, **fields: Any) -> tuple[int, bytes]:
    """(status, bytes of the stream)."""
    reply = await proxy.call(
        "POST", PATHS[0], {"model": "m", "prompt": "A cat", "stream": True, "max_retries": 0, **fields}
    )
    return reply.status, reply.body


def told(raw: bytes) -> list[tuple[str, Json]]:
    """(name, data) of each event."""
    found = []
    for event in raw.decode().split("\n\n"):
        if event and not event.startswith(":"):
            *names, data = event.split("\n")
            found.append(("".join(names).removeprefix("event: "), orjson.loads(data.removeprefix("data: "))))
    return found


async def test_partial_images_come_before_the_whole_one_and_no_end_mark_after_it(
    ready: Proxy, upstream: OpenAIUpstream
) -> None:
    status, raw = await stream(ready, partial_images=2)
    assert status == 200
    events = told(raw)
    kinds = ["partial_image", "partial_image", "completed"]
    assert [name for name, _ in events] == [f"image_generation.{kind}" for kind in kinds]
    assert [data["type"] for _, data in events] == [name for name, _ in events]
    assert b"[DONE]" not in raw
    assert upstream.requests[0].body == {
        "model": "gpt-image-1",
        "prompt": "A cat",
        "stream": True,
        "partial_images": 2,
    }
    [record] = await ready.requests()
    assert (record["status"], record["usage"]["images"], record["usage"]["total_tokens"]) == (200, 1, 283)
    assert record["cost_usd"] == 0.04


async def test_a_form_streams_too(ready: Proxy, upstream: OpenAIUpstream) -> None:
    reply = await send(ready, PATHS[1], *EDIT, ("stream", b"true"), ("partial_images", b"1"), ("n", b"2"))
    assert reply.status == 200
    assert [name for name, _ in told(reply.body)] == ["image_edit.partial_image", "image_edit.completed"] * 2


CUTS: dict[str, tuple[StreamReply, int]] = {
    "cut before the whole image": (StreamReply(stop_after=2, ending="cut"), 2),
    "closed before the whole image": (StreamReply(stop_after=2), 2),
    "an event that is no JSON": (StreamReply(change=broken_event(2)), 2),
    "an error event": (
        StreamReply(change=error_event(2, {"type": "error", "error": {"message": "No.", "code": "x"}})),
        2,
    ),
    "silence": (StreamReply(stop_after=1, ending="stall"), 1),
}


@pytest.mark.parametrize("cut", CUTS)
async def test_a_cut_stream_ends_with_an_error_event(
    ready: Proxy, upstream: OpenAIUpstream, cut: str
) -> None:
    behaviour, count = CUTS[cut]
    upstream.script(behaviour)
    status, raw = await stream(ready, partial_images=2)
    assert status == 200
    *images, (_, last) = told(raw)
    assert [name for name, _ in images] == ["image_generation.partial_image"] * count
    assert set(last["error"]) == {"message", "type", "param", "code"}
    [record] = await ready.requests()
    assert record["status"] >= 400
    assert "images" not in record["usage"]


async def test_one_of_two_images_is_not_the_whole_answer(ready: Proxy, upstream: OpenAIUpstream) -> None:
    upstream.script(StreamReply(stop_after=1))
    _, raw = await stream(ready, n=2)
    (name, _), (_, last) = told(raw)
    assert name == "image_generation.completed"
    assert last["error"]["type"] == "upstream_error"
    [record] = await ready.requests()
    assert record["usage"]["images"] == 1


@pytest.mark.parametrize(
    ("behaviour", "status"),
    [
        (openai_error(400, "Not like that.", param="size"), 400),
        (openai_error(429, "Slow down.", type="rate_limit_error"), 429),
        (StreamReply(stop_after=0, ending="cut"), 502),
        (StreamReply(stop_after=0), 502),
        (Answered({"created": 1, "data": []}), 502),
    ],
)
async def test_a_failure_before_the_first_image_is_a_plain_error(
    ready: Proxy, upstream: OpenAIUpstream, behaviour: Behaviour, status: int
) -> None:
    upstream.script(behaviour)
    assert (await stream(ready, partial_images=1))[0] == status


@pytest.mark.parametrize("size", [1, 7, 64])
async def test_every_way_to_cut_the_bytes_gives_the_same_events(
    ready: Proxy, upstream: OpenAIUpstream, size: int
) -> None:
    whole = await stream(ready, partial_images=1)
    upstream.script(StreamReply(slices=size))
    assert await stream(ready, partial_images=1) == whole


async def test_a_client_that_leaves_a_stream_cancels_the_providers_call_within_a_second(
    ready: Proxy, upstream: OpenAIUpstream
) -> None:
    upstream.script(StreamReply(stop_after=1, ending="stall"))
    headers = {"Authorization": f"Bearer {ready.key}"}
    body = {"model": "m", "prompt": "A cat", "stream": True, "partial_images": 2}
    async with ready.http.post(ready.url + PATHS[0], json=body, headers=headers) as response:
        assert await response.content.readany()
        response.close()
    await upstream.wait_disconnected(1.0)
    await _recorded(ready, 499)


async def test_a_client_that_leaves_a_plain_call_cancels_it(ready: Proxy, upstream: OpenAIUpstream) -> None:
    upstream.script(Hang())
    asking = asyncio.create_task(send(ready, PATHS[1], *EDIT))
    await upstream.wait_requests(1)
    asking.cancel()
    await upstream.wait_disconnected(1.0)
    await _recorded(ready, 499)


async def test_a_client_that_leaves_its_upload_leaves_nothing_behind(
    ready: Proxy, upstream: OpenAIUpstream
) -> None:
    begun = asyncio.Event()

    async def half() -> Any:
        yield form(*EDIT)[:-60]
        begun.set()
        await asyncio.Event().wait()

    headers = {
        "Authorization": f"Bearer {ready.key}",
        "Content-Type": f"multipart/form-data; boundary={BOUNDARY}",
    }
    asking = asyncio.create_task(ready.http.post(ready.url + PATHS[1], data=half(), headers=headers))
    await begun.wait()
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    assert (await send(ready, PATHS[1], *EDIT)).status == 200
    assert len(upstream.requests) == 1


async def _recorded(proxy: Proxy, status: int) -> None:
    async with asyncio.timeout(2):
        while not (records := await proxy.requests()):
            await asyncio.sleep(0.01)
    assert records[0]["status"] == status


async def test_an_upload_over_the_limit_is_refused(tmp_path: Any, upstream: OpenAIUpstream) -> None:
    async with running_proxy(tmp_path, max_upload_bytes=100_000) as proxy:
        await proxy.add_model("m", upstream.url, operations=["images"])
        reply = await send(proxy, PATHS[1], *EDIT[:2], ("image", bytes(200_000), "large.png"))
        assert (reply.status, reply.error["code"]) == (413, "request_too_large")
        assert upstream.requests == []


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Any:
    running = Target(tmp_path_factory.mktemp("images"))
    yield running
    running.close()


FORM = form(
    ("model", b"demo-image"), ("prompt", "Käse".encode()), ("image[]", PICTURE, "größe.png"), ("n", b"2")
)
HEADERS = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}


@settings(max_examples=60, deadline=None)
@given(st.integers(0, len(FORM) - 5))
def test_a_form_cut_anywhere_is_a_bad_request(target: Target, cut: int) -> None:
    reply = target.ask("POST", PATHS[1], data=FORM[:cut], headers=HEADERS)
    assert reply.status == 400
    assert reply.error["type"] == "invalid_request_error"


@settings(max_examples=60, deadline=None)
@given(st.integers(0, len(FORM) - 1), st.binary(min_size=1, max_size=4))
def test_a_form_with_other_bytes_in_it_never_breaks_the_proxy(target: Target, at: int, junk: bytes) -> None:
    body = FORM[:at] + junk + FORM[at + len(junk) :]
    assert target.ask("POST", PATHS[1], data=body, headers=HEADERS).status < 500


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20) | st.floats(allow_nan=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=5,
)
BODIES = st.fixed_dictionaries(
    {"prompt": st.text(min_size=1, max_size=40) | VALUES},
    optional={
        "n": st.integers(1, 3) | VALUES,
        "size": st.sampled_from(["64x64", "auto", "1x"]) | VALUES,
        "stream": st.booleans() | VALUES,
        "partial_images": st.integers(0, 3) | VALUES,
        "response_format": st.sampled_from(["url", "b64_json"]) | VALUES,
        "images": st.lists(st.fixed_dictionaries({"image_url": st.text(max_size=9)}), max_size=2) | VALUES,
        "mask": VALUES,
        "model": st.just("demo-image") | VALUES,
        "quality": VALUES,
    },
)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(PATHS), BODIES)
def test_any_json_is_answered_or_refused(target: Target, path: str, body: Json) -> None:
    reply = target.ask("POST", path, body=body)
    assert reply.status in (200, 400, 404)
    if reply.status != 200:
        assert reply.error["type"] == "invalid_request_error"


async def test_a_stuck_upload_of_the_provider_ends_at_the_deadline(
    ready: Proxy, upstream: OpenAIUpstream
) -> None:
    upstream.always(Hang())
    reply = await ready.call("POST", PATHS[0], {"model": "m", "prompt": "A cat", "timeout": 0.3})
    assert (reply.status, reply.error["type"]) == (504, "upstream_error")
    await upstream.wait_disconnected(1.0)


async def test_the_connection_is_kept_after_a_large_answer(ready: Proxy, upstream: OpenAIUpstream) -> None:
    upstream.always(Answered({"created": 1, "data": [{"b64_json": "QUFB" * 500_000}]}))
    headers = {"Authorization": f"Bearer {ready.key}"}
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=1)) as http:
        for _ in range(2):
            async with http.post(
                ready.url + PATHS[0], json={"model": "m", "prompt": "A cat"}, headers=headers
            ) as response:
                assert len(await response.read()) > 2_000_000
    assert upstream.connections == 1
