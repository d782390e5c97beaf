"""Catalog documents: models and groups, and how a stored or posted JSON object becomes one."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, field_validator

from shared import Json
from shared.catalog.costs import NAMES as COST_NAMES
from shared.catalog.costs import Costs, read_costs
from shared.catalog.identifiers import checked_id
from shared.catalog.invalid import Fault, InvalidDocument
from shared.catalog.model_types import MODEL_TYPES, ModelType
from shared.catalog.model_types import litellm_name as _litellm_name
from shared.catalog.parameters import Parameters
from shared.catalog.rules import check_group, check_model, check_type, read_parameters

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

Id = Annotated[str, AfterValidator(checked_id)]
Ids = Annotated[tuple[Id, ...], Field(strict=False)]
ProjectId = Annotated[Id, Field(max_length=128)]
Operations = Annotated[tuple[str, ...], Field(strict=False)]
Count = Annotated[int, Field(ge=1)]


class _Part(BaseModel):
    """Parts of documents: immutable, and nothing is turned into another type on the way in."""

    model_config = ConfigDict(frozen=True, strict=True, extra="ignore", allow_inf_nan=False)


class Capabilities(_Part):
    """What a model can do and take, in tokens; None where nobody said."""

    vision: bool | None = None
    function_calling: bool | None = None
    json_schema: bool | None = None
    reasoning: bool | None = None
    streaming: bool | None = None
    max_input_tokens: Count | None = None
    max_output_tokens: Count | None = None


class Limits(_Part):
    """Limits of a model: requests and tokens per minute, calls at once, and USD."""

    rpm: Count | None = None
    tpm: Count | None = None
    max_parallel: Count | None = None
    budget_usd: Annotated[float, Field(ge=0)] | None = None


class _Document(_Part):
    id: Id
    name: str | None = None
    enabled: bool = True
    fallbacks: Ids = ()
    metadata: Json = Field(default_factory=dict)
    created_at: str | None = None
    updated_at: str | None = None

    @field_validator("created_at", "updated_at")
    @classmethod
    def _is_a_time(cls, text: str | None) -> str | None:
        if text is not None:
            try:
                datetime.fromisoformat(text)
            except ValueError:
                raise ValueError("must be a time in ISO 8601") from None
        return text

    # Two versions of a document are two things, and comparing them by value would cost on the hot path.
    def __eq__(self, other: object) -> bool:
        return self is other

    def __hash__(self) -> int:
        return id(self)


class Model(_Document):
    """A model of the catalog, checked and immutable; compared and hashed by identity.

    Field names are those of the document. `costs` is in one unit (see `Costs`), None without prices.
    """

    code: Annotated[str, Field(min_length=1, max_length=256)]
    provider: str
    model_type: str
    operations: Operations
    parameters: Parameters = Field(default_factory=Parameters)
    costs: Costs | None = None
    projects: Annotated[tuple[ProjectId, ...], Field(strict=False)] = ()
    private: bool = False
    default_for: Operations = ()
    capabilities: Capabilities = Field(default_factory=Capabilities)
    context_window_fallbacks: Ids = ()
    content_policy_fallbacks: Ids = ()
    limits: Limits = Field(default_factory=Limits)

    @cached_property
    def type(self) -> ModelType:
        return MODEL_TYPES[self.model_type]

    @cached_property
    def native(self) -> bool:
        """Whether the native lane serves it: its type can, and the document does not ask for LiteLLM's."""
        return self.type.native and self.parameters.lane != "litellm"

    @cached_property
    def deployment(self) -> str:
        """What the provider calls it: `deployment_name`, else `code`."""
        return self.parameters.deployment_name or self.code

    @cached_property
    def litellm_name(self) -> str:
        return _litellm_name(self)

    @cached_property
    def _operation_set(self) -> frozenset[str]:
        return frozenset(self.operations)

    @cached_property
    def project_set(self) -> frozenset[str]:
        return frozenset(self.projects)

    def supports(self, operation: str) -> bool:
        return operation in self._operation_set


class Member(_Part):
    """A model of a group. `weight` counts where the strategy is `weighted`."""

    id: Id
    weight: Annotated[float, Field(gt=0, le=1_000_000)] = 1.0


class Group(_Document):
    """An alias that spreads load over its members; compared and hashed by identity."""

    kind: Literal["group"] = "group"
    members: Annotated[tuple[Member, ...], Field(strict=False, min_length=1)]
    strategy: Literal["priority", "round-robin", "weighted"] = "round-robin"


