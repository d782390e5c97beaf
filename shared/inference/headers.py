"""The headers of a routed answer."""

from collections.abc import Mapping, Sequence
from urllib.parse import quote

from shared.inference.record import CallRecord

MAX_NAMES_SHOWN = 50
MAX_NAME_SHOWN = 64
"""Characters of a dropped parameter's name that the answer's header repeats: a client may have made it up."""


def answer_headers(record: CallRecord, upstream: Mapping[str, str]) -> dict[str, str]:
    """The headers of a routed answer: which model answered, after how many tries, at what cost."""
    model = record.model
    id, provider = (model.id, model.provider) if model is not None else (None, None)
    cost = None if record.request.streamed else record.cost
    return {**upstream, **routed_headers(id, provider, record.attempts, cost, record.dropped)}


def routed_headers(
    model: str | None, provider: str | None, attempts: int, cost: float | None, dropped: Sequence[str] = ()
) -> dict[str, str]:
    """What every routed answer says, a job's later one too. `cost` is in US dollars.

    `dropped` are names of parameters that the provider did not take.
    """
    headers: dict[str, str] = {}
    if model is not None:
        headers["x-llmproxy-model"] = _header_text(model)
    if provider is not None:
        headers["x-llmproxy-provider"] = provider
    headers["x-llmproxy-attempts"] = str(attempts)
    headers["x-llmproxy-cache"] = "off"
    if cost is not None:
        headers["x-llmproxy-cost-usd"] = f"{cost:.10f}".rstrip("0").rstrip(".")
    if dropped:
        headers["x-llmproxy-dropped-params"] = _header_names(dropped)
    return headers


def shown_names(names: Sequence[str]) -> tuple[str, ...]:
    """As much of dropped names as an answer will show, and one name more where there are more."""
    return tuple(name[:MAX_NAME_SHOWN] for name in names[: MAX_NAMES_SHOWN + 1])


def _header_names(names: Sequence[str]) -> str:
    """Names that a client made up, as one header's value: encoded, and no more than a header may hold."""
    shown = ",".join(quote(name, safe="/:@!$&'()*+;=?#[]~") for name in shown_names(names)[:MAX_NAMES_SHOWN])
    return shown if len(names) <= MAX_NAMES_SHOWN else f"{shown},..."


def _header_text(text: str) -> str:
    """An id as a header's value: percent-encoded (RFC 3986) where it is not printable ASCII."""
    return text if text.isascii() and text.isprintable() else quote(text, safe=" /:@!$&'()*+,;=?#[]~")
