"""The models of a first local start: they need no provider and no secret."""

from collections.abc import Sequence

from shared import Json

_OPERATIONS = ("ChatCompletion", "Responses")


def demo_models() -> Sequence[Json]:
    """Catalog documents: models for every operation, with costs that make accounting visible, and a group."""
    return (
        _model("demo-chat", "Demo chat", context=128_000, costs={"input": 0.0025, "output": 0.01}),
        {
            **_model(
                "demo-chat-mini",
                "Demo chat, small",
                context=4_096,
                costs={"input": 0.00015, "output": 0.0006},
            ),
            "context_window_fallbacks": ["demo-chat"],
        },
        _of(
            "demo-embedding",
            "Demo embeddings",
            "embeddings",
            costs={"input": 0.00002, "output": 0.0},
            capabilities={"max_input_tokens": 8_192},
        ),
        _of(
            "demo-moderation",
            "Demo moderation",
            "moderations",
            costs={"input": 0.00001, "output": 0.0},
            default=True,
        ),
        _of("demo-image", "Demo images", "images", costs={"per_image": 0.01}, default=True),
        _of("demo-speech", "Demo speech", "audio_tts", costs={"per_1M_characters": 15.0}),
        _of("demo-transcription", "Demo transcription", "audio_stt", costs={"per_minute": 0.006}),
        _of("demo-realtime", "Demo realtime", "audio_realtime", costs={"input": 0.0025, "output": 0.01}),
        {
            "kind": "group",
            "id": "demo",
            "name": "Demo group",
            "members": [{"id": "demo-chat"}, {"id": "demo-chat-mini"}],
            "strategy": "round-robin",
        },
    )


def _model(id: str, name: str, context: int, costs: Json) -> Json:
    return {
        "id": id,
        "name": name,
        "code": id,
        "provider": "Demo",
        "model_type": "Demo",
        "operations": list(_OPERATIONS),
        "costs": costs,
        "capabilities": {
            "vision": True,
            "function_calling": True,
            "json_schema": True,
            "reasoning": False,
            "streaming": True,
            "max_input_tokens": context,
            "max_output_tokens": 4_096,
        },
        "metadata": {"demo": True},
    }


def _of(
    id: str,
    name: str,
    operation: str,
    costs: Json,
    capabilities: Json | None = None,
    default: bool = False,
) -> Json:
    """A model for one operation; as the `default` it also serves requests that name no model."""
    return {
        "id": id,
        "name": name,
        "code": id,
        "provider": "Demo",
        "model_type": "Demo",
        "operations": [operation],
        "default_for": [operation] if default else [],
        "costs": costs,
        "capabilities": capabilities or {},
        "metadata": {"demo": True},
    }
