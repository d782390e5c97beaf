"""Embeddings and moderations as upstreams answer them, in OpenAI's and Google's words."""

import hashlib
import struct
from base64 import b64encode
from typing import Any

from shared import Json
from tests.upstreams.samples import token_count

DIMENSIONS = 8


def upstream_vector(given: Any, dimensions: int | None = None) -> list[float]:
    """A vector of 32-bit floats that differs with what was embedded."""
    digest = hashlib.sha256(repr(given).encode()).digest()
    size = dimensions or DIMENSIONS
    numbers = [(digest[at % 32] - 127.5) / (128 + at // 32) for at in range(size)]
    return list(struct.unpack(f"<{size}f", struct.pack(f"<{size}f", *numbers)))


def in_base64(vector: list[float]) -> str:
    return b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()


def openai_embeddings(body: Json, model: str) -> Json:
    """`POST /embeddings`, floats unless base64 is asked for."""
    given = body["input"]
    single = isinstance(given, str) or isinstance(given[0], int)
    data = []
    for index, item in enumerate([given] if single else given):
        vector: Any = upstream_vector(item, body.get("dimensions"))
        if body.get("encoding_format") == "base64":
            vector = in_base64(vector)
        data.append({"object": "embedding", "index": index, "embedding": vector})
    tokens = token_count(given)
    usage = {"prompt_tokens": tokens, "total_tokens": tokens}
    return {"object": "list", "data": data, "model": model, "usage": usage}


def google_embeddings(body: Json, method: str) -> Json | None:
    """Vertex AI's `predict` and Gemini's `batchEmbedContents`; None for what is neither."""
    if method == "batchEmbedContents":
        return {
            "embeddings": [
                {
                    "values": upstream_vector(
                        item["content"]["parts"][0].get("text"), item.get("outputDimensionality")
                    )
                }
                for item in body["requests"]
            ]
        }
    if method != "predict" or "content" not in body["instances"][0]:
        return None
    dimensions = (body.get("parameters") or {}).get("outputDimensionality")
    return {
        "predictions": [
            {
                "embeddings": {
                    "values": upstream_vector(item["content"], dimensions),
                    "statistics": {"token_count": token_count(item["content"]), "truncated": False},
                }
            }
            for item in body["instances"]
        ]
    }


CATEGORIES = ("harassment", "harassment/threatening", "self-harm", "self-harm/intent", "violence")


def openai_moderations(body: Json) -> Json:
    """`POST /moderations`: what holds the word `kill` is violent."""
    given = body["input"]
    several = isinstance(given, list) and isinstance(given[0], str)
    results = []
    for item in given if several else [given]:
        violent = "kill" in repr(item)
        results.append(
            {
                "flagged": violent,
                "categories": {name: violent and name == "violence" for name in CATEGORIES},
                "category_scores": {
                    name: 0.9 if violent and name == "violence" else 0.01 for name in CATEGORIES
                },
                "category_applied_input_types": {name: ["text"] for name in CATEGORIES},
            }
        )
    model = body.get("model", "omni-moderation-2026-01-01")
    return {"id": "modr-upstream0001", "model": model, "results": results}
