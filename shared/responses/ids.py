"""What the id of a response says: where a provider keeps it, or which job makes it. Both are signed for a project."""

from dataclasses import dataclass

from shared.responses.labels import PREFIX
from shared.signed_ids import SignedIds, Signer, no_such_id

_JOB = ("job", "response")
"""What comes before the job's id, so that such an id has three parts; that of a provider's response has two."""


@dataclass(frozen=True, slots=True)
class Kept:
    """A response that a provider keeps: the catalog's id of the deployment, and the provider's own id."""

    model: str
    id: str


@dataclass(frozen=True, slots=True)
class InJob:
    """A response in the background: the id of the job that makes, or has made, it."""

    job: str


class ResponseIds:
    def __init__(self, ids: SignedIds) -> None:
        self._ids = ids

    async def signer(self) -> Signer:
        """Raises `ProviderUnavailable` without the key that signs."""
        return await self._ids.signer()

    async def of_job(self, job: str, project: str) -> str:
        """The id of a response that a job makes: always the same while the key is. Raises `ProviderUnavailable`."""
        return await self._ids.sign(PREFIX, (*_JOB, job), project)

    async def read(self, id: str, project: str, param: str | None = None) -> Kept | InJob:
        """Raises `NotFound` where `id` is not the project's own, and `ProviderUnavailable` without the key.

        `param` is the field that named it.
        """
        parts = await self._ids.verify(PREFIX, id, project, param=param)
        match parts:
            case (model, theirs):
                return Kept(model, theirs)
            case (kind, what, job) if (kind, what) == _JOB:
                return InJob(job)
        raise no_such_id(id, param)
