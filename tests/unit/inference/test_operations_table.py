"""The table of operations says what the lanes can do."""

import pytest

from shared.catalog.model_types import MODEL_TYPES, OPERATIONS
from shared.devhost.demo_models import demo_models
from shared.inference.operations_table import operations_table, way


@pytest.mark.parametrize(
    ("model_type", "operation", "expected"),
    [
        ("OpenAINative", "ChatCompletion", "native"),
        ("AzureOpenAI", "moderations", ""),
        ("AnthropicNative", "Responses", "LiteLLM"),
        ("AnthropicNative", "embeddings", ""),
        ("LiteLLM", "embeddings", "LiteLLM"),
        ("LiteLLM", "audio_realtime", ""),
        ("Demo", "audio_realtime", "demo"),
    ],
)
def test_a_model_type_is_asked_in_its_own_way(model_type: str, operation: str, expected: str) -> None:
    assert way(MODEL_TYPES[model_type], operation) == expected


def test_every_model_type_and_every_operation_is_in_the_table() -> None:
    table = operations_table()
    head, _, *rows = table.splitlines()
    assert [name for name in OPERATIONS if f"`{name}`" not in head] == []
    assert table.count("`Google") + table.count("`…") == sum(
        name.startswith("Google") for name in MODEL_TYPES
    )
    assert len({line.count("|") for line in table.splitlines()}) == 1
    assert len(rows) >= 8


def test_a_demo_model_of_the_first_start_does_what_the_table_says() -> None:
    served = {operation for model in demo_models() for operation in model.get("operations", ())}
    shown = {operation for operation in OPERATIONS if way(MODEL_TYPES["Demo"], operation)}
    assert served == shown
