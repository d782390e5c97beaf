"""The timer that keeps jobs going: what is due, whatever became of who should have done it."""

import asyncio

import azure.functions as func

from shared.services import Services

EVERY_15_SECONDS = "*/15 * * * * *"


def blueprint(services: Services) -> func.Blueprint:
    bp = func.Blueprint()

    @bp.function_name("maintenance")
    @bp.timer_trigger(arg_name="timer", schedule=EVERY_15_SECONDS, run_on_startup=False, use_monitor=False)
    async def maintenance(timer: func.TimerRequest) -> None:
        # The figures do not wait for the sweeper, which may wait for receivers of webhooks.
        await asyncio.gather(services.sweeper.tick(), services.figures.keep())

    return bp
