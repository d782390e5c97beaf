"""The tree of errors."""

import re
from collections.abc import Iterator

import pytest

from shared import errors
from shared.errors import EventError, ProxyError, SecretError, SettingError, StoreError


def family(root: type[Exception]) -> Iterator[type[Exception]]:
    """`root` and every class of the module below it. Classes of adapters and tests are theirs."""
    if root.__module__ == errors.__name__:
        yield root
    for child in root.__subclasses__():
        yield from family(child)


ARGUMENTS: dict[str, tuple[object, ...]] = {
    "MissingParameter": ("model",),
    "MethodNotAllowed": ("PUT", "GET, POST"),
    "ClientGone": (),
    "InternalError": (),
    "ProviderRefusal": ("The provider refused.", 422),
}
"""What a class takes where it is not one message."""

PROXY_ERRORS = sorted(set(family(ProxyError)), key=lambda error: error.__name__)

TABLE = {
    "InvalidJson": (400, "invalid_request_error", "invalid_json"),
    "MissingParameter": (400, "invalid_request_error", "missing_required_parameter"),
    "InvalidValue": (400, "invalid_request_error", "invalid_value"),
    "UnsupportedParameter": (400, "invalid_request_error", "unsupported_parameter"),
    "UnsupportedOperation": (400, "invalid_request_error", "unsupported_operation"),
    "AmbiguousModel": (400, "invalid_request_error", "ambiguous_model"),
    "ContextLengthExceeded": (400, "invalid_request_error", "context_length_exceeded"),
    "ContentPolicyViolation": (400, "invalid_request_error", "content_policy_violation"),
    "MissingApiKey": (401, "authentication_error", "missing_api_key"),
    "InvalidApiKey": (401, "authentication_error", "invalid_api_key"),
    "ExpiredApiKey": (401, "authentication_error", "expired_api_key"),
    "ModelNotAllowed": (403, "permission_error", "model_not_allowed"),
    "AdminRequired": (403, "permission_error", "admin_required"),
    "NotFound": (404, "invalid_request_error", "not_found"),
    "ModelNotFound": (404, "invalid_request_error", "model_not_found"),
    "MethodNotAllowed": (405, "invalid_request_error", "method_not_allowed"),
    "Conflict": (409, "conflict_error", "conflict"),
    "IdempotencyConflict": (409, "conflict_error", "idempotency_conflict"),
    "PreconditionFailed": (412, "invalid_request_error", "precondition_failed"),
    "RequestTooLarge": (413, "invalid_request_error", "request_too_large"),
    "RateLimited": (429, "rate_limit_error", "rate_limit_exceeded"),
    "InternalError": (500, "server_error", "internal_error"),
    "ProviderError": (502, "upstream_error", "provider_error"),
    "ProviderCredentialRefused": (502, "upstream_error", "provider_error"),
    "ProviderUnreachable": (502, "upstream_error", "provider_error"),
    "ProviderServerError": (502, "upstream_error", "provider_error"),
    "InvalidProviderResponse": (502, "upstream_error", "invalid_provider_response"),
    "ProviderUnavailable": (503, "upstream_error", "provider_unavailable"),
    "CatalogUnavailable": (503, "upstream_error", "catalog_unavailable"),
    "ProviderTimeout": (504, "upstream_error", "provider_timeout"),
}
"""What each class promises a client: status, type and code."""


def made(error: type[Exception]) -> ProxyError:
    instance = error(*ARGUMENTS.get(error.__name__, ("It went wrong.",)))
    assert isinstance(instance, ProxyError)
    return instance


@pytest.mark.parametrize("error", PROXY_ERRORS, ids=lambda error: error.__name__)
def test_every_error_renders_the_four_keys(error: type[Exception]) -> None:
    instance = made(error)
    envelope = instance.envelope()
    assert list(envelope) == ["error"]
    assert list(envelope["error"]) == ["message", "type", "param", "code"]
    assert envelope["error"]["message"] == instance.message == str(instance) != ""
    assert isinstance(envelope["error"]["type"], str)
    assert isinstance(envelope["error"]["code"], str | None)
    assert 400 <= instance.status <= 599


@pytest.mark.parametrize("name", TABLE)
def test_every_error_has_its_status_type_and_code(name: str) -> None:
    instance = made(getattr(errors, name))
    assert (instance.status, instance.type, instance.code) == TABLE[name]


