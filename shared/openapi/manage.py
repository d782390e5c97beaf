"""What administrators manage: models, keys, projects; and what they read of usage."""

from collections.abc import Sequence

from shared import Json
from shared.access.key_fields import KeyFields, Rotation
from shared.access.projects import ProjectFields
from shared.catalog.costs import NAMES as COST_NAMES
from shared.catalog.documents import Limits
from shared.catalog.model_types import MODEL_TYPES, OPERATIONS, PROVIDERS
from shared.catalog.parameters import Parameters
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
    page_of,
    record,
    ref,
    text,
    whole,
)
from shared.usage.report import GROUPS

TAG = "Administration"

_IDS = listed(text())
_STAMPS: Json = {"created_at": text(format="date-time"), "updated_at": text(format="date-time")}
_WARNINGS: Json = {"warnings": listed(text(), "What is kept and not enforced, or odd.")}
_ID = text("What a client writes in `model`.", minLength=1, maxLength=256)
_MODEL: Json = {
    "id": _ID,
    "kind": constant("model"),
    "name": nullable(text("What people call it.")),
    "code": text("The provider's own model or deployment code.", minLength=1, maxLength=256),
    "provider": choice(*PROVIDERS),
    "model_type": choice(*MODEL_TYPES),
    "operations": listed(choice(*OPERATIONS)),
    "parameters": ref("ModelParameters"),
    "costs": nullable(
        record(
            {name: number(minimum=0) for name in sorted(COST_NAMES)},
            description="USD: `input` and `output` per 1,000 tokens, or one of the other pairs.",
        )
    ),
    "projects": _IDS,
    "private": flag("Serves the listed projects, and no one else learns of it."),
    "enabled": flag("`false` takes it away as if it were not there."),
    "default_for": listed(choice(*OPERATIONS), "Operations for which it answers requests without `model`."),
    "capabilities": ref("Capabilities"),
    "fallbacks": _IDS,
    "context_window_fallbacks": _IDS,
    "content_policy_fallbacks": _IDS,
    "limits": ref("ModelLimits"),
    "metadata": anything(),
}
_GROUP: Json = {
    "id": _ID,
    "kind": constant("group"),
    "name": nullable(text()),
    "members": listed(
        any_of(text(), record({"id": text(), "weight": number(exclusiveMinimum=0)}, ("id",))), minItems=1
    ),
    "strategy": choice("priority", "round-robin", "weighted"),
    "fallbacks": _IDS,
    "enabled": flag(),
    "metadata": anything(),
}
_SUMS: Json = {
    "requests": whole(),
    "errors": whole(),
    "prompt_tokens": whole(),
    "completion_tokens": whole(),
    "total_tokens": whole(),
    "cached_tokens": whole(),
    "reasoning_tokens": whole(),
    "unpriced_requests": whole("Of models without costs."),
    "cost_usd": nullable(number("Null where no request had a price.")),
}
_SHOWN_KEY: Json = {
    "object": constant("key"),
    "id": text(),
    "project": text(),
    "previous_until": nullable(text("Until when the secret before the last rotation works.")),
    **_STAMPS,
    **_WARNINGS,
}

