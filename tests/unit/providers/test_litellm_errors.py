"""Every failure of a provider, through LiteLLM, as the proxy's own error."""

import inspect
import logging
import os
import traceback
from typing import Any

import pytest

from shared.errors import (
    ContentPolicyViolation,
    ContextLengthExceeded,
    InternalError,
    InvalidRequest,
    ProviderCredentialRefused,
    ProviderError,
    ProviderRefusal,
    ProviderServerError,
    ProviderTimeout,
    ProviderUnreachable,
    ProxyError,
)
from shared.providers.litellm_lane.errors import KINDS, proxy_error
from shared.providers.litellm_lane.library import LiteLLMLibrary
from shared.providers.litellm_lane.words import clean, readable
from tests.unit.providers.lane import KEY, QUESTION, Lane
from tests.upstreams.anthropic import anthropic_error
from tests.upstreams.behaviours import Reply
from tests.upstreams.google import google_error
from tests.upstreams.openai import openai_error
from tests.upstreams.server import Upstream

SECRET = "fake-provider-key-0123456789"


async def exceptions() -> dict[str, type[Exception]]:
    module = await LiteLLMLibrary().module()
    return {
        name: kind
        for name, kind in vars(module.exceptions).items()
        if inspect.isclass(kind) and issubclass(kind, Exception) and kind.__module__ == "litellm.exceptions"
    }


async def test_every_exception_of_litellm_is_mapped() -> None:
    assert set(await exceptions()) <= KINDS.keys()


async def test_the_table_of_exceptions_names_no_class_that_is_gone() -> None:
    assert KINDS.keys() <= set(await exceptions())


async def test_a_subclass_stands_before_its_parent() -> None:
    found = await exceptions()
    names = list(KINDS)
    for name, kind in found.items():
        for parent in kind.__mro__[1:]:
            if parent.__module__ == "litellm.exceptions":
                assert names.index(name) < names.index(parent.__name__), f"{name} after {parent.__name__}"


async def made(name: str, message: str) -> BaseException:
    """An exception of LiteLLM's with no provider's answer behind it."""
    import httpx

    kind = (await exceptions())[name]
    known: dict[str, Any] = {
        "message": message,
        "llm_provider": "anthropic",
        "model": "some-model",
        "status_code": 503,
        "response": httpx.Response(400, request=httpx.Request("POST", "https://provider.invalid/")),
        "request": httpx.Request("POST", "https://provider.invalid/"),
        "current_cost": 1.0,
        "max_budget": 1.0,
        "failures": (),
        "raw_response": message,
        "schema": "{}",
        "original_response": message,
        "request_data": {},
        "guardrail_name": "some-guardrail",
        "entity_type": "some-entity",
        "target_model": "some-model",
        "route_to_model": "some-model",
        "detected_types": [],
    }
    parameters = inspect.signature(kind.__init__).parameters
    needed = {
        item.name: known.get(item.name, message)
        for item in list(parameters.values())[1:]
        if item.default is item.empty and item.kind in (item.POSITIONAL_OR_KEYWORD, item.KEYWORD_ONLY)
    }
    return kind(**needed)


@pytest.mark.parametrize("name", sorted(KINDS))
async def test_each_exception_becomes_an_error_without_the_secret(name: str) -> None:
    error = proxy_error(await made(name, f"litellm.{name}: AnthropicException - no: {SECRET}"), [SECRET])

    assert isinstance(error, ProxyError)
    assert not isinstance(error, InternalError)
    assert 400 <= error.status < 600
    assert SECRET not in error.message
    assert "litellm" not in error.message.lower()


@pytest.mark.parametrize(
    ("name", "expected", "status"),
    [
        ("ContextWindowExceededError", ContextLengthExceeded, 400),
        ("ContentPolicyViolationError", ContentPolicyViolation, 400),
        ("AuthenticationError", ProviderCredentialRefused, 502),
        ("PermissionDeniedError", ProviderCredentialRefused, 502),
        ("RateLimitError", ProviderRefusal, 429),
        ("NotFoundError", ProviderRefusal, 404),
        ("UnprocessableEntityError", ProviderRefusal, 422),
        ("BadRequestError", InvalidRequest, 400),
        ("Timeout", ProviderTimeout, 504),
        ("APIConnectionError", ProviderUnreachable, 502),
        ("InternalServerError", ProviderServerError, 502),
        ("ServiceUnavailableError", ProviderServerError, 502),
        ("BadGatewayError", ProviderServerError, 502),
    ],
)
async def test_what_litellm_says_by_itself_has_its_meaning(
    name: str, expected: type[ProxyError], status: int
) -> None:
    error = proxy_error(await made(name, "No."))
    assert type(error) is expected or isinstance(error, expected)
    assert error.status == status


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("litellm.BadRequestError: VertexAIException BadRequestError - Too long.", "Too long."),
        ("litellm.BadRequestError: AnthropicException - Too long.", "Too long."),
        ("litellm.RateLimitError: RateLimitError: OpenAIException - Slow down.", "Slow down."),
        ("Too long. LiteLLM Retried: 2 times, LiteLLM Max Retries: 2", "Too long."),
        ("No such thing - at all", "No such thing - at all"),
    ],
)
def test_litellms_prefixes_are_taken_off(text: str, expected: str) -> None:
    assert clean(Exception(text), ()) == expected


