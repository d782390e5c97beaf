"""The table of what each model type can be asked for, and how it is asked (docs/operations.md).

`python -m shared.inference.operations_table` prints it.
"""

from collections.abc import Iterator

from shared.access.caller import ANONYMOUS
from shared.catalog.documents import Limits, Model
from shared.catalog.model_types import MODEL_TYPES, OPERATIONS, ModelType
from shared.catalog.parameters import Parameters
from shared.errors import ProxyError
from shared.inference import operations
from shared.inference.operations import Operation

_NEVER = ""


def operations_table() -> str:
    """Markdown: a row for the model types that can do the same in the same way, a column for each operation."""
    rows: dict[tuple[str, ...], list[str]] = {}
    for row in MODEL_TYPES.values():
        rows.setdefault((row.provider, *(way(row, name) for name in OPERATIONS)), []).append(row.name)
    head = ("Model type", *(f"`{name}`" for name in OPERATIONS))
    lines = [head, ("---",) * len(head)]
    lines += [(_names(types), *ways) for (_, *ways), types in rows.items()]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def way(row: ModelType, operation: str) -> str:
    """How models of a type are asked for an operation: `native`, `LiteLLM`, `demo`; empty where they cannot be."""
    if operation not in row.operations or not any(_admitted(row, one) for one in declared(operation)):
        return _NEVER
    if row.provider == "Demo":
        return "demo"
    return "native" if row.native else "LiteLLM"


def declared(name: str) -> Iterator[Operation]:
    """The declared operations that the catalog knows by this name."""
    for value in vars(operations).values():
        if isinstance(value, Operation) and value.name == name:
            yield value


def _admitted(row: ModelType, operation: Operation) -> bool:
    model = Model.model_construct(
        id=row.name,
        code=row.name,
        provider=row.provider,
        model_type=row.name,
        operations=(operation.name,),
        parameters=Parameters(),
        limits=Limits(),
    )
    try:
        operation.admits(model, ANONYMOUS)
    except ProxyError:
        return False
    return True


def _names(types: list[str]) -> str:
    """The names, without what all after the first repeat."""
    first, *others = types
    family = "GoogleVertex"
    short = [name.replace(family, "…", 1) if first.startswith(family) else name for name in others]
    return ", ".join(f"`{name}`" for name in (first, *short))


if __name__ == "__main__":
    print(operations_table(), end="")
