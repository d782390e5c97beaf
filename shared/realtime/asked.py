"""Who asks for realtime, and for which model."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from shared.access.caller import Caller
from shared.inference.operations import Operation
from shared.inference.request import InferenceRequest, Pin


@dataclass(frozen=True, slots=True)
class Asked:
    """One request. `headers` are those of the client's that may travel on; a `pin` names the only deployment."""

    caller: Caller
    request_id: str
    model: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    pin: Pin | None = None

    def request(self, operation: Operation) -> InferenceRequest:
        """As the pipeline sees it: what is said of the session travels past it."""
        return InferenceRequest(
            operation=operation,
            caller=self.caller,
            request_id=self.request_id,
            body={},
            model=self.model,
            streamed=False,
            headers=self.headers,
            pin=self.pin,
        )
