"""Images through LiteLLM: Google's models are asked in their own words, and never shown a credential in a body."""

import asyncio
import base64
import io
from collections.abc import AsyncIterator
from typing import Any

import orjson
import pytest

from shared import Json
from shared.catalog.documents import Model
from shared.errors import (
    ContentPolicyViolation,
    InvalidProviderResponse,
    InvalidValue,
    ProviderRefusal,
    ProviderServerError,
    ProxyError,
    UnsupportedOperation,
    UnsupportedParameter,
)
from shared.providers.calls import Answer, Call, Form, Upload
from shared.wire.images import ImageReading
from tests.unit.providers.lane import KEY, Lane, open_lane
from tests.upstreams.behaviours import Hang, HangUp, Reply
from tests.upstreams.google import google_error
from tests.upstreams.pictures import PIXEL
from tests.upstreams.server import Received, Script

PREDICT = "/v1/projects/some-project/locations/us-central1/publishers/google/models/{}:predict"
GENERATE = PREDICT.replace(":predict", ":generateContent")
PICTURE = base64.b64decode(PIXEL)


@pytest.fixture
async def lane() -> AsyncIterator[Lane]:
    async with open_lane() as running:
        yield running


def upload(field: str, content: bytes = PICTURE, filename: str = "größe.png") -> Upload:
    return Upload(field, filename, "image/png", io.BytesIO(content), len(content))


async def draw(lane: Lane, model: Model, path: str = "images/generations", **body: Any) -> Answer:
    files = body.pop("files", None)
    form = Form((), tuple(files)) if files is not None else None
    fields = {"model": model.id, "prompt": "A cat", **body}
    return await lane.provider.send(Call("images", path, model, fields, form=form))


def assert_no_credential(lane: Lane, request: Received) -> None:
    """Nothing of the service account, nor of a token, nor of a key, is in the body."""
    account = orjson.loads(lane.secrets.texts["account"])
    for secret in (KEY, *(value for value in account.values() if len(value) > 8)):
        assert secret.encode() not in request.raw
    assert not any(word in request.raw for word in (b"credential", b"PRIVATE KEY", b"private_key", b"Bearer"))
    token = request.headers.get("authorization", "").removeprefix("Bearer ")
    assert not token or token.encode() not in request.raw


async def test_imagen_on_vertex_is_asked_in_its_own_words(lane: Lane) -> None:
    model = lane.model("GoogleVertex", "imagen-4.0-generate-001", extra_headers={"x-team": "team-secret"})
    answer = await draw(lane, model, n=2, size="1792x1024", negativePrompt="dogs", user="someone")
    [request] = lane.google.requests
    assert request.path == PREDICT.format("imagen-4.0-generate-001")
    assert request.body == {
        "instances": [{"prompt": "A cat"}],
        "parameters": {"sampleCount": 2, "aspectRatio": "16:9", "negativePrompt": "dogs"},
    }
    assert request.headers["authorization"].startswith("Bearer ")
    assert request.headers["x-team"] == "team-secret"
    assert_no_credential(lane, request)
    content = orjson.loads(answer.body)
    assert content["data"] == [{"b64_json": PIXEL}] * 2
    assert content["created"] > 0
    assert "usage" not in content
    assert answer.usage is None
    assert len(answer.content["data"]) == 2
    assert answer.dropped == ("user",)


FAILURES: dict[str, tuple[Script, type[ProxyError]]] = {
    "a refusal": (google_error(400, "INVALID_ARGUMENT", "Unsupported."), ProviderRefusal),
    "a rate limit": (
        google_error(429, "RESOURCE_EXHAUSTED", "Slow down.", {"retry-after": "3"}),
        ProviderRefusal,
    ),
    "an outage": (google_error(503, "UNAVAILABLE", "Overloaded."), ProviderServerError),
    "an echo": (
        lambda request: google_error(400, "INVALID_ARGUMENT", f"Bad: {request.headers['authorization']}"),
        ProviderRefusal,
    ),
    "a closed connection": (HangUp(), ProxyError),
    "no image": (Reply({"predictions": []}), InvalidProviderResponse),
    "a filtered image": (
        Reply({"predictions": [{"raiFilteredReason": "Filtered."}]}),
        ContentPolicyViolation,
    ),
    "no JSON": (Reply(b"<html>"), ProxyError),
}


