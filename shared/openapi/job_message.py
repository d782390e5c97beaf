"""The JSON Schema of what publishers send to a hub of jobs.

python -m shared.openapi.job_message > docs/job-message.schema.json
"""

import json

from shared import Json
from shared.jobs.ids import JOB_ID
from shared.jobs.messages import CANCEL, INSIDE
from shared.jobs.wakeups import RUN
from shared.openapi.jobs import JOB_FIELDS
from shared.openapi.schema import any_of, constant, listed, record, text

_ID = text(
    "Yours, unique among all jobs; without one, it follows from where the event lies in its hub.",
    pattern=f"^{JOB_ID.pattern}$",
)
_BODY = {"$ref": "#/$defs/body"}


def schema() -> Json:
    """The schema, in the dialect 2020-12. What it takes is a job in the queue, or cancels one; other fields may stand
    beside those that it names, and travel to the provider."""
    message = record({"role": text()}, ("role",))
    body = record(
        {
            "model": text(minLength=1),
            "messages": listed(message, minItems=1, maxItems=2048),
            "stream": {"enum": [False, None]},
            **JOB_FIELDS,
        },
        ("messages",),
        "A chat completion, and what is said of its job.",
    )
    addressed: Json = {
        "project_id": text(
            "The project that the job belongs to, which must exist.", minLength=1, maxLength=128
        ),
        "execution_id": _ID,
        "request_id": {**_ID, "description": "The same as `execution_id`."},
    }
    job: Json = {"properties": {"action": constant(RUN)}}
    at_the_top = {"title": "A job", **job, **_without(*INSIDE), "allOf": [_BODY]}
    inside = [
        {"title": f"A job, its body under `{name}`", "required": [name], **job, **_without(*_others(name))}
        | {"properties": {**job["properties"], name: _BODY}}
        for name in INSIDE
    ]
    cancel = {
        "title": "Cancels a job",
        "properties": {"action": constant(CANCEL)},
        "required": ["action"],
        "anyOf": [{"required": ["execution_id"]}, {"required": ["request_id"]}],
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Message to a hub of jobs",
        **record(addressed, ("project_id",)),
        **any_of(at_the_top, *inside, cancel),
        "$defs": {"body": body},
    }


def _without(*names: str) -> Json:
    return {"not": {"anyOf": [{"required": [name]} for name in names]}}


def _others(name: str) -> list[str]:
    return [other for other in INSIDE if other != name]


def written() -> str:
    """The text of the file."""
    return json.dumps(schema(), indent=2) + "\n"


if __name__ == "__main__":
    print(written(), end="")
