"""Images as providers give them (OpenAI, Azure OpenAI, Imagen, Gemini), and the parts of a form that one received."""

import base64
import re
from dataclasses import dataclass
from email.parser import BytesHeaderParser
from email.policy import HTTP

from shared import Json
from tests.upstreams.behaviours import Behaviour, Frame, Reply, StreamReply, frame
from tests.upstreams.server import Received

PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
HALF = base64.b64encode(b"half a picture").decode()
PATHS = ("images/generations", "images/edits", "images/variations")
USAGE: Json = {
    "input_tokens": 11,
    "input_tokens_details": {"text_tokens": 11, "image_tokens": 0},
    "output_tokens": 272,
    "total_tokens": 283,
}


@dataclass(frozen=True, slots=True)
class Part:
    """One part of a form. `filename` is None for a field."""

    name: str
    filename: str | None
    content_type: str | None
    content: bytes


def parts(request: Received) -> list[Part]:
    """The parts of a multipart request, in order."""
    found = re.search(r'boundary="?([^";]+)', request.headers["content-type"])
    assert found is not None
    *pieces, end = (b"\r\n" + request.raw).split(b"\r\n--" + found[1].encode())[1:]
    assert end.strip() == b"--"
    made = []
    for piece in pieces:
        head, _, content = piece.removeprefix(b"\r\n").partition(b"\r\n\r\n")
        headers = BytesHeaderParser(policy=HTTP).parsebytes(head)
        disposition = head.decode()
        name = re.search(r'[; ]name="([^"]*)"', disposition)
        filename = re.search(r'filename="([^"]*)"', disposition)
        assert name is not None
        made.append(Part(name[1], filename and filename[1], headers.get("content-type"), content))
    return made


def asked(request: Received) -> Json:
    """The body of a request, or the fields of its form by name."""
    if request.headers["content-type"].startswith("multipart/"):
        return {part.name: part.content.decode() for part in parts(request) if part.filename is None}
    return dict(request.body)


def openai_images(request: Received, path: str, created: int, headers: dict[str, str]) -> Behaviour:
    """What OpenAI answers: pictures in base64, or addresses where they were asked for; events of a stream."""
    body = asked(request)
    count = int(body.get("n") or 1)
    if body.get("stream") in (True, "true"):
        kind = "image_edit" if path == "images/edits" else "image_generation"
        return StreamReply(image_frames(kind, count, int(body.get("partial_images") or 0)), headers=headers)
    address = {"url": "https://images.example/one.png"}
    data = [address if body.get("response_format") == "url" else {"b64_json": PIXEL} for _ in range(count)]
    return Reply({"created": created, "data": data, "size": "1024x1024", "usage": USAGE}, headers=headers)


def image_frames(kind: str, count: int, partial: int) -> list[Frame]:
    """The events of `count` images with as many partial ones each; no end mark follows them."""
    about: Json = {"created_at": 1, "size": "1024x1024", "quality": "low", "background": "opaque"}
    about["output_format"] = "png"
    frames = []
    for _ in range(count):
        for index in range(partial):
            name = f"{kind}.partial_image"
            frames.append(
                frame({"type": name, "b64_json": HALF, "partial_image_index": index, **about}, name)
            )
        name = f"{kind}.completed"
        frames.append(frame({"type": name, "b64_json": PIXEL, "usage": USAGE, **about}, name))
    return frames


def google_images(body: Json, model: str, method: str) -> Json | None:
    """What Imagen and Gemini's image models answer; None where no image was asked for."""
    if method == "predict" and model.startswith("ima"):
        prediction = {"bytesBase64Encoded": PIXEL, "mimeType": "image/png"}
        return {"predictions": [prediction] * body["parameters"].get("sampleCount", 1)}
    config = body.get("generationConfig") or {}
    modalities = config.get("responseModalities") or config.get("response_modalities") or ()
    if method != "generateContent" or "IMAGE" not in modalities:
        return None
    picture = {"inlineData": {"mimeType": "image/png", "data": PIXEL}}
    candidate = {"content": {"role": "model", "parts": [picture]}, "finishReason": "STOP", "index": 0}
    return {
        "candidates": [candidate] * config.get("candidateCount", 1),
        "usageMetadata": {"promptTokenCount": 5, "candidatesTokenCount": 1290, "totalTokenCount": 1295},
        "modelVersion": model,
    }
