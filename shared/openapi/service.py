"""What the app says of itself: its root, its health, this description."""

from shared import Json
from shared.openapi.endpoint import JSON, Answer, Endpoint, Example
from shared.openapi.schema import (
    any_of,
    anything,
    choice,
    constant,
    listed,
    nullable,
    number,
    record,
    ref,
    text,
    whole,
)

TAG = "Service"

_COUNTS = record({name: whole() for name in ("total", "healthy", "degraded", "unhealthy", "unknown")})

SCHEMAS: Json = {
    "Root": record(
        {"service": text(), "version": text(), "routes": listed(text())}, ("service", "version", "routes")
    ),
    "Health": record(
        {
            "status": constant("healthy"),
            "service": text(),
            "version": text(),
            "environment": text(),
            "uptime_seconds": number(),
            "timestamp": text("UTC.", format="date-time"),
        },
        ("status", "service", "version", "environment", "uptime_seconds", "timestamp"),
    ),
    "Readiness": record(
        {
            "status": choice("ready", "degraded", "unavailable"),
            "timestamp": text("UTC.", format="date-time"),
            "catalog": record({"status": text()}),
            "database": record({"status": text(), "latency_ms": nullable(number())}),
            "secrets": record({"status": text(), "missing": listed(text())}),
            "models": record({"total": whole(), "enabled": whole(), "by_provider": anything()}),
            "providers": _COUNTS,
            "health_score": nullable(number("0 to 100.")),
        },
        ("status", "models", "providers", "health_score"),
    ),
}

ENDPOINTS = (
    Endpoint(
        function="zz_fallback",
        method="GET",
        path="/",
        id="getRoot",
        tag=TAG,
        summary="Name, version and routes",
        text="Every path that is not described here answers 404 in the envelope.",
        examples=(Example("root", "The root"),),
        answers=(Answer("The service.", {JSON: ref("Root")}),),
    ),
    Endpoint(
        function="health",
        method="GET",
        path="/health",
        id="getHealth",
        tag=TAG,
        summary="Whether the process answers",
        text="Touches nothing outside of it.",
        examples=(Example("health", "Health"),),
        answers=(Answer("It does.", {JSON: ref("Health")}),),
    ),
    Endpoint(
        function="health_ready",
        method="GET",
        path="/health/ready",
        id="getReadiness",
        tag=TAG,
        summary="Whether the app can serve, and how its models are",
        text="Counts the models that the caller may know of.",
        examples=(Example("ready", "Readiness"),),
        answers=(
            Answer("It can serve.", {JSON: ref("Readiness")}),
            Answer(
                "It cannot, or keys cannot be checked.",
                {JSON: any_of(ref("Readiness"), ref("Error"))},
                status=503,
            ),
        ),
    ),
    Endpoint(
        function="openapi_document",
        method="GET",
        path="/v1/openapi.json",
        id="getOpenApiDocument",
        tag=TAG,
        summary="This description",
        text="OpenAPI 3.1, with an `ETag`.",
        examples=(Example("document", "The document"),),
        answers=(
            Answer("The document.", {JSON: anything()}, headers={"etag": "For `If-None-Match`."}),
            Answer("It is what `If-None-Match` names.", status=304),
        ),
    ),
    Endpoint(
        function="reference_page",
        method="GET",
        path="/v1/docs",
        id="getReferencePage",
        tag=TAG,
        summary="The same as a page",
        text="Without scripts and without anything from elsewhere.",
        examples=(Example("page", "The page"),),
        answers=(
            Answer("The page.", {"text/html": text()}, headers={"etag": "For `If-None-Match`."}),
            Answer("It is what `If-None-Match` names.", status=304),
        ),
    ),
)
