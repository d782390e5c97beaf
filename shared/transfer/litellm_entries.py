"""One entry of LiteLLM's `model_list` as a model of the catalog."""

from collections.abc import Mapping
from dataclasses import dataclass

from shared import Json
from shared.transfer.litellm_file import Path
from shared.transfer.litellm_info import capabilities_of, costs_of, metadata_of, operations_of
from shared.transfer.litellm_parameters import ParameterReader
from shared.transfer.litellm_providers import Map, find_target
from shared.transfer.litellm_values import EntryRefused, Fields, Remarks

_LIMITS = (("rpm", "rpm"), ("tpm", "tpm"), ("max_parallel_requests", "max_parallel"))


@dataclass(frozen=True, slots=True)
class Around:
    """What an entry may refer to: variables that are no secrets, named credentials, LiteLLM's model map."""

    variables: Mapping[str, str]
    credentials: Mapping[str, tuple[Path, Mapping[str, object]]]
    known: Map
    remarks: Remarks


@dataclass(frozen=True, slots=True)
class Entry:
    """`document` is a model without an id. `weight` and `order` are for its group; `id` is its own name, if any."""

    document: Json
    id: str | None
    weight: float | None
    order: float | None


def read_entry(path: Path, written: Mapping[str, object], around: Around) -> Entry:
    """Raises `EntryRefused`. What is merely left out is a remark."""
    variables, remarks = around.variables, around.remarks
    head = Fields(path, written, variables, remarks)
    head.take("model_name")
    inner, described = head.take("litellm_params"), head.take("model_info")
    params = Fields((*path, "litellm_params"), inner and inner.written, variables, remarks)
    info = Fields((*path, "model_info"), described and described.written, variables, remarks)
    # Limits may stand beside `litellm_params` as well as in it.
    for name, _ in _LIMITS:
        beside = head.take(name)
        if beside is not None:
            params.add(path, {name: beside.written})
    for _, value in head.rest():
        remarks.add(value.path, "left out: nothing here corresponds to it")
    _add_credential(params, around)
    weight, order = params.number("weight"), params.number("order")
    limits = {ours: number for theirs, ours in _LIMITS if (number := params.number(theirs, whole=True))}
    id = info.text("id")
    document = _document(params, info, around)
    return Entry(document | ({"limits": limits} if limits else {}), id, weight, order)


def _add_credential(params: Fields, around: Around) -> None:
    """Fills in what an entry takes from `credential_list`."""
    value = params.take("litellm_credential_name")
    if value is None:
        return
    found = around.credentials.get(str(value.written))
    if found is None:
        raise EntryRefused(value.path, "credential_list has no such name")
    params.add(*found)


def _document(params: Fields, info: Fields, around: Around) -> Json:
    model = params.text("model")
    if not model:
        raise EntryRefused((*params.path, "model"), "is required")
    if "*" in model:
        raise EntryRefused((*params.path, "model"), "stands for many models: name each of them")
    if model.startswith("auto_router/"):
        raise EntryRefused((*params.path, "model"), "is a router inside LiteLLM: make a group")
    base_model = info.text("base_model") or params.text("base_model")
    reader = ParameterReader(params, around.variables, around.remarks)
    endpoint = reader.endpoint()
    target = find_target(model, params.text("custom_llm_provider"), endpoint, around.known)
    mode, operations = operations_of(target, info, base_model, around.known)
    costs = costs_of(mode, params, info, around.remarks)
    parameters = reader.read(target, endpoint)
    code = target.code
    if target.model_type == "AzureOpenAI" and base_model:
        # A deployment may be called anything: its model is what capabilities are known of.
        parameters["deployment_name"] = code
        code = base_model.removeprefix("azure/")
    document: Json = {
        "code": code,
        "provider": target.provider,
        "model_type": target.model_type,
        "operations": operations,
        "parameters": parameters,
    }
    parts = {
        "costs": costs,
        "capabilities": capabilities_of(info),
        "metadata": metadata_of(info, around.remarks),
    }
    return document | {name: part for name, part in parts.items() if part}
