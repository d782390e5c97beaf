"""Names inside `parameters` that a document may not set: credentials, addresses, what is the proxy's own."""

import re

from shared.wire.parameters import OPENAI_PARAMETERS, STEERING, refused_parameter

CONTENT = frozenset(("model", "messages", "prompt", "input", "file", "stream"))
"""What only a request itself can say."""

_HEADER = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,128}")
_WORD = re.compile(r"[A-Z]?[a-z0-9]+|[A-Z]+(?![a-z])")
_CREDENTIAL_WORDS = frozenset(
    (
        "apikey",
        "auth",
        "authorization",
        "bearer",
        "cookie",
        "credential",
        "credentials",
        "jwt",
        "key",
        "passphrase",
        "passwd",
        "password",
        "secret",
        "signature",
        "token",
    )
)
_ADDRESS_WORDS = frozenset(("endpoint", "host", "proxies", "proxy", "uri", "url"))
_ADDRESS_NAMES = frozenset(("api_base", "base_url", "azure_endpoint"))
_TRANSPORT_HEADERS = frozenset(
    (
        # RFC 9110 section 7.6.1 and what describes the body that we send.
        "accept-encoding",
        "connection",
        "content-encoding",
        "content-length",
        "content-type",
        "expect",
        "host",
        "keep-alive",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    )
)
_LITELLM_OWN = frozenset(
    (
        "callbacks",
        "client",
        "custom_llm_provider",
        "extra_headers",
        "failure_callback",
        "headers",
        "input_callback",
        "litellm_logging_obj",
        "logger_fn",
        "mock_response",
        "mock_timeout",
        "mock_tool_calls",
        "model_list",
        "num_retries",
        "shared_session",
        "ssl_verify",
        "success_callback",
    )
)
"""Arguments of LiteLLM's calls that reach into this process; the proxy sets what it needs of them."""
# Keys of OpenAI and Anthropic, of Google (and its access tokens), JSON web tokens, and keys of this proxy.
_SECRET_TEXT = re.compile(r"(sk-|AIza|ya29\.|eyJ|llmp_)[A-Za-z0-9._-]{12,}")


def refuse_default(name: str) -> str | None:
    """Why `default_params` may not hold `name`; None if it may."""
    if name in STEERING:
        return "steers the proxy: set it in parameters"
    if name in CONTENT:
        return "belongs to the request"
    if name in OPENAI_PARAMETERS:
        return None
    if refused_parameter(name) or names_credential(name):
        return "is not for a provider's body"
    return None


def refuse_header(name: str, value: str) -> str | None:
    """Why `extra_headers` may not hold this header; None if it may (RFC 9110 section 5)."""
    lowered = name.lower()
    if not _HEADER.fullmatch(name):
        return "is no name of a header"
    if lowered in _TRANSPORT_HEADERS or lowered.startswith("proxy-"):
        return "belongs to the connection"
    if names_credential(name):
        return "would hold a credential: name a secret in secret_name"
    if not all(character == "\t" or " " <= character <= "~" for character in value):
        return "must have a value in printable ASCII"
    return None


def refuse_litellm(name: str) -> str | None:
    """Why `litellm_params` may not hold `name`; None if it may."""
    if names_credential(name):
        return "would hold a credential: name a secret in parameters.litellm_secrets"
    return _refuse_argument(name)


def refuse_litellm_secret(name: str) -> str | None:
    """Why `litellm_secrets` may not fill the argument `name`; None if it may."""
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]{0,127}", name):
        return "is no name of an argument"
    return _refuse_argument(name)


def names_credential(name: str) -> bool:
    """Whether a name speaks of a credential (`aws_secret_access_key`; `max_tokens` does not)."""
    return not _CREDENTIAL_WORDS.isdisjoint(_words(name))


def looks_secret(text: str) -> bool:
    """Whether a text that should be a secret's name looks like a secret's value."""
    return bool(_SECRET_TEXT.match(text))


def reads_environment(value: object) -> bool:
    """Whether a JSON value holds a text that LiteLLM would look up in the environment, or exchange."""
    pending = [value]
    while pending:
        item = pending.pop()
        if isinstance(item, str):
            if item.strip().startswith(("os.environ/", "oidc/")):
                return True
        elif isinstance(item, dict):
            pending.extend(item.values())
        elif isinstance(item, list):
            pending.extend(item)
    return False


def _refuse_argument(name: str) -> str | None:
    if name in _ADDRESS_NAMES or not _ADDRESS_WORDS.isdisjoint(_words(name)):
        return "would hold an address: set parameters.endpoint"
    if name in STEERING:
        return "steers the proxy: set it in parameters or in the model"
    if name in CONTENT or name in _LITELLM_OWN or name.startswith(("_litellm_", "litellm_")):
        return "is the proxy's to set"
    return None


def _words(name: str) -> set[str]:
    return {word.lower() for word in _WORD.findall(name)}
