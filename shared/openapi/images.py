"""Images: made, edited, varied."""

from shared import Json
from shared.inference.operations import IMAGE_EDITS, IMAGE_GENERATIONS, IMAGE_VARIATIONS
from shared.openapi.chat import MODEL, STEERING
from shared.openapi.endpoint import EVENTS, FORM, JSON, Answer, Endpoint, Example, inference
from shared.openapi.schema import any_of, choice, file, flag, listed, nullable, record, ref, text, whole

TAG = "Images"

_OUTPUT: Json = {
    "n": nullable(whole("How many, 1 to 10.", minimum=1)),
    "size": nullable(text("`1024x1024`, `auto`, …")),
    "response_format": nullable(choice("url", "b64_json", description="For models that can do either.")),
    "user": text("Who this is for; kept in the records of usage."),
}
_FINE: Json = {
    "quality": nullable(text("`low`, `medium`, `high`, `hd`, …")),
    "background": nullable(text("`transparent`, `opaque` or `auto`.")),
    "output_format": nullable(text("`png`, `jpeg` or `webp`.")),
    "output_compression": nullable(whole("Per cent.", minimum=0, maximum=100)),
    "stream": nullable(flag("Answer in server-sent events.")),
    "partial_images": nullable(whole("Unfinished images to send before the last.", minimum=0, maximum=3)),
}
_PROMPT = text("What is wanted: at most 32,000 characters where OpenAI's limits hold.", minLength=1)


def _as_fields(properties: Json) -> Json:
    """The same as fields of a form, where numbers and truth come as text."""
    texts = {"integer", "boolean", "number"}
    return {
        name: {**schema, "type": ["string", *schema["type"]]}
        if isinstance(schema.get("type"), list) and texts & set(schema["type"])
        else schema
        for name, schema in properties.items()
    }


SCHEMAS: Json = {
    "ImageRequest": record(
        {
            "model": nullable(MODEL),
            "prompt": _PROMPT,
            "style": nullable(text("`vivid` or `natural`.")),
            "moderation": nullable(text("`low` or `auto`.")),
            **_OUTPUT,
            **_FINE,
            **STEERING,
        },
        ("prompt",),
    ),
    "ImageEditForm": record(
        {
            "model": MODEL,
            "prompt": _PROMPT,
            "image": file("The image; several as `image[]`."),
            "image[]": listed(file(), "Several images."),
            "mask": file("Where its first image may change: a PNG that is transparent there."),
            "input_fidelity": text("`high` or `low`."),
            **_as_fields({**_OUTPUT, **_FINE, **STEERING}),
        },
        ("prompt",),
    ),
    "ImageEditRequest": record(
        {
            "model": nullable(MODEL),
            "prompt": _PROMPT,
            "images": listed(ref("ImageReference"), minItems=1),
            "mask": nullable(ref("ImageReference")),
            "input_fidelity": nullable(text("`high` or `low`.")),
            **_OUTPUT,
            **_FINE,
            **STEERING,
        },
        ("prompt", "images"),
    ),
    "ImageReference": record({"image_url": text("https: or data:")}, ("image_url",)),
    "ImageVariationForm": record(
        {"model": MODEL, "image": file("A square PNG."), **_as_fields({**_OUTPUT, **STEERING})}, ("image",)
    ),
    "Images": record(
        {
            "created": whole("Seconds since 1970."),
            "data": listed(
                record({"url": text(), "b64_json": text("base64"), "revised_prompt": nullable(text())})
            ),
            "size": text(),
            "quality": text(),
            "output_format": text(),
            "background": text(),
            "usage": nullable(
                record({"input_tokens": whole(), "output_tokens": whole(), "total_tokens": whole()})
            ),
        },
        ("created", "data"),
    ),
    "ImageEvent": record(
        {
            "type": text("`image_generation.partial_image`, `….completed`, `image_edit.…`"),
            "b64_json": text("base64"),
            "partial_image_index": whole(),
            "usage": any_of(record({}), {"type": "null"}),
        },
        ("type",),
    ),
}

_PLAIN = Answer("The images.", {JSON: ref("Images")})
_EITHER = Answer("The images.", {JSON: ref("Images"), EVENTS: ref("ImageEvent")})
_BREAD: Json = {"model": "demo-image", "prompt": "A loaf of bread", "size": "256x256"}

ENDPOINTS: tuple[Endpoint, ...] = (
    inference(
        IMAGE_GENERATIONS,
        function="image_generations",
        id="createImage",
        tag=TAG,
        summary="Make images",
        text="Without `model`, the model answers that is `default_for` images. The answer's bytes are relayed.",
        request=ref("ImageRequest"),
        examples=(
            Example("plain", "One image", _BREAD),
            Example(
                "streamed",
                "With an unfinished one before it",
                {**_BREAD, "stream": True, "partial_images": 1},
            ),
        ),
        answers=(_EITHER,),
    ),
    inference(
        IMAGE_EDITS,
        function="image_edits",
        id="createImageEdit",
        tag=TAG,
        summary="Change images",
        text="A form with the images, or JSON with their addresses.",
        request={FORM: ref("ImageEditForm"), JSON: ref("ImageEditRequest")},
        examples=(
            Example("form", "An image that is sent", _BREAD, files={"image": "png"}),
            Example(
                "address",
                "An image by its address",
                {**_BREAD, "images": [{"image_url": "https://example.com/bread.png"}]},
            ),
        ),
        answers=(_EITHER,),
    ),
    inference(
        IMAGE_VARIATIONS,
        function="image_variations",
        id="createImageVariation",
        tag=TAG,
        summary="Vary an image",
        request=ref("ImageVariationForm"),
        examples=(
            Example(
                "form",
                "Two variations",
                {"model": "demo-image", "n": "2", "size": "256x256"},
                files={"image": "png"},
            ),
        ),
        answers=(_PLAIN,),
    ),
)
