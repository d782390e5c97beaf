"""Embeddings and moderations."""

from shared import Json
from shared.inference.operations import EMBEDDINGS, MODERATIONS
from shared.openapi.chat import MODEL, STEERING
from shared.openapi.endpoint import JSON, Answer, Endpoint, Example, inference
from shared.openapi.schema import (
    any_of,
    anything,
    choice,
    constant,
    flag,
    listed,
    nullable,
    number,
    record,
    ref,
    text,
    whole,
)

SCHEMAS: Json = {
    "EmbeddingRequest": record(
        {
            "model": MODEL,
            "input": any_of(
                text(minLength=1),
                listed(
                    any_of(text(minLength=1), listed(whole(minimum=0), minItems=1), anything()), minItems=1
                ),
                listed(whole(minimum=0), minItems=1),
                description="A text, several, or tokens; at most 2,048 inputs where OpenAI's limits hold.",
            ),
            "encoding_format": nullable(
                choice("float", "base64", description="base64 is of little-endian 32-bit floats.")
            ),
            "dimensions": nullable(whole("Shorten the vectors to this.", minimum=1)),
            "user": text("Who this is for; kept in the records of usage."),
            **STEERING,
        },
        ("input",),
    ),
    "Embeddings": record(
        {
            "object": constant("list"),
            "data": listed(
                record(
                    {
                        "object": constant("embedding"),
                        "index": whole(),
                        "embedding": any_of(
                            listed(number()), text("base64"), description="As it was asked for."
                        ),
                    },
                    ("object", "index", "embedding"),
                )
            ),
            "model": text(),
            "usage": record({"prompt_tokens": whole(), "total_tokens": whole()}, ("prompt_tokens",)),
        },
        ("object", "data", "model"),
    ),
    "ModerationRequest": record(
        {
            "model": nullable(MODEL),
            "input": any_of(
                text(),
                listed(any_of(text(), ref("ContentPart")), minItems=1),
                description="A text, several, or parts: texts and images.",
            ),
            **STEERING,
        },
        ("input",),
    ),
    "Moderation": record(
        {
            "id": text(),
            "model": text(),
            "results": listed(
                record(
                    {
                        "flagged": flag(),
                        "categories": anything("Whether each category applies."),
                        "category_scores": anything("How much each does: 0 to 1."),
                        "category_applied_input_types": anything(),
                    },
                    ("flagged", "categories", "category_scores"),
                )
            ),
        },
        ("id", "model", "results"),
    ),
}

ENDPOINTS: tuple[Endpoint, ...] = (
    inference(
        EMBEDDINGS,
        function="embeddings",
        id="createEmbeddings",
        tag="Embeddings and moderations",
        summary="Turn texts into vectors",
        text="A provider that knows no base64 is asked for floats, and these are converted.",
        request=ref("EmbeddingRequest"),
        examples=(
            Example("text", "One text", {"model": "demo-embedding", "input": "A text about bread"}),
            Example(
                "several",
                "Several, short, in base64",
                {
                    "model": "demo-embedding",
                    "input": ["bread", "butter"],
                    "dimensions": 64,
                    "encoding_format": "base64",
                },
            ),
        ),
        answers=(Answer("The vectors, in the order of the inputs.", {JSON: ref("Embeddings")}),),
    ),
    inference(
        MODERATIONS,
        function="moderations",
        id="createModeration",
        tag="Embeddings and moderations",
        summary="Say whether texts may do harm",
        text="Without `model`, the model answers that is `default_for` moderations.",
        request=ref("ModerationRequest"),
        examples=(
            Example("default", "One text, by the default model", {"input": "Have a nice day"}),
            Example(
                "model", "Two texts", {"model": "demo-moderation", "input": ["Hello", "You are an idiot"]}
            ),
        ),
        answers=(Answer("What was found in each input.", {JSON: ref("Moderation")}),),
    ),
)
