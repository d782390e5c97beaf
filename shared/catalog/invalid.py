"""What is wrong with a catalog document, said once for the log and for `/manage`."""

from typing import Literal

Fault = Literal["missing", "unknown", "invalid"]


class InvalidDocument(Exception):
    """A document that cannot serve. `param` names the field (`parameters.endpoint`); `reason` holds no value.

    Values stay out on purpose: what was written in the wrong place may be a credential.
    """

    def __init__(self, param: str, reason: str, fault: Fault = "invalid") -> None:
        super().__init__(f"{param}: {reason}" if param else reason)
        self.param = param
        self.reason = reason
        self.fault: Fault = fault
