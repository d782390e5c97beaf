"""Every error of the proxy, in one tree. Raise the class; `functions.http.endpoint` renders it.

ProxyError                        what a caller may see: status, type, code, param
├── InvalidRequest            400
│   ├── InvalidJson, MissingParameter, InvalidValue, UnsupportedParameter, UnsupportedOperation
│   └── AmbiguousModel, ContextLengthExceeded, ContentPolicyViolation
├── Unauthenticated           401
│   └── MissingApiKey, InvalidApiKey, ExpiredApiKey
├── Forbidden                 403
│   └── ModelNotAllowed, AdminRequired
├── NotFound                  404
│   └── ModelNotFound
├── MethodNotAllowed          405
├── Conflict                  409
│   └── IdempotencyConflict
├── PreconditionFailed        412
├── RequestTooLarge           413
├── RateLimited               429
├── ClientGone                499   never sent: there is no one to send it to
├── InternalError             500
└── UpstreamError                   what a provider or a store did to us
    ├── ProviderRefusal       4xx   the provider's own status, code and param
    ├── ProviderError         502
    │   ├── ProviderCredentialRefused, ProviderUnreachable, ProviderServerError
    │   └── InvalidProviderResponse
    ├── ProviderUnavailable   503
    ├── CatalogUnavailable    503
    └── ProviderTimeout       504

StoreError                        what a DocumentStore raises
├── DocumentExists, DocumentAbsent, DocumentChanged, DocumentTooLarge
└── StoreUnavailable
    └── StoreThrottled

SecretError                       what a SecretStore or TokenSource raises
├── SecretNotFound
└── SecretsUnavailable

EventError                        what an EventPublisher raises
├── EventTooLarge
└── EventsUnavailable

SettingError                      a setting that stops the start
"""

from collections.abc import Mapping
from typing import ClassVar

from shared import Json