@pytest.mark.parametrize(
    "body",
    [
        b'{"error": {"code": 400, "message": "No.", "status": "INVALID_ARGUMENT"}}',
        b'[{"error": {"code": 400, "message": "No.", "status": "INVALID_ARGUMENT"}}]',
        b'b\'{"error": {"code": 400, "message": "No.", "status": "INVALID_ARGUMENT"}}\'',
    ],
)
def test_googles_errors_are_read_in_each_wrapping(body: bytes) -> None:
    assert '"message":"No."' in readable(body)
    assert '"code":"INVALID_ARGUMENT"' in readable(body)


KINDS_OF_MODEL = [
    ("OpenAINative", "gpt-4o"),
    ("AzureOpenAI", "gpt-4o"),
    ("AzureFoundry", "DeepSeek-V3"),
    ("AnthropicNative", "sonnet-4-5"),
    ("GoogleGemini", "gemini-2.5-flash"),
    ("GoogleVertex", "gemini-2.5-flash"),
    ("GoogleVertexClaude", "opus-4-1"),
    ("GoogleVertexMeta", "llama-3.3-70b-instruct-maas"),
    ("GoogleVertexMistral", "mistral-medium-3"),
    ("GoogleVertexJamba", "jamba-1.5-large"),
]
each_kind = pytest.mark.parametrize(("model_type", "code"), KINDS_OF_MODEL)
both_ways = pytest.mark.parametrize("streamed", [False, True])


def answering(lane: Lane, model_type: str) -> Upstream:
    if model_type == "AnthropicNative":
        return lane.anthropic
    return lane.google if model_type.startswith("Google") else lane.openai


def refusal(model_type: str, status: int, message: str, headers: dict[str, str] | None = None) -> Reply:
    """The provider's answer in its own format."""
    if model_type in ("AnthropicNative", "GoogleVertexClaude"):
        kind = {401: "authentication_error", 429: "rate_limit_error"}.get(status, "invalid_request_error")
        return anthropic_error(status, kind, message, headers)
    if model_type in ("GoogleGemini", "GoogleVertex"):
        return google_error(status, "SOME_WORD", message, headers)
    return openai_error(status, message, headers=headers)


async def failure(lane: Lane, model_type: str, code: str, reply: Reply, streamed: bool) -> ProxyError:
    answering(lane, model_type).script(reply)
    model = lane.model(model_type, code)
    with pytest.raises(ProxyError) as caught:
        await (lane.tell(model) if streamed else lane.send(model))
    return caught.value


@each_kind
@both_ways
@pytest.mark.parametrize("status", [400, 404, 422, 429])
async def test_a_providers_refusal_keeps_its_status_and_words(
    lane: Lane, model_type: str, code: str, streamed: bool, status: int
) -> None:
    headers = {"retry-after": "7"} if status == 429 else None
    reply = refusal(model_type, status, "This does not suit me.", headers)
    error = await failure(lane, model_type, code, reply, streamed)

    assert isinstance(error, ProviderRefusal)
    assert error.status == status
    assert error.message == "This does not suit me."
    if status == 429:
        assert error.retry_after == 7
        assert error.headers["retry-after"] == "7"
    assert "set-cookie" not in error.headers
    assert answering(lane, model_type).requests[1:] == []


@each_kind
@both_ways
@pytest.mark.parametrize("status", [401, 403])
async def test_a_refused_credential_is_not_the_callers(
    lane: Lane, model_type: str, code: str, streamed: bool, status: int
) -> None:
    reply = refusal(model_type, status, f"Incorrect API key provided: {KEY}")
    error = await failure(lane, model_type, code, reply, streamed)

    assert isinstance(error, ProviderCredentialRefused)
    assert error.status == 502
    assert KEY not in error.message


