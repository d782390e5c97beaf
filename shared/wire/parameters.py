"""Which fields of a request's body travel on, which steer the proxy, and which are refused.

A client must never choose where our credentials go or whom we act as. What is not refused here and not steering
reaches the provider, known or not: providers move faster than this proxy.
"""

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from shared import Json
from shared.errors import UnsupportedParameter
from shared.wire.litellm_names import LITELLM_NAMES

OPENAI_PARAMETERS = frozenset(
    """
audio best_of echo frequency_penalty function_call functions logit_bias logprobs max_completion_tokens max_tokens
messages metadata modalities model moderation n parallel_tool_calls prediction presence_penalty prompt
prompt_cache_key prompt_cache_options prompt_cache_retention reasoning_effort response_format safety_identifier seed
service_tier stop store stream stream_options suffix temperature tool_choice tools top_logprobs top_p user verbosity
web_search_options
chunking_strategy file keywords known_speaker_names known_speaker_references language languages speed stream_format
timestamp_granularities voice
dimensions encoding_format input
conversation context_management include instructions max_output_tokens max_tool_calls previous_response_id reasoning
text truncation
background image images input_fidelity mask output_compression output_format partial_images quality size style
""".split()
)
"""OpenAI's own parameters of its operations (OpenAI's API reference): never refused."""

STEERING = frozenset(
    ("timeout", "max_retries", "fallbacks", "context_window_fallbacks", "content_policy_fallbacks")
)
"""Fields that steer the proxy and are not forwarded."""

_ALWAYS_REFUSED = frozenset(
    """
api_base base_url api_key api_version organization proxy ssl_verify azure_ad_token azure_ad_token_provider
extra_body extra_query default_headers default_query deployment_id models route model_list mock_response
custom_llm_provider http_client transforms
""".split()
)
_REFUSED_PREFIXES = ("vertex_", "aws_", "_litellm_", "litellm_")
_HEADER_FIELDS = ("headers", "extra_headers")

FORWARDED_HEADERS = ("anthropic-beta", "openai-beta", "traceparent")
"""Headers of the client that go to the provider, in lower case."""

_EXEMPT = OPENAI_PARAMETERS | STEERING
_PLAIN = _EXEMPT - STEERING


def refused_parameter(name: str) -> bool:
    """Whether a body field of this name is refused with 400 `unsupported_parameter`."""
    if name in _EXEMPT:
        return False
    return name in LITELLM_NAMES or name in _ALWAYS_REFUSED or name.startswith(_REFUSED_PREFIXES)


def check_names(body: Json, exempt: Collection[str] = ()) -> None:
    """Raises `UnsupportedParameter` for the first refused field. `exempt` are further names that are allowed."""
    if body.keys() <= _PLAIN:
        return
    for name in body:
        if name in _HEADER_FIELDS:
            _check_headers(name, body[name])
        elif refused_parameter(name) and name not in exempt:
            raise UnsupportedParameter(
                f"The parameter '{name}' is set by the proxy's catalog and cannot be set by a request.",
                param=name,
            )


def _check_headers(field: str, headers: Any) -> None:
    if headers is None:
        return
    if not isinstance(headers, Mapping):
        raise UnsupportedParameter(f"'{field}' must be an object of header names.", param=field)
    for name, value in headers.items():
        if name.lower() not in FORWARDED_HEADERS:
            raise UnsupportedParameter(
                f"The header '{name}' cannot be set by a request.", param=f"{field}.{name}"
            )
        if not isinstance(value, str) or not value.isprintable() or not value.isascii():
            raise UnsupportedParameter(
                f"The header '{name}' must be printable text.", param=f"{field}.{name}"
            )


def body_headers(body: Json) -> dict[str, str]:
    """The allowed headers that a body names, already checked, with lower-case names."""
    found: dict[str, str] = {}
    for field in _HEADER_FIELDS:
        headers = body.get(field)
        if isinstance(headers, Mapping):
            found.update({str(name).lower(): str(value) for name, value in headers.items()})
    return found


def forwarded_body(body: Json) -> Json:
    """The body without what is the proxy's: steering and header fields. The same object where there are none."""
    if body.keys() <= _PLAIN:
        return body
    return {
        name: value for name, value in body.items() if name not in STEERING and name not in _HEADER_FIELDS
    }


def storage_addresses(body: Json) -> Iterator[str]:
    """Paths of the values that are `gs://` addresses: what a Google model would read with our identity.

    Text that people wrote may mention such an address; what is walked is every string that is not text.
    """
    for name, value in body.items():
        if name not in ("user", "stop", "prompt"):
            yield from _walk(name, value)


_PLAIN_MESSAGE = frozenset(("role", "content"))
_TEXT_FIELDS = frozenset(("text", "arguments", "name", "description", "role", "refusal", "title"))


def _walk(path: str, value: Any) -> Iterator[str]:
    if isinstance(value, str):
        if value.lstrip()[:5].lower() == "gs://":
            yield path
    elif isinstance(value, list):
        for index, item in enumerate(value):
            if not _is_plain_message(item):
                yield from _walk(f"{path}[{index}]", item)
    elif isinstance(value, dict):
        plain_message = isinstance(value.get("role"), str) and isinstance(value.get("content"), str)
        for name, item in value.items():
            if name in _TEXT_FIELDS or (plain_message and name == "content"):
                continue
            yield from _walk(f"{path}.{name}", item)


def _is_plain_message(value: Any) -> bool:
    """Whether it is a message of text and nothing else, as most are: there is nothing in it to walk."""
    return type(value) is dict and value.keys() == _PLAIN_MESSAGE and type(value["content"]) is str
