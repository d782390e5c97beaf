"""The Event Hub triggers: one for each hub of jobs. A batch is done when each of its events is."""

import logging
import typing

import azure.functions as func

from functions.deliveries import received_events
from shared.jobs.consumer import NotRecorded
from shared.jobs.job import Queue
from shared.services import Services
from shared.telemetry.logging import log_failure

CONSUMER_GROUP = "llmproxy"
CONNECTION = "EventHubs"
"""The settings that begin so lead to the namespace: `EventHubs__fullyQualifiedNamespace`."""
RETRY: typing.Mapping[str, typing.Any] = {
    "strategy": "exponential_backoff",
    "max_retry_count": "-1",
    "minimum_interval": "00:00:01",
    "maximum_interval": "00:00:30",
}
"""Without end, and for `NotRecorded` alone: without it the host would go on behind a batch that failed."""

_logger = logging.getLogger("llmproxy.jobs")


def blueprint(services: Services) -> func.Blueprint:
    bp = func.Blueprint()
    settings = services.settings

    async def consume(queue: Queue, hub: str, events: typing.Sequence[func.EventHubEvent]) -> None:
        if not services.prepared:
            await services.prepare()
        try:
            await services.consumer.consume(queue, received_events(hub, events))
        except NotRecorded:
            raise
        except Exception as error:
            # Tried again it would fail again, and hold up its partition for ever.
            log_failure(_logger, "job_batch_failed", error, count=len(events))

    @bp.function_name("run_jobs")
    @bp.event_hub_message_trigger(
        arg_name="events",
        connection=CONNECTION,
        event_hub_name=settings.jobs_hub,
        data_type=func.DataType.BINARY,
        cardinality=func.Cardinality.MANY,
        consumer_group=CONSUMER_GROUP,
    )
    @bp.retry(**RETRY)
    async def run_jobs(events: typing.List[func.EventHubEvent]) -> None:  # noqa: UP006 (Azure takes no other)
        await consume(Queue.NORMAL, settings.jobs_hub, events)

    @bp.function_name("run_priority_jobs")
    @bp.event_hub_message_trigger(
        arg_name="events",
        connection=CONNECTION,
        event_hub_name=settings.priority_jobs_hub,
        data_type=func.DataType.BINARY,
        cardinality=func.Cardinality.MANY,
        consumer_group=CONSUMER_GROUP,
    )
    @bp.retry(**RETRY)
    async def run_priority_jobs(events: typing.List[func.EventHubEvent]) -> None:  # noqa: UP006
        await consume(Queue.PRIORITY, settings.priority_jobs_hub, events)

    return bp
