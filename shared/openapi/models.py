"""Models as a caller sees them: listed and searched."""

from shared import Json
from shared.catalog.documents import Capabilities
from shared.openapi.endpoint import JSON, Answer, Endpoint, Example, in_path, in_query
from shared.openapi.schema import choice, constant, flag, listed, nullable, number, record, ref, text, whole

TAG = "Models"

SCHEMAS: Json = {
    "Capabilities": Capabilities.model_json_schema(),
    "Prices": record(
        {
            "cost_input_1Mtokens": number("USD per million tokens of input."),
            "cost_output_1Mtokens": number("USD per million tokens of output."),
            "cached_input": number("USD per million tokens of input that the provider had cached."),
            "per_image": number("USD per image."),
            "per_minute": number("USD per minute of audio."),
            "per_1M_characters": number("USD per million characters of text to speak."),
        }
    ),
    "Model": record(
        {
            "id": text("What a request writes in `model`."),
            "object": constant("model"),
            "created": whole("Seconds since 1970; 0 where nobody said."),
            "owned_by": text(),
            "name": text(),
            "code": nullable(text("The provider's own name of it; null for a group.")),
            "provider": nullable(text()),
            "model_type": nullable(text()),
            "operations": listed(text(), "What it may be asked for."),
            "costs": nullable(ref("Prices")),
            "capabilities": ref("Capabilities"),
            "enabled": flag(),
            "kind": constant("group", "Of a group alone."),
            "members": listed(text(), "Of a group: the members that the caller may use."),
        },
        ("id", "object", "created", "owned_by", "name", "operations", "costs", "capabilities", "enabled"),
        "OpenAI's fields first, ours after them.",
    ),
    "ModelList": record(
        {"object": constant("list"), "data": listed(ref("Model"))}, ("object", "data"), "Models and groups."
    ),
}

_BOOLEAN = choice("true", "false")
_FILTERS = (
    in_query("supports_vision", "Takes images.", _BOOLEAN),
    in_query("supports_chat", "Serves chat completions.", _BOOLEAN),
    in_query("supports_completion", "Serves text completions.", _BOOLEAN),
    in_query("supports_function_calling", "Calls tools.", _BOOLEAN),
    in_query("min_context", "Takes at least so many tokens of input.", whole(minimum=0)),
    in_query("max_cost", "Costs at most so many USD per million tokens of input.", number(minimum=0)),
    in_query("provider", "The provider's name, without regard to case."),
    in_query("q", "A part of id, name or code, without regard to case."),
)
_SEARCH_TEXT = (
    "All filters must hold. Sorted by price of input, then of output, then id; those without a price last. "
    "What does not say how much it takes or costs is not found by that."
)
_FOUND = (Answer("What was found.", {JSON: ref("ModelList")}),)

ENDPOINTS = (
    Endpoint(
        function="models",
        method="GET",
        path="/v1/models",
        id="listModels",
        tag=TAG,
        summary="List what the caller may use",
        parameters=(
            in_query("provider", "Only models of this provider."),
            in_query("operation", "Only models that do this operation."),
            in_query("model_type", "Only models of this type."),
            in_query("project_id", "For administrators: what another project may use."),
            in_query("include_private", "For administrators: private models too.", _BOOLEAN),
        ),
        examples=(
            Example("all", "Everything"),
            Example("embeddings", "Models for embeddings", query={"operation": "embeddings"}),
        ),
        answers=(Answer("The models and groups, by id.", {JSON: ref("ModelList")}),),
        errors=(400, 503),
    ),
    Endpoint(
        function="models",
        method="GET",
        path="/v1/models/{model}",
        id="getModel",
        tag=TAG,
        summary="Show one model",
        text="The id may hold slashes, as they are or percent-encoded.",
        parameters=(in_path("model", "Id of a model or group."),),
        examples=(Example("one", "A demo model", path={"model": "demo-chat"}),),
        answers=(Answer("The model or group.", {JSON: ref("Model")}),),
        errors=(400, 404, 503),
    ),
    Endpoint(
        function="model_search",
        method="GET",
        path="/api/models/search",
        id="searchModels",
        tag=TAG,
        summary="Find models by what they can do and cost",
        text=_SEARCH_TEXT,
        parameters=_FILTERS,
        examples=(
            Example("vision", "Models that see", query={"supports_vision": "true", "min_context": "100000"}),
            Example("cheap", "Cheap models", query={"max_cost": "1", "supports_chat": "true"}),
        ),
        answers=_FOUND,
        errors=(400, 503),
    ),
    Endpoint(
        function="model_search",
        method="GET",
        path="/api/models",
        id="searchAllModels",
        tag=TAG,
        summary="The same under a shorter address",
        text=_SEARCH_TEXT,
        parameters=_FILTERS,
        examples=(Example("all", "Everything, cheapest first"),),
        answers=_FOUND,
        errors=(400, 503),
    ),
)