SCHEMAS: Json = {
    "ModelParameters": Parameters.model_json_schema(),
    "ModelLimits": Limits.model_json_schema(),
    "NewModel": record(_MODEL, ("id", "code", "provider", "model_type", "operations")),
    "NewGroup": record(_GROUP, ("kind", "id", "members")),
    "ModelDocument": record(
        {**_MODEL, **_GROUP, "kind": choice("model", "group"), **_STAMPS, **_WARNINGS, "status": anything()},
        ("id",),
        "A model or a group as it is kept; `status` is what probes and calls found, of one model alone.",
    ),
    "NewKey": KeyFields.model_json_schema(),
    "Key": record(_SHOWN_KEY, ("object", "id", "project"), "A key without its secret."),
    "KeyWithSecret": record(
        {**_SHOWN_KEY, "key": text("The whole key. It is shown this once.")},
        ("object", "id", "project", "key"),
    ),
    "Rotation": Rotation.model_json_schema(),
    "ProjectPatch": ProjectFields.model_json_schema(),
    "NewProject": {
        "allOf": [ref("ProjectFields"), record({"id": text(minLength=1, maxLength=128)}, ("id",))],
    },
    "ProjectFields": {**ProjectFields.model_json_schema(), "additionalProperties": True},
    "Project": record(
        {"object": constant("project"), "id": text(), **_STAMPS, **_WARNINGS}, ("object", "id")
    ),
    "WebhookSecret": record(
        {
            "object": constant("webhook_secret"),
            "project_id": text(),
            "secret": text("`whsec_…`, as the libraries of Standard Webhooks take it."),
        },
        ("object", "project_id", "secret"),
    ),
    "Deleted": record(
        {"object": text(), "id": text(), "deleted": {"const": True}}, ("object", "id", "deleted")
    ),
    "UsageSums": record(
        {
            "object": constant("usage"),
            "from": text(format="date"),
            "to": text(format="date"),
            "group_by": listed(choice(*GROUPS)),
            "data": listed(record(_SUMS, ("requests", "cost_usd"))),
            "total": record(_SUMS, ("requests", "cost_usd")),
        },
        ("object", "from", "to", "group_by", "data", "total"),
    ),
    "UsageRecord": record(
        {
            "object": constant("request"),
            "id": text(),
            "time": text(format="date-time"),
            "request_id": text("The client's, or ours: `x-request-id` of the answer."),
            "project": text(),
            "key_id": text(),
            "user": nullable(text()),
            "model_requested": nullable(text()),
            "model": nullable(text()),
            "provider": nullable(text()),
            "operation": text(),
            "streamed": flag(),
            "status": whole(),
            "usage": nullable(anything("Tokens; images, seconds and characters where there are any.")),
            "cost_usd": nullable(number()),
            "time_to_first_token_ms": nullable(number()),
            "duration_ms": nullable(number()),
            "attempts": whole(),
            "fallback": flag(),
            "cache": text(),
            "error_code": nullable(text()),
        },
        ("object", "id", "time", "request_id", "project", "key_id", "operation", "status"),
    ),
    "Recomputation": record(
        {
            "object": constant("usage.recomputation"),
            "day": text(format="date"),
            "project_id": nullable(text()),
            "records": whole(),
            "corrected": whole(),
        },
        ("object", "day", "records", "corrected"),
    ),
    "CatalogState": record(
        {"object": constant("catalog"), "models": whole(), "groups": whole()}, ("object", "models", "groups")
    ),
    "ModelDocuments": page_of("ModelDocument"),
    "Keys": page_of("Key"),
    "Projects": page_of("Project"),
    "UsageRecords": page_of("UsageRecord"),
}

_PAGE = (
    in_query("limit", "How many: 100 if absent.", whole(minimum=1, maximum=1000)),
    in_query("after", "Go on after this: `last_id` of the page before."),
)
_IF_MATCH = in_header("If-Match", "The `ETag` of what is to be changed: 412 if it has changed since.")
_ETAG = {"etag": "For `If-Match`."}
_PERIOD = (
    in_query("from", "First day, UTC.", text(format="date")),
    in_query("to", "Last day, UTC.", text(format="date")),
    in_query("project_id", "Only of this project."),
    in_query("key_id", "Only of this key."),
    in_query("user", "Only for this `user`."),
    in_query("model", "Only of this model."),
)