@pytest.mark.parametrize("failure", FAILURES)
async def test_no_failure_shows_a_credential(lane: Lane, failure: str) -> None:
    behaviour, kind = FAILURES[failure]
    lane.google.always(behaviour)
    with pytest.raises(kind) as caught:
        await draw(lane, lane.model("GoogleVertex", "imagen-4.0-generate-001"))
    for request in lane.google.requests:
        assert_no_credential(lane, request)
        token = request.headers["authorization"].removeprefix("Bearer ")
        assert token not in caught.value.message
    assert caught.value.status != 500
    account = orjson.loads(lane.secrets.texts["account"])
    assert account["private_key"] not in caught.value.message + repr(caught.value.headers)


async def test_gemini_on_vertex_draws_and_reports_tokens(lane: Lane) -> None:
    answer = await draw(lane, lane.model("GoogleVertex", "gemini-2.5-flash-image"), size="1024x1024")
    [request] = lane.google.requests
    assert request.path == GENERATE.format("gemini-2.5-flash-image")
    assert request.body["contents"] == [{"role": "user", "parts": [{"text": "A cat"}]}]
    assert request.body["generationConfig"]["imageConfig"] == {"aspectRatio": "1:1"}
    assert_no_credential(lane, request)
    assert answer.usage is not None
    assert (answer.usage.prompt, answer.usage.completion) == (5, 1290)
    assert orjson.loads(answer.body)["usage"]["output_tokens"] == 1290
    assert answer.dropped == ()


@pytest.mark.parametrize(
    ("code", "path"),
    [
        ("imagen-4.0-generate-001", "/v1beta/models/imagen-4.0-generate-001:predict"),
        ("gemini-2.5-flash-image", "/v1beta/models/gemini-2.5-flash-image:generateContent"),
    ],
)
async def test_ai_studio_is_asked_by_its_key(lane: Lane, code: str, path: str) -> None:
    answer = await draw(lane, lane.model("GoogleGemini", code), response_format="b64_json", size="auto")
    [request] = lane.google.requests
    assert request.path == path
    assert request.headers["x-goog-api-key"] == KEY
    assert_no_credential(lane, request)
    assert orjson.loads(answer.body)["data"] == [{"b64_json": PIXEL}]
    assert answer.dropped == ()


@pytest.mark.parametrize("size", ["1536x1024", "no size"])
async def test_a_shape_that_is_not_kept_is_reported(lane: Lane, size: str) -> None:
    answer = await draw(lane, lane.model("GoogleVertex", "imagen-4.0-generate-001"), size=size)
    assert answer.dropped == ("size",)


@pytest.mark.parametrize(
    ("fields", "param"),
    [({"response_format": "url"}, "response_format"), ({"vertex_project": "x"}, "vertex_project")],
)
async def test_what_would_change_the_answer_is_refused(lane: Lane, fields: Json, param: str) -> None:
    with pytest.raises(UnsupportedParameter) as caught:
        await draw(lane, lane.model("GoogleVertex", "imagen-4.0-generate-001"), **fields)
    assert caught.value.param == param
    assert lane.google.requests == []


async def test_an_edit_carries_its_pictures_and_its_mask(lane: Lane) -> None:
    files = [upload("image[]"), upload("image[]", b"second"), upload("mask", b"third")]
    model = lane.model("GoogleVertex", "imagen-3.0-capability-001")
    answer = await draw(lane, model, "images/edits", files=files, n="2")
    [request] = lane.google.requests
    [instance] = request.body["instances"]
    pictures = [item["referenceImage"]["bytesBase64Encoded"] for item in instance["referenceImages"]]
    assert [base64.b64decode(picture) for picture in pictures] == [PICTURE, b"second", b"third"]
    assert instance["referenceImages"][2]["referenceType"] == "REFERENCE_TYPE_MASK"
    assert request.body["parameters"]["sampleCount"] == 2
    assert_no_credential(lane, request)
    assert len(answer.content["data"]) == 2


@pytest.mark.parametrize("model_type", ["GoogleVertex", "GoogleGemini"])
async def test_gemini_edits_what_a_json_body_holds(lane: Lane, model_type: str) -> None:
    images = [{"image_url": f"data:image/png;base64,{PIXEL}"}]
    answer = await draw(lane, lane.model(model_type, "gemini-2.5-flash-image"), "images/edits", images=images)
    [request] = lane.google.requests
    contents = request.body["contents"]
    [content] = contents if isinstance(contents, list) else [contents]
    assert content["parts"][0]["inlineData"] == {"mimeType": "image/png", "data": PIXEL}
    assert content["parts"][1] == {"text": "A cat"}
    assert_no_credential(lane, request)
    assert orjson.loads(answer.body)["data"] == [{"b64_json": PIXEL}]