class ProxyError(Exception):
    """An error that a caller may see, in OpenAI's envelope.

    `message` must be free of secrets, paths and stack traces. `headers` are added to the answer.
    """

    status: int = 500
    type: str = "server_error"
    code: str | None = "internal_error"

    def __init__(
        self,
        message: str,
        *,
        param: str | None = None,
        code: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.param = param
        if code is not None:
            self.code = code
        self.headers: dict[str, str] = dict(headers or {})

    def envelope(self) -> Json:
        """`{"error": {"message", "type", "param", "code"}}`, all four keys present (OpenAI's reference)."""
        return {"error": {"message": self.message, "type": self.type, "param": self.param, "code": self.code}}


class InvalidRequest(ProxyError):
    status, type, code = 400, "invalid_request_error", "invalid_value"


class InvalidJson(InvalidRequest):
    code = "invalid_json"


class MissingParameter(InvalidRequest):
    code = "missing_required_parameter"

    def __init__(self, param: str) -> None:
        super().__init__(f"Missing required parameter: '{param}'.", param=param)


class InvalidValue(InvalidRequest):
    code = "invalid_value"


class UnsupportedParameter(InvalidRequest):
    code = "unsupported_parameter"


class UnsupportedOperation(InvalidRequest):
    code = "unsupported_operation"


class AmbiguousModel(InvalidRequest):
    code = "ambiguous_model"


class ContextLengthExceeded(InvalidRequest):
    code = "context_length_exceeded"


class ContentPolicyViolation(InvalidRequest):
    code = "content_policy_violation"


class Unauthenticated(ProxyError):
    status, type, code = 401, "authentication_error", "invalid_api_key"

    def __init__(self, message: str) -> None:
        super().__init__(message, headers={"WWW-Authenticate": "Bearer"})


class MissingApiKey(Unauthenticated):
    code = "missing_api_key"


class InvalidApiKey(Unauthenticated):
    code = "invalid_api_key"


class ExpiredApiKey(Unauthenticated):
    code = "expired_api_key"


class Forbidden(ProxyError):
    status, type, code = 403, "permission_error", "model_not_allowed"


class ModelNotAllowed(Forbidden):
    code = "model_not_allowed"


class AdminRequired(Forbidden):
    code = "admin_required"


class NotFound(ProxyError):
    status, type, code = 404, "invalid_request_error", "not_found"


class ModelNotFound(NotFound):
    code = "model_not_found"


class MethodNotAllowed(ProxyError):
    status, type, code = 405, "invalid_request_error", "method_not_allowed"

    def __init__(self, method: str, allowed: str) -> None:
        super().__init__(
            f"This address does not take {method}; it takes {allowed}.", headers={"Allow": allowed}
        )


class Conflict(ProxyError):
    status, type, code = 409, "conflict_error", "conflict"

    def __init__(self, message: str, *, param: str | None = None) -> None:
        super().__init__(message, param=param, headers={"x-should-retry": "false"})


class IdempotencyConflict(Conflict):
    """The key or id of a job that was submitted with another body."""

    code = "idempotency_conflict"


class PreconditionFailed(ProxyError):
    status, type, code = 412, "invalid_request_error", "precondition_failed"


class RequestTooLarge(ProxyError):
    status, type, code = 413, "invalid_request_error", "request_too_large"


class RateLimited(ProxyError):
    status, type, code = 429, "rate_limit_error", "rate_limit_exceeded"


class ClientGone(ProxyError):
    status, type, code = 499, "client_closed_request", "client_closed_request"

    def __init__(self) -> None:
        super().__init__("The client closed the connection.")


class InternalError(ProxyError):
    def __init__(self) -> None:
        super().__init__("The proxy failed to handle this request. The request id finds it in the log.")


class UpstreamError(ProxyError):
    """A provider failed. `retry_after` is in seconds, where the provider said so."""

    status, type = 502, "upstream_error"
    code: str | None = "provider_error"
    retryable: ClassVar[bool] = False
    """Whether asking the same deployment again may help."""

    def __init__(
        self,
        message: str,
        *,
        param: str | None = None,
        code: str | None = None,
        headers: Mapping[str, str] | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message, param=param, code=code, headers=headers)
        self.retry_after = retry_after


class ProviderRefusal(UpstreamError):
    """The provider's own 4xx (never 401 or 403), with its status, code and param."""

    def __init__(
        self,
        message: str,
        status: int,
        *,
        type: str = "invalid_request_error",
        param: str | None = None,
        code: str | None = None,
        headers: Mapping[str, str] | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message, param=param, headers=headers, retry_after=retry_after)
        self.status = status
        self.type = type
        self.code = code

    @property
    def worth_retrying(self) -> bool:
        return self.status in (408, 409, 429)


class ProviderError(UpstreamError):
    """The provider answered with something we cannot pass on as an answer."""


class ProviderServerError(ProviderError):
    """The provider's 5xx."""

    retryable = True


class ProviderUnreachable(ProviderError):
    """No connection, or one that broke before the answer began."""

    retryable = True


class ProviderCredentialRefused(ProviderError):
    """The provider's 401 or 403: about our credential, not the caller's."""


class InvalidProviderResponse(ProviderError):
    """An answer that is not in the provider's own format."""

    code = "invalid_provider_response"


class ProviderUnavailable(UpstreamError):
    """Nothing to ask: a secret is missing, or every deployment is out."""

    status, code = 503, "provider_unavailable"


class CatalogUnavailable(UpstreamError):
    """Models or keys cannot be read and none are cached."""

    status, code = 503, "catalog_unavailable"


class ProviderTimeout(UpstreamError):
    """The provider was silent for too long. It is not asked again."""

    status, code = 504, "provider_timeout"


class StoreError(Exception):
    """What a DocumentStore raises. Never shown to a caller as it is."""


class DocumentExists(StoreError):
    """create: the id is taken."""


class DocumentAbsent(StoreError):
    """replace or delete with an ETag: there is no such document."""


class DocumentChanged(StoreError):
    """replace or delete with an ETag: the document moved on, or our own write's answer was lost."""


class DocumentTooLarge(StoreError):
    """Over the store's limit of 2 MB an item."""


class StoreUnavailable(StoreError):
    """The store cannot be reached, or does not answer in time."""

    retry_after: float = 1.0
    """Seconds after which it may be worth asking again."""


class StoreThrottled(StoreUnavailable):
    """The store asks to be asked later, in `retry_after` seconds."""

    def __init__(self, message: str, retry_after: float) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class SecretError(Exception):
    """What a SecretStore or a TokenSource raises. Never holds a secret's text."""


class SecretNotFound(SecretError):
    """The vault knows no such name."""


class SecretsUnavailable(SecretError):
    """The vault or the identity cannot be reached, or refuses us."""


class EventError(Exception):
    """What an EventPublisher raises. Never holds an event's body or a credential."""


class EventTooLarge(EventError):
    """An event that no hub takes."""


class EventsUnavailable(EventError):
    """The hub cannot be reached, refuses us, or does not take events in time."""


class SettingError(Exception):
    """A setting that stops the start. The text is one line and names the setting."""
