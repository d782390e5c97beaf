"""The jobs behind responses in the background, as a project finds them by the id that it knows."""

from shared.access.writes import store_errors
from shared.inference.operations import RESPONSES
from shared.jobs.store import Held, JobStore
from shared.ports import Clock
from shared.responses.ids import InJob
from shared.signed_ids import no_such_id


class HeldResponses:
    def __init__(self, jobs: JobStore, clock: Clock) -> None:
        self._jobs = jobs
        self._clock = clock

    async def get(self, id: str, found: InJob, project: str, param: str | None = None) -> Held:
        """The job that the client knows as `id`, which `param` named.

        Raises `NotFound` where it was deleted, has expired or never came to be, and `CatalogUnavailable`.
        """
        with store_errors():
            held = await self._jobs.get(found.job)
        if held is None or held.job.project != project or held.job.operation != RESPONSES.name:
            raise no_such_id(id, param)
        if held.job.gone(self._clock.time()):
            raise no_such_id(id, param)
        return held
