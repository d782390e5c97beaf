"""Plain objects in place of the classes that Azure generates from its gRPC protocol.

The library calls constructors of a `protos` module that it is handed and reads attributes of what it is given
(FunctionRpc.proto in Azure/azure-functions-language-worker-protobuf).
"""

from types import SimpleNamespace


class Message(SimpleNamespace):
    """Keeps whatever fields it is made with."""


class TypedData(Message):
    """Exactly one of `string`, `json`, `bytes`, `http`, `collection_bytes`."""

    def WhichOneof(self, group: str) -> str | None:
        return next(iter(vars(self)), None)


class CollectionBytes(Message):
    """Several values at once: `bytes` is a list of them."""


class ParameterBinding(Message):
    """A value for one parameter of the function: `name` and `data`."""

    def WhichOneof(self, group: str) -> str | None:
        return "data" if getattr(self, "data", None) is not None else None


class StatusResult(Message):
    Failure, Success, Cancelled = 0, 1, 2


class BindingInfo(Message):
    """The numbers are those of its enums `DataType` and `Direction`."""

    undefined, string, binary, stream = 0, 1, 2, 3
    out, inout = 1, 2


class WorkerInitResponse(Message): ...


class WorkerMetadata(Message): ...


class FunctionMetadataResponse(Message): ...


class InvocationResponse(Message): ...


class RpcException(Message): ...


class RpcFunctionMetadata(Message): ...


class RpcRetryOptions(Message): ...


class RpcHttp(Message): ...


def request(kind: str, properties: dict[str, object], **fields: object) -> Message:
    """An envelope as the host sends it: the message of `kind` inside `request`, and its properties."""
    return Message(request=Message(**{kind: Message(**fields)}), properties=properties)