def _collection(
    function: str,
    kind: str,
    *,
    new: Json,
    shown: str,
    page: str,
    patch: Json,
    examples: tuple[Example, Example],
    filters: Sequence[Json] = (),
    created: str | None = None,
) -> tuple[Endpoint, ...]:
    """Create, list, show, change and delete. `examples` are of a creation and of a change of what that made."""
    base = f"/manage/{kind}s"
    # `listModels` is what everyone may do.
    title = "CatalogModel" if kind == "model" else kind.title()
    one, id = f"{base}/{{id}}", in_path("id", f"Id of the {kind}, percent-encoded.")
    # A key's id is made by the server.
    there = {"id": (examples[0].body or {})["id"]} if kind != "key" else {}
    on_one, on_delete = (
        Example("one", f"One {kind}", path=there),
        Example("delete", f"Delete a {kind}", path=there),
    )
    errors = (404, 503)

    def endpoint(method: str, path: str, verb: str, summary: str, answer: Answer, **more: object) -> Endpoint:
        return Endpoint(
            function=function,
            method=method,
            path=path,
            id=verb + title + ("s" if verb == "list" else ""),
            tag=TAG,
            summary=summary,
            answers=(answer,),
            **more,  # type: ignore[arg-type]
        )

    document = Answer(f"The {kind}.", {JSON: ref(shown)}, headers=_ETAG)
    return (
        endpoint(
            "POST",
            base,
            "create",
            f"Create a {kind}",
            Answer(f"The new {kind}.", {JSON: ref(created or shown)}, status=201, headers=_ETAG),
            request={JSON: new},
            examples=examples[:1],
            errors=(409, 503),
        ),
        endpoint(
            "GET",
            base,
            "list",
            f"List {kind}s",
            Answer(f"A page of {kind}s, by id.", {JSON: ref(page)}),
            parameters=(*_PAGE, *filters),
            examples=(Example("page", f"The first {kind}s", query={"limit": "20"}),),
            errors=(400, 503),
        ),
        endpoint(
            "GET", one, "get", f"Show a {kind}", document, parameters=(id,), examples=(on_one,), errors=errors
        ),
        endpoint(
            "PATCH",
            one,
            "update",
            f"Change a {kind}",
            document,
            text="A JSON Merge Patch: what is null is taken away, what is absent stays.",
            parameters=(id, _IF_MATCH),
            request={JSON: patch},
            examples=examples[1:],
            errors=(404, 409, 412, 503),
        ),
        endpoint(
            "DELETE",
            one,
            "delete",
            f"Delete a {kind}",
            Answer("It is gone.", {JSON: ref("Deleted")}),
            parameters=(id, _IF_MATCH),
            examples=(on_delete,),
            errors=(404, 409, 412, 503),
        ),
    )


