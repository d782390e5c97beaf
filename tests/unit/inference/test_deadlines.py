"""How long a call may take: in a job what the job has left stands in for what the settings say."""

from typing import Any

import pytest

from shared.catalog.documents import Model
from shared.inference.deadlines import Deadlines, allowed
from shared.inference.request import NO_STEERING, Steering
from shared.settings import Settings

SETTINGS = Settings(
    mode="local", call_timeout=20.0, stream_timeout=30.0, first_token_timeout=5.0, idle_timeout=5.0
)


def model(**parameters: Any) -> Model:
    document = {
        "id": "m",
        "code": "m",
        "provider": "OpenAICompatible",
        "model_type": "OpenAICompatible",
        "operations": ["ChatCompletion"],
        "parameters": {"endpoint": "https://models.example/v1", **parameters},
    }
    return Model.model_validate(document)


@pytest.mark.parametrize(
    ("parameters", "steering", "expected"),
    [
        ({}, NO_STEERING, Deadlines(10.0, 300.0, 300.0, 300.0)),
        ({"timeout": 15, "stream_timeout": 15}, NO_STEERING, Deadlines(10.0, 300.0, 300.0, 300.0)),
        ({"first_token_timeout": 7}, NO_STEERING, Deadlines(10.0, 7.0, 300.0, 300.0)),
        ({"idle_timeout": 8}, NO_STEERING, Deadlines(10.0, 300.0, 8.0, 300.0)),
        ({}, Steering(timeout=40.0), Deadlines(10.0, 40.0, 40.0, 40.0)),
        ({}, Steering(timeout=400.0), Deadlines(10.0, 300.0, 300.0, 300.0)),
    ],
    ids=["settings", "catalog", "first token", "idle", "tightened", "not widened"],
)
def test_what_a_job_has_left_replaces_all_but_what_the_model_sets_for_tokens(
    parameters: dict[str, Any], steering: Steering, expected: Deadlines
) -> None:
    assert allowed(SETTINGS, model(**parameters), steering, 300.0) == expected
