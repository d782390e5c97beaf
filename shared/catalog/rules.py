"""What must hold between the fields of a model document, beyond the type of each."""

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING

from shared import Json
from shared.catalog.endpoints import checked_endpoint, takes_identity
from shared.catalog.invalid import InvalidDocument
from shared.catalog.model_types import MODEL_TYPES, OPERATIONS, PROVIDERS
from shared.catalog.names import (
    looks_secret,
    reads_environment,
    refuse_default,
    refuse_header,
    refuse_litellm,
    refuse_litellm_secret,
)
from shared.secrets import is_reserved, secret_name

if TYPE_CHECKING:
    from shared.catalog.documents import Group, Model

_NEEDS_KEY = frozenset(("OpenAINative", "AnthropicNative", "GoogleGemini"))
# They become part of an address's path; Azure's and Google's own rules for names are narrower still.
_DEPLOYMENT = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]*")
_VERTEX_CODE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.@:-]*(/[A-Za-z0-9][A-Za-z0-9_.@:-]*)*")


def check_type(provider: str, model_type: str) -> None:
    """Raises unless both are known and belong together."""
    if provider not in PROVIDERS:
        raise InvalidDocument("provider", f"must be one of {', '.join(PROVIDERS)}")
    row = MODEL_TYPES.get(model_type)
    if row is None:
        raise InvalidDocument("model_type", f"must be one of {', '.join(MODEL_TYPES)}")
    if row.provider != provider:
        raise InvalidDocument("model_type", f"{model_type} belongs to the provider {row.provider}")


def check_model(model: "Model") -> list[str]:
    """Raises `InvalidDocument` at the first rule that is broken; returns what is odd but can serve."""
    _check_operations(model)
    _check_code(model)
    _check_access(model)
    _check_lane(model)
    for name in ("fallbacks", "context_window_fallbacks", "content_policy_fallbacks"):
        _check_references(name, model.id, getattr(model, name))
    if model.private and not model.projects:
        return ["private: no projects are listed, so no one can use it"]
    if model.projects and not model.private:
        return ["projects: without private every project can use it"]
    return []


def check_group(group: "Group") -> None:
    members = [member.id for member in group.members]
    if len(set(members)) < len(members):
        raise InvalidDocument("members", "must not name a model twice")
    if group.id in members:
        raise InvalidDocument("members", "must not name the group itself")
    _check_references("fallbacks", group.id, group.fallbacks)


def read_parameters(written: Json, endpoint_hosts: Iterable[str]) -> Json:
    """`parameters` with the endpoint and the names of secrets in one spelling. Types are checked later."""
    read = dict(written)
    endpoint = read.get("endpoint")
    if isinstance(endpoint, str):
        try:
            read["endpoint"] = checked_endpoint(endpoint, endpoint_hosts)
        except ValueError as error:
            raise InvalidDocument("parameters.endpoint", str(error)) from None
    if isinstance(read.get("secret_name"), str):
        read["secret_name"] = _secret("parameters.secret_name", read["secret_name"])
    secrets = read.get("litellm_secrets")
    if isinstance(secrets, dict):
        read["litellm_secrets"] = {
            name: _secret(f"parameters.litellm_secrets.{name}", value) if isinstance(value, str) else value
            for name, value in secrets.items()
        }
    return read


def _secret(param: str, reference: str) -> str:
    if looks_secret(reference.strip()):
        raise InvalidDocument(param, "looks like a secret itself: write the name under which it is kept")
    try:
        name = secret_name(reference)
    except ValueError as error:
        raise InvalidDocument(param, str(error)) from None
    if is_reserved(name):
        raise InvalidDocument(param, "names that begin with llmproxy- are the proxy's own")
    return name


