"""Responses: made, read, cancelled, deleted."""

from shared import Json
from shared.inference.operations import RESPONSES, STORED_RESPONSES
from shared.jobs.fields import JOB_FIELDS as JOBS_OWN
from shared.openapi.chat import MODEL, STEERING
from shared.openapi.endpoint import (
    EVENTS,
    INFERENCE_ERRORS,
    JSON,
    Answer,
    Endpoint,
    Example,
    in_path,
    in_query,
    inference,
)
from shared.openapi.jobs import IDEMPOTENCY_KEY, JOB_FIELDS
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

TAG = "Responses"


def _of_a_job(schema: Json) -> Json:
    """A field that means something with `background` alone."""
    text = f"With `background`. {schema.get('description', '')}".strip()
    return {**schema, "description": text}


SCHEMAS: Json = {
    "ResponseRequest": record(
        {
            "model": MODEL,
            "input": any_of(
                text(),
                listed(ref("ResponseItem"), maxItems=2048),
                {"type": "null"},
                description="Text, or items: messages, results of tools, what earlier responses gave.",
            ),
            "instructions": nullable(text("What a developer says before everything else.")),
            "previous_response_id": nullable(
                text("Goes on after this response, which must be the caller's own, on its deployment.")
            ),
            "tools": listed(record({"type": text("`function`, `web_search`, `mcp`, …")}, ("type",))),
            "tool_choice": any_of(text(), anything()),
            "parallel_tool_calls": nullable(flag()),
            "max_tool_calls": nullable(whole(minimum=1)),
            "max_output_tokens": nullable(whole("Most tokens of the answer, reasoning included.", minimum=1)),
            "text": anything("`format`: text, `json_object` or a `json_schema`; `verbosity`."),
            "reasoning": nullable(anything("`effort` and `summary`.")),
            "temperature": nullable(number("0 to 2.")),
            "top_p": nullable(number()),
            "top_logprobs": nullable(whole(minimum=0, maximum=20)),
            "include": nullable(listed(text(), "Further things to show.")),
            "truncation": nullable(choice("auto", "disabled")),
            "store": nullable(
                flag("`false`: the provider keeps nothing, and there is nothing to read later.")
            ),
            "stream": nullable(flag("Answer in typed server-sent events.")),
            "background": nullable(
                flag("Answer at once, and let a job make the response; not with `stream` or `store: false`.")
            ),
            "stream_options": nullable(anything()),
            "metadata": nullable(anything()),
            "service_tier": nullable(text()),
            "prompt_cache_key": text(),
            "safety_identifier": text(),
            "user": text("Who this is for; kept in the records of usage."),
            **STEERING,
            **{name: _of_a_job(schema) for name, schema in JOB_FIELDS.items() if name in JOBS_OWN},
        },
        description="What is not named here travels on to the provider. What would name things stored in the "
        "provider's account (`file_id`, `vector_store_ids`, containers, item references, `prompt`) is refused.",
    ),
    "ResponseItem": record(
        {
            "type": text("`message` if absent."),
            "role": text(),
            "content": any_of(text(), listed(anything())),
            "id": text(),
        },
    ),
    "Response": record(
        {
            "id": text("Signed: it says where the response lies, or which job makes it, and whose it is."),
            "object": constant("response"),
            "created_at": number("Seconds since 1970."),
            "status": text("`completed`, `incomplete`, `failed`, `in_progress`, `cancelled`, `queued`"),
            "background": nullable(flag()),
            "completed_at": nullable(number("Seconds since 1970.")),
            "model": text(),
            "output": listed(
                record({"type": text("`message`, `function_call`, `reasoning`, …"), "id": text()}, ("type",))
            ),
            "error": nullable(anything()),
            "incomplete_details": nullable(anything()),
            "previous_response_id": nullable(text()),
            "usage": nullable(
                record(
                    {"input_tokens": whole(), "output_tokens": whole(), "total_tokens": whole()},
                    ("input_tokens", "output_tokens", "total_tokens"),
                )
            ),
        },
        ("id", "object", "created_at", "status", "model", "output"),
    ),
    "ResponseEvent": record(
        {
            "type": text("`response.created`, `response.output_text.delta`, `response.completed`, …"),
            "sequence_number": whole(),
            "response": ref("Response"),
            "delta": any_of(text(), anything()),
        },
        ("type",),
        "One event; its type is in the `event:` line too. A stream ends with `response.completed`, "
        "`response.incomplete`, `response.failed` or `error`.",
    ),
    "ResponseItems": record(
        {
            "object": constant("list"),
            "data": listed(anything()),
            "first_id": nullable(text()),
            "last_id": nullable(text()),
            "has_more": flag(),
        },
        ("object", "data"),
    ),
    "ResponseDeleted": record(
        {"id": text(), "object": text(), "deleted": {"const": True}}, ("id", "deleted")
    ),
}

