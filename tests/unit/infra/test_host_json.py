"""host.json, value by value: what the app relies on, and why."""

import json
from typing import Any

import pytest

from tests.unit.infra.templates import ROOT

EXPECTED: list[tuple[str, Any, str]] = [
    ("version", "2.0", "the schema of every host since 2"),
    (
        "functionTimeout",
        "01:10:00",
        "a job takes an hour; an invocation of ours ends within 65 minutes by itself",
    ),
    (
        "extensionBundle.id",
        "Microsoft.Azure.Functions.ExtensionBundle",
        "the triggers of Event Hubs come with it",
    ),
    ("extensionBundle.version", "[4.*, 5.0.0)", "Event Hubs with identities; the next major may differ"),
    ("extensions.http.routePrefix", "", "clients call /v1, not /api/v1"),
    ("extensions.eventHubs.maxEventBatchSize", 8, "a batch is done when its slowest job is: keep it small"),
    (
        "extensions.eventHubs.targetUnprocessedEventThreshold",
        8,
        "scale out at one batch behind, not at a hundred",
    ),
    ("extensions.eventHubs.batchCheckpointFrequency", 1, "a reader that dies repeats one batch, not many"),
    ("logging.logLevel.default", "Warning", "the host's own chatter costs money"),
    ("logging.logLevel.Function", "Information", "the app's lines are at this level"),
    (
        "logging.logLevel.Host\\.Aggregator",
        "Warning",
        "sums of invocations, which the app's lines tell better",
    ),
    ("logging.logLevel.Host\\.Results", "Error", "one request each, which the app's line tells already"),
    ("logging.applicationInsights.samplingSettings.isEnabled", True, "a flood of lines is thinned out"),
    (
        "logging.applicationInsights.samplingSettings.maxTelemetryItemsPerSecond",
        20,
        "lines per second and host",
    ),
    ("logging.applicationInsights.samplingSettings.excludedTypes", "Exception", "no failure is thinned out"),
]


def flat(value: Any, prefix: str = "") -> dict[str, Any]:
    """Every leaf by its path; dots within a name are escaped."""
    if not isinstance(value, dict):
        return {prefix: value}
    found: dict[str, Any] = {}
    for name, inner in value.items():
        escaped = name.replace(".", "\\.")
        found |= flat(inner, f"{prefix}.{escaped}" if prefix else escaped)
    return found


def host() -> dict[str, Any]:
    return flat(json.loads((ROOT / "host.json").read_text(encoding="utf-8")))


@pytest.mark.parametrize(("path", "value", "why"), EXPECTED, ids=[path for path, _, _ in EXPECTED])
def test_the_host_is_told(path: str, value: Any, why: str) -> None:
    assert host().get(path) == value, why


def test_nothing_is_in_the_file_that_is_not_explained_here() -> None:
    assert set(host()) == {path for path, _, _ in EXPECTED}