ENDPOINTS = (
    *_collection(
        "manage_models",
        "model",
        new=any_of(ref("NewModel"), ref("NewGroup")),
        shown="ModelDocument",
        page="ModelDocuments",
        patch=anything("Fields of a model or a group."),
        examples=(
            Example(
                "openai",
                "A model of OpenAI",
                {
                    "id": "gpt-4o-mini",
                    "code": "gpt-4o-mini",
                    "provider": "OpenAI",
                    "model_type": "OpenAINative",
                    "operations": ["ChatCompletion", "Responses"],
                    "parameters": {"secret_name": "OPENAI-API-KEY"},
                    "costs": {"cost_input_1Mtokens": 0.15, "cost_output_1Mtokens": 0.6},
                },
            ),
            Example("disable", "Take it out of service", {"enabled": False}, path={"id": "gpt-4o-mini"}),
        ),
    ),
    *_collection(
        "manage_keys",
        "key",
        new=ref("NewKey"),
        shown="Key",
        page="Keys",
        patch=ref("NewKey"),
        examples=(
            Example(
                "key",
                "A key for some models that expires",
                {
                    "project": "search",
                    "name": "search service",
                    "models": ["demo-chat"],
                    "expires_at": "2099-01-01T00:00:00Z",
                },
            ),
            Example("disable", "Stop it", {"enabled": False}),
        ),
        filters=(in_query("project_id", "Only of this project."),),
        created="KeyWithSecret",
    ),
    Endpoint(
        function="manage_keys",
        method="POST",
        path="/manage/keys/{id}/rotate",
        id="rotateKey",
        tag=TAG,
        summary="Give a key a new secret",
        text="The secret before goes on working for `grace_seconds`, a day if absent.",
        parameters=(in_path("id", "Id of the key."), _IF_MATCH),
        request={JSON: ref("Rotation")},
        optional_body=True,
        examples=(Example("hour", "The old one for another hour", {"grace_seconds": 3600}),),
        answers=(Answer("The key with its new secret.", {JSON: ref("KeyWithSecret")}, headers=_ETAG),),
        errors=(404, 409, 412, 503),
    ),
    *_collection(
        "manage_projects",
        "project",
        new=ref("NewProject"),
        shown="Project",
        page="Projects",
        patch=ref("ProjectPatch"),
        examples=(
            Example("project", "A project", {"id": "research", "name": "Research"}),
            Example("rename", "Another name", {"name": "Research and more"}, path={"id": "research"}),
        ),
    ),
    Endpoint(
        function="manage_projects",
        method="GET",
        path="/manage/projects/{id}/webhook-secret",
        id="getWebhookSecret",
        tag=TAG,
        summary="Show what the receivers of a project's webhooks verify with",
        text="It follows from the secret `llmproxy-webhook-master`, and is another for each project.",
        parameters=(in_path("id", "Id of the project, percent-encoded."),),
        examples=(Example("secret", "The secret of a project", path={"id": "default"}),),
        answers=(
            Answer("The secret.", {JSON: ref("WebhookSecret")}, headers={"cache-control": "`no-store`"}),
        ),
        errors=(404, 503),
    ),
    Endpoint(
        function="manage_usage",
        method="GET",
        path="/manage/usage",
        id="getUsage",
        tag=TAG,
        summary="Sums of usage, the largest cost first",
        text="The last 30 days if nothing is said.",
        parameters=(
            in_query(
                "group_by", f"Some of {', '.join(f'`{name}`' for name in GROUPS)}, with commas between."
            ),
            *_PERIOD,
        ),
        examples=(Example("models", "By project and model", query={"group_by": "project,model"}),),
        answers=(Answer("The sums.", {JSON: ref("UsageSums")}),),
        errors=(400, 503),
    ),
    Endpoint(
        function="manage_usage",
        method="POST",
        path="/manage/usage/recompute",
        id="recomputeUsage",
        tag=TAG,
        summary="Make the sums of a day again from its records",
        request={JSON: record({"day": text(format="date"), "project_id": nullable(text())}, ("day",))},
        answers=(Answer("What was done.", {JSON: ref("Recomputation")}),),
        errors=(503,),
    ),
    Endpoint(
        function="manage_requests",
        method="GET",
        path="/manage/requests",
        id="listRequests",
        tag=TAG,
        summary="Records of single calls, newest first",
        text="Never what was said in them.",
        parameters=(
            *_PAGE,
            *_PERIOD,
            in_query("day", "Only of this day.", text(format="date")),
            in_query("status", "One (`429`) or a class (`5xx`)."),
            in_query("operation", "Only of this operation."),
            in_query("request_id", "Only of this request."),
        ),
        examples=(Example("errors", "What the providers did to us", query={"status": "5xx", "limit": "50"}),),
        answers=(Answer("A page of records.", {JSON: ref("UsageRecords")}),),
        errors=(400, 503),
    ),
    Endpoint(
        function="manage_catalog_refresh",
        method="POST",
        path="/manage/catalog/refresh",
        id="refreshCatalog",
        tag=TAG,
        summary="Read the catalog now",
        text="Of this instance; the others follow within 30 seconds.",
        examples=(Example("refresh", "Now"),),
        answers=(Answer("What there is.", {JSON: ref("CatalogState")}),),
        errors=(503,),
    ),
)
