"""Asynchronous jobs: chat completions that are submitted, polled and cancelled."""

from shared import Json
from shared.jobs.fields import MAX_LABEL, MAX_PAIRS, MAX_TAG, MAX_TAGS, PRIORITIES
from shared.jobs.job import Status
from shared.jobs.notices import EVENTS as NOTICES
from shared.openapi import chat
from shared.openapi.endpoint import JSON, Answer, Endpoint, Example, in_header, in_path, in_query
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

TAG = "Jobs"

_ASKED: Json = chat.SCHEMAS["ChatCompletionRequest"]["properties"]
_STATUS = choice(*Status)
_MOMENT = nullable(text("UTC.", format="date-time"))
_METADATA = f"At most {MAX_PAIRS} pairs of text. Kept with the job; travels on where `store` is true."
JOB_FIELDS: Json = {
    "priority": any_of(
        whole(minimum=1, maximum=10),
        choice(*PRIORITIES),
        {"type": "null"},
        description="1 comes first; 5 if absent. "
        + ", ".join(f"`{word}` means {number}" for word, number in PRIORITIES.items())
        + ".",
    ),
    "timeout_seconds": nullable(
        number(
            "From when a worker first takes it, all tries together; 300 if absent.", minimum=30, maximum=3600
        )
    ),
    "ttl_hours": nullable(
        number("How long it can be read after its end; 24 if absent.", minimum=1, maximum=168)
    ),
    "webhook_url": nullable(text("Where webhooks about it are sent.", format="uri")),
    "callback_url": nullable(text("Another name of `webhook_url`.", format="uri")),
    "webhook_events": nullable(
        listed(choice(*NOTICES), "What to tell of; `completed`, `failed` and `cancelled` if absent.")
    ),
    "async_max_retries": nullable(
        whole("Tries after the first, of what may help to try again; 3 if absent.", minimum=0, maximum=5)
    ),
    "async_retry_delay": nullable(
        number("Seconds before the first of them, which grow; 1 if absent.", minimum=0.1, maximum=60)
    ),
    "client_id": nullable(text("Yours, shown with the job.", maxLength=MAX_LABEL)),
    "session_id": nullable(text("Yours, shown with the job.", maxLength=MAX_LABEL)),
    "tags": nullable(listed(text(minLength=1, maxLength=MAX_TAG), maxItems=MAX_TAGS)),
    "metadata": nullable(record({}, description=_METADATA, maxProperties=MAX_PAIRS)),
}
_SHOWN: Json = {
    "id": text(),
    "object": constant("job"),
    "execution_id": text("The same as `id`."),
    "request_id": text("The same as `id`."),
    "status": _STATUS,
    "model": nullable(text("As it was asked for.")),
    "model_used": nullable(text("Id of the model that answered.")),
    "priority": whole(minimum=1, maximum=10),
    "created_at": text("UTC.", format="date-time"),
    "submitted_at": text("The same as `created_at`.", format="date-time"),
    "started_at": _MOMENT,
    "completed_at": _MOMENT,
    "expires_at": nullable(text("When it is deleted: `ttl_hours` after its end.", format="date-time")),
    "next_attempt_at": nullable(text("Of a job that waits for its next try.", format="date-time")),
    "processing_time_seconds": nullable(number("From its start to its end.")),
    "progress_percentage": whole(minimum=0, maximum=100),
    "current_step": text(),
    "retry_count": whole(minimum=0),
    "processed_by": nullable(text("The worker that has or had it.")),
    "usage": nullable(anything("Tokens, as far as they are known.")),
    "cost_usd": nullable(number()),
    "error": nullable(
        record(
            {"code": nullable(text()), "message": text(), "status": whole()}, ("code", "message", "status")
        )
    ),
    "timeout_seconds": number(),
    "ttl_hours": number(),
    "client_id": nullable(text()),
    "session_id": nullable(text()),
    "tags": listed(text()),
    "metadata": anything(),
    "status_endpoint": text("A path."),
    "result_endpoint": text("A path."),
}

SCHEMAS: Json = {
    "JobRequest": record(
        {
            **{name: schema for name, schema in _ASKED.items() if not name.startswith("stream")},
            **JOB_FIELDS,
        },
        ("messages",),
        "A chat completion, which cannot be streamed, and what is said of its job. At most 1.5 MB.",
    ),
    "JobSubmitted": record(
        {
            "id": text(),
            "object": constant("job"),
            "execution_id": text("The same as `id`."),
            "request_id": text("The same as `id`."),
            "status": _STATUS,
            "priority": whole(minimum=1, maximum=10),
            "message": text(),
            "created_at": text("UTC.", format="date-time"),
            "submitted_at": text("The same as `created_at`.", format="date-time"),
            "estimated_completion_time": nullable(
                text("From measured averages; null while there are none.", format="date-time")
            ),
            "status_endpoint": text("A path."),
            "result_endpoint": text("A path."),
        },
        (
            "execution_id",
            "request_id",
            "status",
            "priority",
            "message",
            "created_at",
            "submitted_at",
            "estimated_completion_time",
            "status_endpoint",
            "result_endpoint",
        ),
    ),
    "JobStatus": record(_SHOWN, tuple(_SHOWN), "A job without its messages and its result."),
    "Job": record(
        {
            **_SHOWN,
            "messages": nullable(listed(ref("Message"))),
            "request": anything("The other fields of the request, without the job's own."),
            "result": any_of(ref("ChatCompletion"), {"type": "null"}),
        },
        (*_SHOWN, "messages", "request", "result"),
    ),
    "JobPage": record(
        {
            "object": constant("list"),
            "data": listed(ref("JobStatus")),
            "last_id": nullable(text("What `after` takes to go on.")),
            "has_more": flag(),
        },
        ("object", "data", "has_more", "last_id"),
    ),
    "JobMetrics": record(
        {
            **{f"{name}_jobs": whole(minimum=0) for name in ("total", *Status)},
            "average_queue_time_seconds": nullable(number()),
            "average_processing_time_seconds": nullable(number()),
            "as_of": text("What they take in.", format="date-time"),
        },
        ("total_jobs", *(f"{status}_jobs" for status in Status)),
        "At most a minute old.",
    ),
}

