"""Embeddings on the LiteLLM lane: what each provider sees, and vectors in the format that was asked for."""

from typing import Any

import orjson
import pytest

from shared.catalog.documents import Model
from shared.errors import InvalidProviderResponse, InvalidValue, ProviderRefusal, UnsupportedParameter
from shared.providers.calls import Answer
from tests.unit.providers.lane import EMAIL, KEY, Lane
from tests.upstreams.behaviours import Reply
from tests.upstreams.openai import openai_error
from tests.upstreams.vectors import in_base64, upstream_vector

GEMINI = ("GoogleGemini", "gemini-embedding-001")
VERTEX = ("GoogleVertex", "text-embedding-005")
OPENAI = ("OpenAINative", "text-embedding-3-small")
TEXTS = ["a fox", "a dog"]


def model_of(lane: Lane, kind: tuple[str, str]) -> Model:
    if kind[0] != "LiteLLM":
        return lane.model(*kind)
    return lane.model("LiteLLM", kind[1], litellm_secrets={"api_key": "key"})


async def embed(lane: Lane, kind: tuple[str, str], **body: Any) -> Answer:
    return await lane.provider.send(lane.call(model_of(lane, kind), path="embeddings", **body))


def vectors_of(answer: Answer) -> list[Any]:
    data = orjson.loads(answer.body)["data"]
    assert [item["index"] for item in data] == list(range(len(data)))
    assert {item["object"] for item in data} == {"embedding"}
    return [item["embedding"] for item in data]


async def test_vertex_predicts_with_the_service_accounts_token(lane: Lane) -> None:
    answer = await embed(
        lane, VERTEX, input=TEXTS, dimensions=3, task_type="RETRIEVAL_QUERY", auto_truncate=False
    )
    [received] = lane.google.requests
    assert received.path == (
        "/v1/projects/some-project/locations/us-central1/publishers/google/models/text-embedding-005:predict"
    )
    assert received.headers["authorization"] == f"Bearer ya29.{EMAIL}"
    assert [item["content"] for item in received.body["instances"]] == TEXTS
    assert {item["task_type"] for item in received.body["instances"]} == {"RETRIEVAL_QUERY"}
    assert received.body["parameters"]["outputDimensionality"] == 3
    assert received.body["parameters"]["auto_truncate"] is False
    assert b"private_key" not in received.raw
    assert vectors_of(answer) == [upstream_vector(text, 3) for text in TEXTS]
    assert answer.usage is not None
    assert answer.usage.prompt == 2


async def test_gemini_embeds_a_batch_with_its_key(lane: Lane) -> None:
    answer = await embed(lane, GEMINI, input=TEXTS, dimensions=3, task_type="CLUSTERING")
    [received] = lane.google.requests
    assert received.path == "/v1beta/models/gemini-embedding-001:batchEmbedContents"
    assert received.headers["x-goog-api-key"] == KEY
    assert [item["content"]["parts"] for item in received.body["requests"]] == [
        [{"text": text}] for text in TEXTS
    ]
    assert {item["outputDimensionality"] for item in received.body["requests"]} == {3}
    assert {item["taskType"] for item in received.body["requests"]} == {"CLUSTERING"}
    assert vectors_of(answer) == [upstream_vector(text, 3) for text in TEXTS]


@pytest.mark.parametrize("kind", [VERTEX, GEMINI, OPENAI, ("AzureOpenAI", "ada"), ("AzureFoundry", "ada")])
async def test_base64_is_made_of_what_comes_in_floats(lane: Lane, kind: tuple[str, str]) -> None:
    answer = await embed(lane, kind, input=TEXTS, encoding_format="base64")
    assert vectors_of(answer) == [in_base64(upstream_vector(text)) for text in TEXTS]


@pytest.mark.parametrize("kind", [VERTEX, GEMINI, ("LiteLLM", "cohere/embed-v4.0")])
@pytest.mark.parametrize("tokens", [[1, 2], [[1], [2]]])
async def test_tokens_are_refused_by_name_where_only_texts_are_taken(
    lane: Lane, kind: tuple[str, str], tokens: Any
) -> None:
    with pytest.raises(InvalidValue) as caught:
        await embed(lane, kind, input=tokens)
    assert caught.value.param == "input"
    assert lane.google.requests == lane.openai.requests == []


@pytest.mark.parametrize("kind", [OPENAI, ("AzureOpenAI", "ada")])
@pytest.mark.parametrize("tokens", [[1, 2], [[1], [2, 3]]])
async def test_tokens_reach_openai_as_they_are(lane: Lane, kind: tuple[str, str], tokens: Any) -> None:
    await embed(lane, kind, input=tokens)
    assert lane.openai.requests[-1].body["input"] == tokens


async def test_what_a_provider_does_not_know_is_reported(lane: Lane) -> None:
    assert (await embed(lane, VERTEX, input="a", user="u")).dropped == ("user",)
    assert (await embed(lane, GEMINI, input="a", user="u", unheard_of=1)).dropped == ("user", "unheard_of")
    assert (await embed(lane, OPENAI, input="a", user="u", unheard_of=1)).dropped == ()
    assert lane.openai.requests[-1].body["unheard_of"] == 1


async def test_a_size_that_a_provider_cannot_give_is_refused(lane: Lane) -> None:
    with pytest.raises(UnsupportedParameter) as caught:
        await embed(lane, ("LiteLLM", "huggingface/some/model"), input="a", dimensions=3)
    assert caught.value.param == "dimensions"


@pytest.mark.parametrize(
    "text", ["files/secret", "https://generativelanguage.googleapis.com/v1beta/files/x", "see gs://bucket/x"]
)
@pytest.mark.parametrize("kind", [VERTEX, GEMINI])
async def test_no_text_makes_the_library_read_a_file_of_our_account(
    lane: Lane, kind: tuple[str, str], text: str
) -> None:
    for given, param in ((text, "input"), (["a", text], "input[1]")):
        with pytest.raises((InvalidValue, UnsupportedParameter)) as caught:
            await embed(lane, kind, input=given)
        assert caught.value.param == param
    assert lane.google.requests == []


async def test_fewer_vectors_than_inputs_are_an_invalid_answer(lane: Lane) -> None:
    lane.google.script(Reply({"embeddings": [{"values": [0.5]}]}))
    with pytest.raises(InvalidProviderResponse):
        await embed(lane, GEMINI, input=TEXTS)


@pytest.mark.parametrize("kind", [OPENAI, ("AzureOpenAI", "ada")])
async def test_a_failure_is_asked_once_and_told_as_it_was(lane: Lane, kind: tuple[str, str]) -> None:
    lane.openai.always(openai_error(429, "Slow down.", headers={"retry-after": "3"}))
    with pytest.raises(ProviderRefusal) as caught:
        await embed(lane, kind, input="a")
    assert (caught.value.status, caught.value.retry_after) == (429, 3)
    assert len(lane.openai.requests) == 1