@each_kind
@both_ways
@pytest.mark.parametrize("status", [500, 503, 529])
async def test_a_providers_failure_may_be_tried_again(
    lane: Lane, model_type: str, code: str, streamed: bool, status: int
) -> None:
    reply = refusal(model_type, status, "Out of order.")
    error = await failure(lane, model_type, code, reply, streamed)

    assert isinstance(error, ProviderServerError)
    assert error.retryable
    assert error.message == "Out of order."
    assert answering(lane, model_type).requests[1:] == []


@pytest.mark.parametrize(
    ("model_type", "code", "message"),
    [
        ("AnthropicNative", "sonnet-4-5", "prompt is too long: 210000 tokens > 200000 maximum"),
        (
            "GoogleVertex",
            "gemini-2.5-flash",
            "The input token count (1200000) exceeds the maximum number of tokens allowed (1048576).",
        ),
        ("OpenAINative", "gpt-4o", "This model's maximum context length is 128000 tokens."),
        (
            "GoogleVertexMeta",
            "llama-3.3-70b-instruct-maas",
            "This model's maximum context length is 8192 tokens.",
        ),
    ],
)
@both_ways
async def test_a_full_context_is_recognised(
    lane: Lane, model_type: str, code: str, message: str, streamed: bool
) -> None:
    error = await failure(lane, model_type, code, refusal(model_type, 400, message), streamed)

    assert isinstance(error, ContextLengthExceeded)
    assert error.message == message
    assert error.code == "context_length_exceeded"


@both_ways
async def test_refused_content_is_recognised(lane: Lane, streamed: bool) -> None:
    message = (
        "The response was filtered due to the prompt triggering Azure OpenAI's content management policy."
    )
    reply = openai_error(400, message, code="content_filter", param="prompt")
    error = await failure(lane, "AzureOpenAI", "gpt-4o", reply, streamed)

    assert isinstance(error, ContentPolicyViolation)


async def test_code_and_param_of_openais_errors_stay(lane: Lane) -> None:
    reply = openai_error(400, "Invalid value.", code="invalid_value", param="messages[0].role")
    error = await failure(lane, "OpenAINative", "gpt-4o", reply, False)

    assert (error.code, error.param) == ("invalid_value", "messages[0].role")


@pytest.mark.parametrize("body", [b"<html>Bad gateway</html>", b"", b"[]", b'"what"'])
async def test_an_answer_that_is_no_error_of_any_format_is_still_an_error(lane: Lane, body: bytes) -> None:
    for model_type, code in KINDS_OF_MODEL:
        error = await failure(
            lane, model_type, code, Reply(body, status=502, content_type="text/html"), False
        )
        assert isinstance(error, ProviderServerError)
        assert "<html>" not in error.message


@pytest.mark.parametrize("body", [b"{", b"[]", b"<html></html>"])
async def test_an_answer_in_no_format_is_not_passed_on(lane: Lane, body: bytes) -> None:
    for model_type, code in KINDS_OF_MODEL:
        error = await failure(lane, model_type, code, Reply(body), False)
        assert isinstance(error, ProviderError), (model_type, error)


async def test_a_service_account_that_google_refuses_is_a_credential_of_ours(lane: Lane) -> None:
    account = lane.login.service_account("other@some-project.iam.gserviceaccount.com")
    lane.secrets.texts["account"] = account.replace("other@", "stranger@")
    with pytest.raises(ProviderCredentialRefused):
        await lane.send(lane.model("GoogleVertex", "gemini-2.5-flash"))


async def test_messages_that_cannot_be_translated_are_the_requests_fault(lane: Lane) -> None:
    odd: list[Any] = [
        {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "no address"}}]}
    ]
    for model_type, code in (("AnthropicNative", "sonnet-4-5"), ("GoogleVertex", "gemini-2.5-flash")):
        with pytest.raises(ProxyError) as caught:
            await lane.send(lane.model(model_type, code), messages=odd)
        assert caught.value.status == 400
        assert "Received Messages" not in caught.value.message


async def test_no_secret_reaches_a_log_the_environment_or_an_exception(
    lane: Lane, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        for model_type, code in KINDS_OF_MODEL:
            model = lane.model(model_type, code)
            secret = lane.secrets.texts[model.parameters.secret_name or ""]
            await lane.send(model, messages=QUESTION)
            for streamed in (False, True):
                reply = refusal(model_type, 400, f"Your key {secret} does not suit me.")
                error = await failure(lane, model_type, code, reply, streamed)
                shown = "".join(traceback.format_exception(error))
                assert secret not in shown
                assert "does not suit me" in shown
    for record in caplog.records:
        assert KEY not in record.getMessage()
        assert "PRIVATE KEY" not in record.getMessage()
    assert not any(KEY in value or "PRIVATE KEY" in value for value in os.environ.values())
