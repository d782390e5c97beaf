"""`GET /health`, `GET /health/ready`, and the timer that probes the models."""

import azure.functions as func

from functions.http import METHODS, Exchange, Reply, endpoint, json_response
from shared import SERVICE, VERSION
from shared.clock import iso
from shared.services import Services

EVERY_MINUTE = "0 * * * * *"


def blueprint(services: Services) -> func.Blueprint:
    bp = func.Blueprint()
    started = services.clock.monotonic()

    @bp.function_name("health")
    @bp.route(route="health", methods=METHODS)
    @endpoint(services, "GET", "HEAD", access="open")
    async def health(exchange: Exchange) -> Reply:
        """That the process answers. It touches nothing outside of it."""
        return json_response(
            {
                "status": "healthy",
                "service": SERVICE,
                "version": VERSION,
                "environment": services.settings.environment,
                "uptime_seconds": round(services.clock.monotonic() - started, 3),
                "timestamp": iso(services.clock.time()),
            }
        )

    @bp.function_name("health_ready")
    @bp.route(route="health/ready", methods=METHODS)
    @endpoint(services, "GET", "HEAD", access="user")
    async def health_ready(exchange: Exchange) -> Reply:
        """Whether the app can serve, and how its models are."""
        readiness = await services.readiness.report(exchange.caller)
        return json_response(readiness.body, 200 if readiness.serving else 503)

    @bp.function_name("probe_models")
    @bp.timer_trigger(arg_name="timer", schedule=EVERY_MINUTE, run_on_startup=False, use_monitor=False)
    async def probe_models(timer: func.TimerRequest) -> None:
        await services.prober.run()

    return bp