async def test_a_stream_of_a_provider_without_streams_has_its_whole_images(lane: Lane) -> None:
    model = lane.model("GoogleGemini", "gemini-2.5-flash-image")
    body: Json = {"prompt": "A cat", "stream": True, "partial_images": 2, "n": 2}
    events = await lane.provider.open(Call("images", "images/generations", model, body, streamed=True))
    reading = ImageReading(body)
    told = []
    async for event in events:
        reading.note(event)
        told.append(event)
    await events.aclose()
    assert [event.name for event in told] == [b"image_generation.completed"] * 2
    assert [event.chunk["b64_json"] for event in told] == [PIXEL] * 2
    assert reading.complete(False)
    usage = reading.usage()
    assert usage is not None
    assert (usage.images, usage.total) == (2, 1295)
    assert "stream" not in lane.google.requests[0].body


async def test_addresses_are_not_fetched(lane: Lane) -> None:
    images = [{"image_url": "https://images.example/cat.png"}]
    with pytest.raises(InvalidValue) as caught:
        await draw(lane, lane.model("GoogleGemini", "gemini-2.5-flash-image"), "images/edits", images=images)
    assert caught.value.param == "images[0].image_url"


async def test_a_mask_that_cannot_be_used_is_refused(lane: Lane) -> None:
    files = [upload("image"), upload("mask")]
    with pytest.raises(UnsupportedParameter) as caught:
        await draw(lane, lane.model("GoogleGemini", "gemini-2.5-flash-image"), "images/edits", files=files)
    assert caught.value.param == "mask"


@pytest.mark.parametrize(
    ("model_type", "code", "path"),
    [
        ("GoogleVertex", "imagen-4.0-generate-001", "images/variations"),
        ("GoogleGemini", "gemini-2.5-flash-image", "images/variations"),
    ],
)
async def test_what_no_one_can_do_is_refused(lane: Lane, model_type: str, code: str, path: str) -> None:
    with pytest.raises(UnsupportedOperation) as caught:
        await draw(lane, lane.model(model_type, code), path, files=[upload("image")])
    assert caught.value.param == "model"


def foreign(lane: Lane, code: str, **litellm: Any) -> Model:
    """A model of a provider that only LiteLLM knows."""
    return lane.model("LiteLLM", code, secret_name=None, lane=None, **litellm)


async def test_a_provider_that_speaks_openai_is_asked_with_every_field(lane: Lane) -> None:
    model = foreign(
        lane,
        "xai/grok-2-image",
        endpoint=lane.openai.url + "/v1",
        litellm_secrets={"api_key": "key"},
        extra_headers={"x-team": "team-secret"},
    )
    answer = await draw(lane, model, n=2, quality="ultra", unheard_of={"deep": [1]})
    [request] = lane.openai.requests
    assert request.body == {
        "model": "grok-2-image",
        "prompt": "A cat",
        "n": 2,
        "quality": "ultra",
        "unheard_of": {"deep": [1]},
    }
    assert request.headers["authorization"] == f"Bearer {KEY}"
    assert request.headers["x-team"] == "team-secret"
    assert_no_credential(lane, request)
    assert len(answer.content["data"]) == 2
    assert answer.usage is not None
    assert answer.usage.total == 283


async def test_a_credential_that_would_travel_in_the_body_is_not_given_away(lane: Lane) -> None:
    secrets = {"api_key": "key", "vertex_credentials": "account"}
    model = foreign(lane, "xai/grok-2-image", endpoint=lane.openai.url + "/v1", litellm_secrets=secrets)
    with pytest.raises(UnsupportedOperation):
        await draw(lane, model)
    assert lane.openai.requests == []


async def test_a_vertex_model_under_its_litellm_name_is_drawn_as_safely(lane: Lane) -> None:
    params = {"vertex_project": "some-project", "vertex_location": "us-central1"}
    model = foreign(
        lane,
        "vertex_ai/imagen-4.0-generate-001",
        endpoint=lane.google.url,
        litellm_params=params,
        litellm_secrets={"vertex_credentials": "account"},
    )
    await draw(lane, model)
    [request] = lane.google.requests
    assert request.path == PREDICT.format("imagen-4.0-generate-001")
    assert_no_credential(lane, request)


async def test_a_call_that_is_given_up_leaves_the_provider(lane: Lane) -> None:
    lane.google.script(Hang())
    drawing = asyncio.create_task(draw(lane, lane.model("GoogleVertex", "imagen-4.0-generate-001")))
    await lane.google.wait_requests(1)
    drawing.cancel()
    await lane.google.wait_disconnected(1.0)
    with pytest.raises(asyncio.CancelledError):
        await drawing
