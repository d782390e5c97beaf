"""What the id of a response says, and to whom."""

import pytest

from shared.errors import NotFound
from shared.responses.ids import InJob, Kept, ResponseIds
from shared.responses.labels import PREFIX
from shared.signed_ids import SignedIds


class Vault:
    async def get(self, name: str) -> str:
        return f"the text of {name}"

    async def close(self) -> None:
        return None


@pytest.fixture
def signed() -> SignedIds:
    return SignedIds(Vault())


@pytest.fixture
def ids(signed: SignedIds) -> ResponseIds:
    return ResponseIds(signed)


async def test_a_provider_keeps_it_or_a_job_makes_it(signed: SignedIds, ids: ResponseIds) -> None:
    kept = await signed.sign(PREFIX, ("model", "resp_1"), "p")
    made = await ids.of_job("job_1", "p")
    assert await ids.read(kept, "p") == Kept("model", "resp_1")
    assert await ids.read(made, "p") == InJob("job_1")
    assert made == await ids.of_job("job_1", "p")
    assert made != await ids.of_job("job_1", "q")


async def test_a_job_is_never_taken_for_a_provider_whatever_it_is_called(ids: ResponseIds) -> None:
    for job in ("response", "job", "x" * 128):
        assert await ids.read(await ids.of_job(job, "p"), "p") == InJob(job)


@pytest.mark.parametrize("parts", [(), ("a",), ("a", "b", "c"), ("job", "response", "x", "y")])
async def test_an_id_that_says_something_else_is_no_responses(
    signed: SignedIds, ids: ResponseIds, parts: tuple[str, ...]
) -> None:
    with pytest.raises(NotFound):
        await ids.read(await signed.sign(PREFIX, parts, "p"), "p")


async def test_another_project_cannot_read_it(ids: ResponseIds) -> None:
    with pytest.raises(NotFound) as refused:
        await ids.read(await ids.of_job("job_1", "p"), "q", "previous_response_id")
    assert refused.value.param == "previous_response_id"