_HELLO: Json = {"model": "demo-chat", "messages": [{"role": "user", "content": "Hello"}]}
_ID = in_path("id", "Id of a job of the caller's own project; any other is 404.")
_PROJECT = in_query("project_id", "For administrators: another project's.")
IDEMPOTENCY_KEY = in_header(
    "Idempotency-Key",
    "1 to 255 visible characters. The same key with the same body gives the same job, for 24 hours at least; with "
    "another body it is 409.",
)
_RECORDED = (400, 404, 409, 429, 502, 503, 504)


def _jobs(function: str, base: str, name: str, text: str) -> tuple[Endpoint, ...]:
    """The addresses of the jobs below `base`; `name` makes their ids."""

    def endpoint(
        method: str,
        below: str,
        id: str,
        summary: str,
        *answers: Answer,
        examples: bool = True,
        **more: object,
    ) -> Endpoint:
        more.setdefault("errors", (400, 404))
        return Endpoint(
            function=function,
            method=method,
            path=base + below,
            id=id,
            tag=TAG,
            summary=summary,
            parameters=more.pop("parameters", (_ID, _PROJECT)),  # type: ignore[arg-type]
            examples=more.pop("given", (Example("one", "One job"),) if examples else ()),  # type: ignore[arg-type]
            answers=answers,
            **more,  # type: ignore[arg-type]
        )

    cancelled = Answer("The job, which is `cancelled`.", {JSON: ref("JobStatus")})
    return (
        endpoint(
            "POST",
            "",
            f"create{name}",
            "Submit a chat completion as a job",
            Answer(
                "It is in the queue.",
                {JSON: ref("JobSubmitted")},
                status=202,
                headers={"location": "Path of the job."},
            ),
            text=text,
            parameters=(IDEMPOTENCY_KEY,),
            request={JSON: ref("JobRequest")},
            given=(
                Example("plain", "A question", _HELLO),
                Example(
                    "urgent",
                    "Before others, within two minutes",
                    {**_HELLO, "priority": "high", "timeout_seconds": 120, "tags": ["nightly"]},
                ),
            ),
            errors=(404, 409, 503),
        ),
        endpoint(
            "GET",
            "",
            f"list{name}s",
            "List jobs, the newest first",
            Answer("A page of jobs.", {JSON: ref("JobPage")}),
            parameters=(
                in_query("status", "Only of this status.", _STATUS),
                in_query("limit", "How many: 20 if absent.", whole(minimum=1, maximum=100)),
                in_query("after", "Go on after this: `last_id` of the page before."),
                _PROJECT,
            ),
            given=(Example("queued", "What waits", query={"status": "queued", "limit": "50"}),),
            errors=(400,),
        ),
        endpoint("GET", "/{id}", f"get{name}", "Show a job", Answer("The whole job.", {JSON: ref("Job")})),
        endpoint(
            "GET",
            "/{id}/status",
            f"get{name}Status",
            "How far a job is",
            Answer("The job without messages and result.", {JSON: ref("JobStatus")}),
        ),
        endpoint(
            "GET",
            "/{id}/result",
            f"get{name}Result",
            "The completion that a job ended with",
            Answer("The completion.", {JSON: ref("ChatCompletion")}, routed=True),
            Answer(
                "It is not there yet.",
                {JSON: ref("JobStatus")},
                status=202,
                headers={"retry-after": "Seconds after which to ask again."},
            ),
            text="A failed job answers with the error that it ended with, and `x-should-retry: false`; a cancelled "
            "one with 409.",
            errors=_RECORDED,
        ),
        endpoint(
            "DELETE",
            "/{id}",
            f"delete{name}",
            "Cancel a job",
            cancelled,
            text="409 once it has ended.",
            examples=False,
            errors=(400, 404, 409),
        ),
        endpoint(
            "POST",
            "/{id}/cancel",
            f"cancel{name}",
            "Cancel a job",
            cancelled,
            examples=False,
            errors=(400, 404, 409),
        ),
    )


ENDPOINTS: tuple[Endpoint, ...] = (
    *_jobs(
        "async_chat",
        "/v1/async/chat/completions",
        "Job",
        "Answered at once; a worker makes the call. Poll for the result, or name a `webhook_url`. A job ends in "
        "exactly one of `completed`, `failed` and `cancelled`.",
    ),
    *_jobs(
        "chat_completions_async",
        "/v1/chat/completions/async",
        "ChatJob",
        "The same as `/v1/async/chat/completions`.",
    ),
    Endpoint(
        function="async_chat",
        method="GET",
        path="/v1/async/metrics",
        id="getJobMetrics",
        tag=TAG,
        summary="How many jobs there are, and how long they take",
        text="Of the caller's project; for administrators of all projects, or of one.",
        parameters=(in_query("project_id", "For administrators: only of this project."),),
        examples=(Example("all", "All that the caller may know of"),),
        answers=(Answer("The figures.", {JSON: ref("JobMetrics")}),),
        errors=(404, 503),
    ),
)
