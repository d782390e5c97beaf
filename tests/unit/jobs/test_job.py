"""A job and its document."""

import dataclasses

import pytest

from shared.jobs.job import Job, JobFailure, JobOptions, Notice, Status, replace

NEW = Job("j", "team", "key", "ChatCompletion", "chat", "print", JobOptions(), 1_000.0)
FULL = Job(
    id="j",
    project="team",
    key_id="key",
    operation="ChatCompletion",
    model=None,
    fingerprint="print",
    options=JobOptions(priority=1, webhook_url="https://a.example", tags=("a", "b"), metadata={"a": "b"}),
    created_at=1_000.0,
    status=Status.FAILED,
    request_parts=2,
    request_kept_until=5.0,
    key_models=("a", "b"),
    user="one",
    public_id="resp",
    wake_at=1.0,
    woken=2,
    published_at=3.0,
    next_attempt_at=4.0,
    retry_count=1,
    lost_leases=1,
    started_at=1_001.0,
    deadline=1_301.0,
    lease_id="lease",
    lease_until=1_061.0,
    processed_by="worker",
    progress=50,
    step="failed",
    completed_at=1_002.0,
    expires_at=9_000.0,
    failure=JobFailure("code", "message", 502, param="model"),
    model_used="chat",
    provider="Demo",
    attempts=2,
    fallback=True,
    usage={"total_tokens": 3},
    cost_usd=0.5,
    charged=True,
    result_lease="lease",
    result_parts=1,
    response=("chat", "resp_1"),
    dropped=("top_k",),
    notices=(Notice("n", "failed", 1_002.0, {"id": "j"}, tries=1, next_at=1_003.0),),
    notified=2,
    settled=True,
    deleted=True,
    revision="mark",
)


@pytest.mark.parametrize("job", [NEW, FULL, replace(FULL, model="chat", key_models=())])
def test_a_job_is_read_back_as_it_was_written(job: Job) -> None:
    assert Job.read(job.document()) == job


def test_the_example_sets_every_field() -> None:
    plain = [item.name for item in dataclasses.fields(Job) if getattr(FULL, item.name) == item.default]
    assert plain == []


def test_a_document_holds_plain_values_and_none_that_go_without_saying() -> None:
    document = NEW.document()
    assert document["options"]["webhook_events"] == ["completed", "failed", "cancelled"]
    assert type(document["status"]) is str
    assert "failure" not in document
    assert "retry_count" not in document


def test_a_changed_job_is_what_dataclasses_would_make_of_it_and_leaves_the_first_as_it_was() -> None:
    changed = replace(FULL, progress=75, failure=None)
    assert changed == dataclasses.replace(FULL, progress=75, failure=None)
    assert FULL.progress == 50
    with pytest.raises(dataclasses.FrozenInstanceError):
        changed.progress = 1  # type: ignore[misc]
