"""Which deployment is asked, and which one after it: groups, fallbacks, retries."""

import random
from collections import deque
from collections.abc import Sequence
from itertools import count

from shared.catalog.catalog import Catalog
from shared.catalog.documents import Group, Model
from shared.errors import (
    ContentPolicyViolation,
    ContextLengthExceeded,
    InvalidValue,
    ProviderRefusal,
    ProviderUnavailable,
    ProxyError,
    UpstreamError,
)
from shared.inference.admission import admit
from shared.inference.request import InferenceRequest, Pin
from shared.signed_ids import no_such_id

BACKOFF_BASE = 0.5
BACKOFF_CAP = 8.0
PATIENCE = 5.0
"""Seconds of `Retry-After` that are waited for while another deployment could be asked instead."""


class Router:
    """Orders the members of groups. Keeps one counter per group for `round-robin`."""

    def __init__(self) -> None:
        self._turns: dict[str, count[int]] = {}
        self._random = random.Random()  # noqa: S311

    def plan(self, catalog: Catalog, request: InferenceRequest) -> "Plan":
        """Resolves the request's model. Raises what a caller should see when nothing can serve it."""
        if request.pin is not None:
            pinned = self._pinned(catalog, request, request.pin)
            return Plan(self, catalog, request, pinned, [pinned])
        requested = _requested(catalog, request)
        if isinstance(requested, Model):
            admit(requested, request)
            return Plan(self, catalog, request, requested, [requested])
        members = self.ordered(catalog, request, requested)
        return Plan(self, catalog, request, requested, _admitted(request, requested, members))

    def check(self, catalog: Catalog, request: InferenceRequest) -> None:
        """Raises what `plan` would, and takes no turn of a group."""
        if request.pin is not None:
            self._pinned(catalog, request, request.pin)
            return
        requested = _requested(catalog, request)
        if isinstance(requested, Model):
            admit(requested, request)
        else:
            members = [model for model, _ in catalog.members(requested, request.caller)]
            _admitted(request, requested, members)

    def _pinned(self, catalog: Catalog, request: InferenceRequest, pin: Pin) -> Model:
        """The deployment that a request is bound to. Raises `NotFound` where it is gone."""
        model = catalog.held(pin.model, request.caller)
        if model is None:
            raise no_such_id(pin.id, pin.param)
        if request.model is not None:
            requested = catalog.resolve(request.model, request.caller)
            steered = request.steering.fallbacks or ()
            if not catalog.leads_to(requested, model) and model.id not in steered:
                raise InvalidValue(
                    f"'{pin.id}' lies with the model '{model.id}'; the model '{request.model}' cannot go on from it.",
                    param=pin.param,
                )
        admit(model, request)
        return model

    def ordered(self, catalog: Catalog, request: InferenceRequest, group: Group) -> list[Model]:
        """The group's members in the order of its strategy."""
        members = catalog.members(group, request.caller)
        if group.strategy == "round-robin" and members:
            turn = next(self._turns.setdefault(group.id, count())) % len(members)
            members = members[turn:] + members[:turn]
        elif group.strategy == "weighted":
            members = self._shuffled(members)
        return [model for model, _ in members]

    def _shuffled(self, members: Sequence[tuple[Model, float]]) -> list[tuple[Model, float]]:
        """A random order in which each member comes first with a probability of its weight's share."""
        return sorted(
            members,
            key=lambda member: self._random.expovariate(member[1]) if member[1] > 0 else float("inf"),
        )


def _requested(catalog: Catalog, request: InferenceRequest) -> Model | Group:
    """What the request's model means. Raises what a caller should see where it means nothing."""
    if request.model is None:
        return catalog.default_model(request.operation.name, request.caller)
    return catalog.resolve(request.model, request.caller)


def _admitted(request: InferenceRequest, group: Group, members: Sequence[Model]) -> list[Model]:
    """Those of the members that may take the request. Raises the first refusal where none may."""
    refusal: ProxyError | None = None
    admitted = []
    for model in members:
        try:
            admit(model, request)
        except ProxyError as error:
            refusal = refusal or error
        else:
            admitted.append(model)
    if not admitted:
        raise refusal or ProviderUnavailable(
            f"The group '{group.id}' has no member that can serve this call."
        )
    return admitted


class Plan:
    """The deployments that may serve one request, in order; it grows by the fallbacks that an error opens."""

    def __init__(
        self,
        router: Router,
        catalog: Catalog,
        request: InferenceRequest,
        requested: Model | Group,
        primary: list[Model],
    ) -> None:
        self._router = router
        self._catalog = catalog
        self._request = request
        self._requested = requested
        self._queue = deque(primary[1:])
        self._primary = {model.id for model in primary}
        self._tried = {primary[0].id}
        self._general_opened = False
        self.first = primary[0]

    def is_fallback(self, model: Model) -> bool:
        return model.id not in self._primary

    def next_after(self, error: ProxyError, failed: Model) -> Model | None:
        """The deployment to ask after `failed` gave `error`; None where the error is the answer."""
        if isinstance(error, ContextLengthExceeded):
            self._queue = deque(self._opened("context_window_fallbacks", failed))
        elif isinstance(error, ContentPolicyViolation):
            self._queue = deque(self._opened("content_policy_fallbacks", failed))
        elif not fails_over(error):
            return None
        elif not self._next_untried() and not self._general_opened:
            self._general_opened = True
            self._queue.extend(self._opened("fallbacks", failed))
        if self._next_untried():
            model = self._queue.popleft()
            self._tried.add(model.id)
            return model
        return None

    def has_alternative(self) -> bool:
        """Whether another deployment could be asked instead of waiting for this one."""
        if self._next_untried():
            return True
        return not self._general_opened and bool(self._names("fallbacks", self.first))

    def _next_untried(self) -> bool:
        while self._queue and self._queue[0].id in self._tried:
            self._queue.popleft()
        return bool(self._queue)

    def _names(self, kind: str, failed: Model) -> tuple[str, ...]:
        if self._request.pin is not None:
            return ()
        steered = getattr(self._request.steering, kind)
        if steered is not None:
            return tuple(steered)
        return tuple(getattr(self._requested, kind, ())) or tuple(getattr(failed, kind))

    def _opened(self, kind: str, failed: Model) -> list[Model]:
        """The models that a list of fallbacks names, without those that this caller or request cannot use."""
        request = self._request
        opened: list[Model] = []
        for name in self._names(kind, failed):
            found = self._catalog.usable(name, request.caller)
            if isinstance(found, Group):
                candidates = self._router.ordered(self._catalog, request, found)
            else:
                candidates = [found] if found else []
            for model in candidates:
                try:
                    admit(model, request)
                except ProxyError:
                    continue
                opened.append(model)
        return opened


def backoff(attempt: int) -> float:
    """Seconds before the try after `attempt` (0 is the first): exponential, with full jitter."""
    return random.uniform(0, min(BACKOFF_CAP, BACKOFF_BASE * 2**attempt))  # noqa: S311


def retries_help(error: ProxyError) -> bool:
    """Whether the same deployment may be asked again: connection errors, 408, 409, 429 and 5xx."""
    if isinstance(error, ProviderRefusal):
        return error.worth_retrying and error.code != "insufficient_quota"
    return isinstance(error, UpstreamError) and error.retryable


def fails_over(error: ProxyError) -> bool:
    """Whether another deployment may do better: everything but a request that is at fault itself."""
    if isinstance(error, ProviderRefusal):
        return error.worth_retrying or error.status == 404
    return isinstance(error, UpstreamError)
