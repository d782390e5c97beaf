"""A YAML file of LiteLLM's proxy: its values as JSON has them, and the line that each stands in."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import yaml

from shared import Json

Path = tuple[str | int, ...]
"""`("model_list", 0, "model_name")`"""

_MOST_VALUES = 200_000
"""Values with all that anchors repeat: a small file can unfold into one that fills the memory."""

_DEEPEST = 50
"""Values inside values; an anchor inside itself has no end."""


class NotReadable(Exception):
    """A file that is no YAML mapping, as a sentence that repeats nothing of it."""


@dataclass(frozen=True, slots=True)
class ConfigFile:
    """`content` has text for names and for what YAML takes for a date; `lines` are counted from 1."""

    content: Json
    lines: Mapping[Path, int]

    def where(self, path: Path) -> str:
        """`line 12 (model_list[0].litellm_params.model)`; the line of what is around it where a merge put it."""
        return f"line {self.line(path)} ({_spelled(path)})"

    def line(self, path: Path) -> int:
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path, 1)


class _Loader(yaml.SafeLoader):
    """Safe loading that leaves `2024-10-21` the text that it is meant to be."""


_Loader.yaml_implicit_resolvers = {
    letter: [resolver for resolver in resolvers if resolver[0] != "tag:yaml.org,2002:timestamp"]
    for letter, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def read_config(content: bytes) -> ConfigFile:
    """Raises `NotReadable`."""
    try:
        loader = _Loader(content)
        try:
            node = loader.get_single_node()
            lines = dict(_lines(node)) if node is not None else {}
            value = loader.construct_document(node) if node is not None else None
        finally:
            loader.dispose()
        plain = _plain(value)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise NotReadable(
            f"line {mark.line + 1 if mark else 1} is no valid YAML: {error.problem or error.context}"
        ) from None
    except (yaml.YAMLError, UnicodeDecodeError, ValueError, TypeError):
        raise NotReadable("the file is no valid YAML") from None
    except RecursionError:
        raise NotReadable("the file is nested too deeply") from None
    if not isinstance(plain, dict):
        raise NotReadable("the file is no mapping of names to values")
    return ConfigFile(plain, lines)


def _lines(root: yaml.Node) -> Iterator[tuple[Path, int]]:
    """Each value's path, and the line of its name, or its own in a list."""
    pending: list[tuple[yaml.Node, Path, int]] = [(root, (), 1)]
    for _ in range(_MOST_VALUES):
        if not pending:
            return
        node, path, line = pending.pop()
        yield path, line
        if len(path) > _DEEPEST:
            raise NotReadable("the file is nested too deeply")
        if isinstance(node, yaml.MappingNode):
            pending += ((value, (*path, str(key.value)), _line(key)) for key, value in node.value)
        elif isinstance(node, yaml.SequenceNode):
            pending += ((item, (*path, index), _line(item)) for index, item in enumerate(node.value))
    raise NotReadable("the file unfolds into too many values")


def _line(node: yaml.Node) -> int:
    return int(node.start_mark.line) + 1


def _plain(value: object) -> object:
    if isinstance(value, Mapping):
        return {str(name): _plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple | set):
        return [_plain(item) for item in value]
    return value if value is None or isinstance(value, bool | int | float) else str(value)


def _spelled(path: Path) -> str:
    text = ""
    for step in path:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else step
    return ascii(text)[1:-1] or "the whole file"
