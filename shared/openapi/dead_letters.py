"""Dead letters: events of the jobs' hubs that are no job."""

from shared import Json
from shared.jobs.messages import Reason
from shared.openapi.endpoint import JSON, Answer, Endpoint, Example, in_path, in_query
from shared.openapi.manage import TAG
from shared.openapi.schema import anything, choice, constant, nullable, page_of, record, ref, text, whole

_ID = in_path("id", "Id of the dead letter.")

SCHEMAS: Json = {
    "DeadLetter": record(
        {
            "object": constant("dead_letter"),
            "id": text(),
            "status": choice("dead", "put_back", description="`put_back` until it comes here again."),
            "reason": choice(*Reason),
            "detail": text("What is wrong with it, for people."),
            "hub": text(),
            "partition": text(),
            "sequence": nullable(whole("The event's number in its partition.")),
            "enqueued_at": text("When the hub took it.", format="date-time"),
            "buried_at": text(format="date-time"),
            "put_back_at": nullable(text("When it was put back last.", format="date-time")),
            "properties": anything("The event's application properties."),
            "body_bytes": whole(),
            "body": nullable(text("The event's body, if it is text. In a list there is none.")),
            "body_base64": text("The event's body, if it is no text."),
        },
        ("object", "id", "status", "reason", "hub"),
    ),
    "DeadLetters": page_of("DeadLetter"),
}

ENDPOINTS = (
    Endpoint(
        function="manage_dead_letters",
        method="GET",
        path="/manage/dead-letters",
        id="listDeadLetters",
        tag=TAG,
        summary="List dead letters, newest first",
        text="Events of the jobs' hubs that are no job and no cancellation of one. They are kept for 30 days.",
        parameters=(
            in_query("limit", "How many: 100 if absent.", whole(minimum=1, maximum=1000)),
            in_query("after", "Go on after this: `last_id` of the page before."),
        ),
        examples=(Example("page", "The last ones", query={"limit": "20"}),),
        answers=(Answer("A page of dead letters, without their bodies.", {JSON: ref("DeadLetters")}),),
        errors=(400, 503),
    ),
    Endpoint(
        function="manage_dead_letters",
        method="GET",
        path="/manage/dead-letters/{id}",
        id="getDeadLetter",
        tag=TAG,
        summary="Show a dead letter with its body",
        parameters=(_ID,),
        answers=(Answer("The dead letter.", {JSON: ref("DeadLetter")}),),
        errors=(404, 503),
    ),
    Endpoint(
        function="manage_dead_letters",
        method="POST",
        path="/manage/dead-letters/{id}/retry",
        id="retryDeadLetter",
        tag=TAG,
        summary="Put a dead letter back into its hub",
        text=(
            "The event is published once more, as it was. What was put back is refused with 409, until it has "
            "become a dead letter again."
        ),
        parameters=(_ID,),
        answers=(Answer("The dead letter.", {JSON: ref("DeadLetter")}),),
        errors=(404, 409, 413, 503),
    ),
)