def test_every_error_that_can_be_raised_is_in_the_table() -> None:
    leaves = {error.__name__ for error in PROXY_ERRORS if not set(family(error)) - {error}}
    assert leaves - set(TABLE) == {"ClientGone", "ProviderRefusal"}  # never sent; the provider's own


@pytest.mark.parametrize("root", [ProxyError, StoreError, SecretError, EventError, SettingError])
def test_the_drawn_tree_names_every_class_below_its_parent(root: type[Exception]) -> None:
    places = drawn_tree()
    for error in family(root):
        assert error.__name__ in places, f"{error.__name__} is missing in the drawing"
        parent = error.__bases__[0].__name__
        assert places[error.__name__] == (None if parent == "Exception" else parent)


def test_the_drawn_tree_names_no_class_that_is_not_there() -> None:
    assert [name for name in drawn_tree() if not hasattr(errors, name)] == []


def test_the_drawn_statuses_are_those_of_the_classes() -> None:
    statuses = re.findall(r"^[│├└─ ]*(\w+) +(\d{3})\b", errors.__doc__ or "", re.MULTILINE)
    assert {status for _, status in statuses} >= {"400", "401", "403", "404", "429", "500", "502", "504"}
    for name, status in statuses:
        assert getattr(errors, name).status == int(status)


def drawn_tree() -> dict[str, str | None]:
    """Name of each class in the module's drawing → name of its parent there."""
    parents: dict[str, str | None] = {}
    path: list[tuple[int, str]] = []
    for line in (errors.__doc__ or "").splitlines()[1:]:
        drawing = re.match(r"[│├└─ ]*", line)
        depth = drawing.end() if drawing else 0
        names = re.match(r"(?:[A-Z]\w+(?:, )?)+", line[depth:])
        if names is None:
            continue
        while path and path[-1][0] >= depth:
            path.pop()
        for name in names.group().split(", "):
            parents[name] = path[-1][1] if path else None
        path.append((depth, names.group().split(", ")[-1]))
    return parents


def test_a_refusal_keeps_what_the_provider_said() -> None:
    refusal = errors.ProviderRefusal(
        "No.", 422, type="odd_error", param="tools[0]", code="odd", retry_after=3.0
    )
    assert refusal.status == 422
    assert refusal.retry_after == 3.0
    assert refusal.envelope() == {
        "error": {"message": "No.", "type": "odd_error", "param": "tools[0]", "code": "odd"}
    }


def test_a_refusal_without_a_code_has_none() -> None:
    assert errors.ProviderRefusal("No.", 400).envelope()["error"]["code"] is None


@pytest.mark.parametrize(
    ("status", "again"), [(408, True), (409, True), (429, True), (400, False), (422, False)]
)
def test_only_some_refusals_are_worth_another_try(status: int, again: bool) -> None:
    assert errors.ProviderRefusal("No.", status).worth_retrying is again


def test_a_given_code_and_param_replace_the_class_own() -> None:
    error = errors.RateLimited(
        "Too much.", code="insufficient_quota", param="n", headers={"Retry-After": "1"}
    )
    assert error.envelope()["error"] == {
        "message": "Too much.",
        "type": "rate_limit_error",
        "param": "n",
        "code": "insufficient_quota",
    }
    assert error.headers == {"Retry-After": "1"}
    assert errors.RateLimited("Too much.").code == "rate_limit_exceeded"


@pytest.mark.parametrize(
    ("error", "header"),
    [
        (errors.MissingApiKey("No key."), ("WWW-Authenticate", "Bearer")),
        (errors.MethodNotAllowed("PUT", "GET, POST"), ("Allow", "GET, POST")),
        (errors.Conflict("Taken."), ("x-should-retry", "false")),
    ],
)
def test_an_error_brings_the_headers_that_belong_to_it(error: ProxyError, header: tuple[str, str]) -> None:
    assert header in error.headers.items()


def test_headers_of_one_error_are_not_those_of_the_next() -> None:
    shared = {"a": "1"}
    first = errors.InvalidValue("x", headers=shared)
    first.headers["b"] = "2"
    assert shared == {"a": "1"}
    assert errors.InvalidValue("x").headers == {}