_HELLO: Json = {"model": "demo-chat", "input": "Hello"}
_ID = in_path("id", "Id of a response of the caller's own project; any other is 404.")


def _stored(
    method: str,
    below: str,
    id: str,
    summary: str,
    answer: Answer,
    *parameters: Json,
    example: bool = True,
    text: str = "",
    errors: tuple[int, ...] = (),
) -> Endpoint:
    return Endpoint(
        function="responses",
        method=method,
        path="/v1/responses/{id}" + below,
        id=id,
        tag=TAG,
        summary=summary,
        text=text,
        parameters=(_ID, *parameters),
        examples=(Example("stored", "One that was stored"),) if example else (),
        answers=(answer,),
        errors=(400, *errors, *INFERENCE_ERRORS),
        operation=STORED_RESPONSES,
    )


ENDPOINTS: tuple[Endpoint, ...] = (
    inference(
        RESPONSES,
        function="responses",
        id="createResponse",
        tag=TAG,
        summary="Make a response",
        text="JSON, or typed events with `stream: true`. Models that only chat are asked in their own way. With "
        "`background: true` a job makes it: the answer is the response `queued`; read it until it has ended. The "
        "fields of a job and an `Idempotency-Key` mean what they mean there.",
        parameters=(IDEMPOTENCY_KEY,),
        errors=(409,),
        request=ref("ResponseRequest"),
        examples=(
            Example("plain", "A question", _HELLO),
            Example("streamed", "The same in events", {**_HELLO, "stream": True}),
            Example("background", "In the background", {**_HELLO, "background": True, "priority": "low"}),
            Example(
                "items",
                "A conversation",
                {
                    "model": "demo-chat",
                    "instructions": "Answer in one sentence.",
                    "input": [
                        {"role": "user", "content": [{"type": "input_text", "text": "What is bread?"}]}
                    ],
                },
            ),
        ),
        answers=(Answer("The response.", {JSON: ref("Response"), EVENTS: ref("ResponseEvent")}),),
    ),
    _stored(
        "GET",
        "",
        "getResponse",
        "Read a stored response",
        Answer("The response.", {JSON: ref("Response"), EVENTS: ref("ResponseEvent")}),
        in_query("include[]", "Further things to show."),
        in_query("stream", "Its events, where the provider keeps them.", choice("true", "false")),
        in_query("starting_after", "Events after this number.", whole()),
    ),
    _stored(
        "DELETE",
        "",
        "deleteResponse",
        "Delete a stored response",
        Answer("It is gone.", {JSON: ref("ResponseDeleted")}),
        text="One in the background must have ended: 409 before that.",
        errors=(409,),
    ),
    _stored(
        "POST",
        "/cancel",
        "cancelResponse",
        "Stop a response in the background",
        Answer("The response.", {JSON: ref("Response")}),
        example=False,
        text="One that has ended stays as it is.",
        errors=(409,),
    ),
    _stored(
        "GET",
        "/input_items",
        "listResponseInputItems",
        "List what a response was made of",
        Answer("A page of items.", {JSON: ref("ResponseItems")}),
        in_query("limit", "How many.", whole(minimum=1, maximum=100)),
        in_query("order", "", choice("asc", "desc")),
        in_query("after", "Go on after this item."),
        in_query("include[]", "Further things to show."),
    ),
)