_LONGEST_NAME = 120
"""Characters of an unknown name that are repeated."""
_OWN = ("kind", "revision")
"""Known names that are no fields of a model: the kind of a document, and the mark of its last writer."""
_PARTS: dict[str, tuple[str, ...]] = {
    "parameters": tuple(Parameters.model_fields),
    "costs": tuple(COST_NAMES),
    "capabilities": tuple(Capabilities.model_fields),
    "limits": tuple(Limits.model_fields),
}
_REASONS = {
    "missing": "is required",
    "string_type": "must be a string",
    "bool_type": "must be true or false",
    "int_type": "must be a whole number",
    "float_type": "must be a number",
    "finite_number": "must be a finite number",
    "dict_type": "must be an object",
    "model_type": "must be an object",
    "dataclass_type": "must be an object",
    "tuple_type": "must be a list",
}


def parse_document(
    body: object, *, strict: bool, endpoint_hosts: Sequence[str] = ()
) -> tuple[Model | Group, list[str]]:
    """A document as a model or a group, and what is odd about it.

    Raises `InvalidDocument` where it cannot serve. With `strict` an unknown name is refused; without, it is
    one of the oddities, for a store may hold documents of a newer version. A null counts as absent.
    """
    if not isinstance(body, Mapping):
        raise InvalidDocument("", "must be a JSON object")
    kind = body.get("kind")
    if kind not in (None, "model", "group"):
        raise InvalidDocument("kind", "must be model or group")
    shape: type[Model | Group] = Group if kind == "group" else Model
    written, unknown = _known("", body, (*shape.model_fields, *_OWN))
    if shape is Model:
        _read_parts(written, unknown, endpoint_hosts)
    else:
        written["members"] = _members(body.get("members"), unknown)
    if unknown and strict:
        raise InvalidDocument(unknown[0], "is an unknown name", "unknown")
    warnings = [f"{name}: is an unknown name" for name in unknown]
    document = _validated(shape, written)
    if isinstance(document, Model):
        warnings += check_model(document)
    else:
        check_group(document)
    return document, warnings


def _read_parts(written: Json, unknown: list[str], endpoint_hosts: Sequence[str]) -> None:
    """Reads the objects inside a model's document in place."""
    for field, names in _PARTS.items():
        part = written.get(field)
        if isinstance(part, Mapping):
            written[field], strange = _known(f"{field}.", part, names)
            unknown += strange
    if isinstance(written.get("parameters"), dict):
        written["parameters"] = read_parameters(written["parameters"], endpoint_hosts)
    if isinstance(written.get("costs"), dict):
        written["costs"] = read_costs(written["costs"])
    provider, model_type = written.get("provider"), written.get("model_type")
    if isinstance(provider, str) and isinstance(model_type, str):
        check_type(provider, model_type)


def _known(prefix: str, written: Mapping[str, object], names: Iterable[str]) -> tuple[Json, list[str]]:
    """The known fields that are not null, and the full names of the others.

    What begins with an underscore is the database's own (`_ts`) and neither.
    """
    known, strange, allowed = {}, [], frozenset(names)
    for name, value in written.items():
        if name in allowed:
            if value is not None:
                known[name] = value
        elif not name.startswith("_"):
            strange.append(f"{prefix}{name}"[:_LONGEST_NAME])
    return known, strange


def _members(written: object, unknown: list[str]) -> object:
    """A group's members as objects: a bare id stands for a member of weight 1."""
    if not isinstance(written, list):
        return written
    members: list[object] = []
    for index, member in enumerate(written):
        if isinstance(member, Mapping):
            known, strange = _known(f"members[{index}].", member, Member.model_fields)
            members.append(known)
            unknown += strange
        else:
            members.append({"id": member})
    return members


def _validated(shape: type[Model | Group], written: Json) -> Model | Group:
    try:
        return shape.model_validate(written)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        fault: Fault = "missing" if first["type"] == "missing" else "invalid"
        raise InvalidDocument(_path(first["loc"]), _reason(first), fault) from None


def _path(location: tuple[int | str, ...]) -> str:
    path = ""
    for step in location:
        path += f"[{step}]" if isinstance(step, int) else f".{step}" if path else step
    return path


def _reason(error: "ErrorDetails") -> str:
    """pydantic's finding in our words. Neither its own nor what our validators say repeats the input."""
    kind, context = error["type"], error.get("ctx", {})
    if kind == "value_error":
        return str(context.get("error", error["msg"]))
    if kind in _REASONS:
        return _REASONS[kind]
    return error["msg"][:1].lower() + error["msg"][1:]
