"""Whether a model may take a request: operation, ranges, and what its catalog entry has to allow."""

from shared.catalog.documents import Model
from shared.errors import UnsupportedOperation, UnsupportedParameter
from shared.inference.request import InferenceRequest
from shared.wire.parameters import storage_addresses

_OPENAI_RANGES = frozenset(("OpenAI", "Azure", "Demo"))


def admit(model: Model, request: InferenceRequest) -> None:
    """Raises an `InvalidRequest` that says why this model cannot take this request."""
    operation = request.operation
    if not model.supports(operation.name):
        raise UnsupportedOperation(
            f"The model '{model.id}' does not support {operation.name}.", param="model"
        )
    operation.admits(model, request.caller)
    if model.provider in _OPENAI_RANGES:
        operation.check_ranges(request.body)
    if "data_sources" in request.body and not model.parameters.allow_data_sources:
        raise UnsupportedParameter(
            f"The model '{model.id}' does not allow 'data_sources'.", param="data_sources"
        )
    if model.provider not in _OPENAI_RANGES and not model.parameters.allow_gs_uris:
        for path in storage_addresses(request.body):
            raise UnsupportedParameter(f"The model '{model.id}' does not allow gs:// addresses.", param=path)