def _check_operations(model: "Model") -> None:
    if not model.operations:
        raise InvalidDocument("operations", "must name at least one operation")
    for index, operation in enumerate(model.operations):
        if operation not in OPERATIONS:
            raise InvalidDocument(f"operations[{index}]", f"must be one of {', '.join(OPERATIONS)}")
        if operation not in model.type.operations:
            raise InvalidDocument(f"operations[{index}]", f"{model.model_type} cannot do {operation}")
    for index, operation in enumerate(model.default_for):
        if not model.supports(operation):
            raise InvalidDocument(f"default_for[{index}]", "must be one of the model's operations")


def _check_code(model: "Model") -> None:
    if not model.code.isprintable():
        raise InvalidDocument("code", "must not hold control characters")
    if model.model_type == "AzureOpenAI" and not _DEPLOYMENT.fullmatch(model.deployment):
        field = "parameters.deployment_name" if model.parameters.deployment_name else "code"
        raise InvalidDocument(
            field, "must be a deployment's name: letters, digits, hyphens, dots, underscores"
        )
    if model.type.vertex and not _VERTEX_CODE.fullmatch(model.code):
        raise InvalidDocument("code", "must be a name on Vertex AI, such as publisher/model@version")


def _check_access(model: "Model") -> None:
    parameters, model_type = model.parameters, model.model_type
    if model.provider in ("Azure", "OpenAICompatible") and not parameters.endpoint:
        raise InvalidDocument("parameters.endpoint", f"is required for {model_type}", "missing")
    if model.type.vertex and not parameters.gcp_project:
        raise InvalidDocument("parameters.gcp_project", f"is required for {model_type}", "missing")
    if parameters.auth:
        if model.provider != "Azure":
            raise InvalidDocument("parameters.auth", "the managed identity serves Azure only")
        if parameters.secret_name:
            raise InvalidDocument("parameters.auth", "give either auth or secret_name")
        if not takes_identity(parameters.endpoint or ""):
            raise InvalidDocument(
                "parameters.endpoint",
                "must be Azure OpenAI, Cognitive Services or Foundry: the identity's token goes nowhere else",
            )
    elif model.provider == "Azure" and not parameters.secret_name:
        raise InvalidDocument(
            "parameters.secret_name", "is required, unless auth is managed_identity", "missing"
        )
    if model_type in _NEEDS_KEY and not parameters.secret_name and not parameters.endpoint:
        raise InvalidDocument("parameters.secret_name", f"is required for {model_type}", "missing")


def _check_lane(model: "Model") -> None:
    parameters = model.parameters
    if parameters.lane == "native" and not model.type.native:
        raise InvalidDocument("parameters.lane", f"{model.model_type} has no native lane")
    if parameters.lane == "litellm" and model.provider == "Demo":
        raise InvalidDocument("parameters.lane", "Demo answers from inside the process")
    for name, value in parameters.default_params.items():
        _refuse(f"parameters.default_params.{name}", refuse_default(name))
        if reads_environment(value):
            raise InvalidDocument(f"parameters.default_params.{name}", "must not refer to the environment")
    for name, value in parameters.extra_headers.items():
        _refuse(f"parameters.extra_headers.{name}", refuse_header(name, value))
    if model.model_type != "LiteLLM":
        for name in ("litellm_params", "litellm_secrets"):
            if getattr(parameters, name):
                raise InvalidDocument(f"parameters.{name}", "is for the model type LiteLLM")
    for name, value in parameters.litellm_params.items():
        _refuse(f"parameters.litellm_params.{name}", refuse_litellm(name))
        if reads_environment(value):
            raise InvalidDocument(
                f"parameters.litellm_params.{name}",
                "must not refer to the environment: name a secret in parameters.litellm_secrets",
            )
    for name in parameters.litellm_secrets:
        _refuse(f"parameters.litellm_secrets.{name}", refuse_litellm_secret(name))


def _check_references(field: str, own: str, ids: tuple[str, ...]) -> None:
    if own in ids:
        raise InvalidDocument(field, "must not name the model itself")
    if len(set(ids)) < len(ids):
        raise InvalidDocument(field, "must not name a model twice")


def _refuse(param: str, reason: str | None) -> None:
    if reason is not None:
        raise InvalidDocument(param, reason)
