"""Reads Bicep, as far as checks need it: declarations, and values that are written out.

Only the grammar is known here (tree-sitter-bicep), not the types of Azure's resources: those the compiler checks.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import tree_sitter_bicep
from tree_sitter import Language, Node, Parser

KINDS = {
    "parameter_declaration": "param",
    "variable_declaration": "var",
    "resource_declaration": "resource",
    "module_declaration": "module",
    "output_declaration": "output",
}


@dataclass(frozen=True, slots=True)
class Expression:
    """What is not written out: its text, in one line."""

    text: str


@dataclass(frozen=True, slots=True)
class Declaration:
    """`param`, `var`, `resource`, `module` or `output`.

    `target` is a resource's type with its version or a module's path, else the type that is written; `value` what
    stands after the `=`, made of dicts, lists, strings, numbers, bools, None and `Expression`; for a loop it is
    its body, and `over` what it goes through. `decorators` are by name, with their arguments.
    """

    kind: str
    name: str
    target: str
    value: Any
    decorators: dict[str, list[Any]] = field(default_factory=dict)
    existing: bool = False
    over: Any = None
    condition: str = ""
    names: frozenset[str] = frozenset()
    """Identifiers that it uses, without those that its own loop declares."""
    outputs: frozenset[tuple[str, str]] = frozenset()
    """(module, output) of each `module.outputs.output` in it."""
    has_value: bool = True

    @property
    def description(self) -> str:
        text = self.decorators.get("description", [""])[0]
        return text if isinstance(text, str) else ""


@dataclass(frozen=True, slots=True)
class Template:
    path: Path
    declarations: tuple[Declaration, ...]
    problems: tuple[str, ...]
    """What could not be read, each with its line."""
    assigned: dict[str, Any] = field(default_factory=dict)
    """A parameters file's values."""

    def of(self, kind: str) -> dict[str, Declaration]:
        return {one.name: one for one in self.declarations if one.kind == kind}

    def value(self, name: str) -> Any:
        """The value of a variable."""
        return self.of("var")[name].value


def read_template(path: Path) -> Template:
    """Reads a `.bicep` or `.bicepparam` file."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".bicepparam":
        # The grammar has no parameters files: there a parameter looks like a variable here, and `using` like a word.
        text = "\n".join(
            f"var{line[5:]}" if line.startswith("param ") else "" if line.startswith("using ") else line
            for line in text.split("\n")
        )
    root = Parser(Language(tree_sitter_bicep.language())).parse(text.encode()).root_node
    problems = tuple(f"{path.name}:{node.start_point.row + 1}: not understood" for node in _broken(root))
    declarations = tuple(_declarations(root))
    if path.suffix == ".bicepparam":
        return Template(path, (), problems, {one.name: one.value for one in declarations})
    return Template(path, declarations, problems)


def read_folder(folder: Path) -> dict[str, Template]:
    """All templates below a folder, by their path in it."""
    files = sorted((*folder.rglob("*.bicep"), *folder.rglob("*.bicepparam")))
    return {file.relative_to(folder).as_posix(): read_template(file) for file in files}


def _broken(node: Node) -> Iterator[Node]:
    if node.type == "ERROR" or node.is_missing:
        yield node
        return
    for child in node.children:
        yield from _broken(child)


def _declarations(root: Node) -> Iterator[Declaration]:
    decorators: dict[str, list[Any]] = {}
    for node in root.children:
        if node.type == "decorators":
            decorators = dict(_decorator(child) for child in node.named_children if child.type == "decorator")
        elif node.type in KINDS:
            yield _declaration(node, decorators)
            decorators = {}


def _decorator(node: Node) -> tuple[str, list[Any]]:
    call = node.named_children[0]
    name, arguments = call.named_children[0], call.named_children[1:]
    return _text(name), [value_of(one) for group in arguments for one in group.named_children]


def _declaration(node: Node, decorators: dict[str, list[Any]]) -> Declaration:
    children = [child for child in node.children if child.type != "comment"]
    equals = next((place for place, child in enumerate(children) if child.type == "="), len(children))
    head, tail = children[:equals], children[equals + 1 :]
    body, over, condition, local = (tail[0] if tail else None), None, "", set[str]()
    if body is not None and body.type == "for_statement":
        parts = [child for child in body.named_children if child.type != "comment"]
        over = value_of(parts[1])
        local = set(_identifiers(parts[0])) | {_text(child) for child in parts[0].named_children}
        body = parts[-1]
    if body is not None and body.type == "if_statement":
        parts = [child for child in body.named_children if child.type != "comment"]
        condition, body = _text(parts[0])[1:-1], parts[-1]
    target = next((child for child in head[2:] if child.type in ("string", "type")), None)
    written = "" if target is None else value_of(target) if target.type == "string" else _text(target)
    return Declaration(
        kind=KINDS[node.type],
        name=_text(head[1]),
        target=written,
        value=None if body is None else value_of(body),
        decorators=decorators,
        existing=any(child.type == "existing" for child in head),
        over=over,
        condition=condition,
        names=frozenset(name for child in tail for name in _identifiers(child)) - local,
        outputs=frozenset(pair for child in tail for pair in _outputs(child)),
        has_value=bool(tail),
    )


def _identifiers(node: Node) -> Iterator[str]:
    """Names of variables, not of functions or properties."""
    if node.type == "identifier":
        parent = node.parent
        called = parent is not None and parent.type == "call_expression" and parent.children[0] == node
        key = parent is not None and parent.type == "object_property" and parent.children[0] == node
        if not called and not key:
            yield _text(node)
    for child in node.children:
        yield from _identifiers(child)


def _outputs(node: Node) -> Iterator[tuple[str, str]]:
    parts = _text(node).split(".") if node.type == "member_expression" else []
    if len(parts) == 3 and parts[1] == "outputs":
        yield parts[0], parts[2]
    for child in node.children:
        yield from _outputs(child)


def value_of(node: Node) -> Any:
    """The value of an expression as far as it is written out."""
    named = [child for child in node.named_children if child.type != "comment"]
    if node.type == "object":
        properties = [child for child in named if child.type == "object_property"]
        return {_key(one): value_of(one.named_children[-1]) for one in properties}
    if node.type == "array":
        return [value_of(child) for child in named]
    if node.type == "string" and all(child.type != "interpolation" for child in named):
        return "".join(_unescaped(child) for child in named)
    if node.type == "number":
        return int(_text(node))
    if node.type in ("boolean", "null"):
        return {"true": True, "false": False, "null": None}[_text(node)]
    return Expression(" ".join(_text(node).split()))


def _key(node: Node) -> str:
    key = node.children[0]
    return _text(key).strip("'")


def _unescaped(node: Node) -> str:
    text = _text(node)
    return (
        {"\\n": "\n", "\\r": "\r", "\\t": "\t"}.get(text, text[1:])
        if node.type == "escape_sequence"
        else text
    )


def _text(node: Node) -> str:
    return (node.text or b"").decode()
