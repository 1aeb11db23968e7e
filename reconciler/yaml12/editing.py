"""Puts another value at one place of a YAML text and leaves every other byte as it is, or says why it cannot.

`accept` calls it. What is written is read back: unless the text then says exactly what it said before, with that one
value in its place, nothing is returned. Anchors, aliases, tags and values over several lines with comments are refused.
"""

from __future__ import annotations

import copy
import json
from typing import Any

import yaml

from reconciler.errors import InputError
from reconciler.yaml12.text import Path, path_text
from reconciler.yaml12.writing import write


class CannotEdit(Exception):
    """The place cannot be edited safely; the text says why."""


def replaced(text: str, file: str, index: int, path: Path, value: Any) -> str:
    """Return *text* with *value* at *path* of its document number *index*; raises CannotEdit."""
    from reconciler.yaml12 import read

    node = _node(text, index, path)
    start, end = node.start_mark.index, node.end_mark.index
    old = text[start:end]
    if isinstance(node, yaml.ScalarNode):
        new = _scalar(old, node, value)
    elif node.flow_style:
        if "#" in old:
            raise CannotEdit("it may hold a comment")
        new = _flow(value)
    else:
        end = start + len(old.rstrip())
        old = text[start:end]
        if "#" in old:
            raise CannotEdit("it may hold a comment")
        new = _block(value, node.start_mark.column)
    edited = text[:start] + new + text[end:]
    try:
        before, after = read(text, file), read(edited, file)
    except InputError as error:
        raise CannotEdit("what would be written there is no YAML that is read strictly") from error
    wanted = [copy.deepcopy(document.value) for document in before]
    _put(wanted[index], path, value)
    if [document.value for document in after] != wanted:
        raise CannotEdit("the text around it would change its meaning")
    return edited


def _node(text: str, index: int, path: Path) -> Any:
    """Return the node at *path*, which must have been written there and nowhere else."""
    # Read strictly before, so bounded and sound; the pure loader counts characters, which the other one does not.
    node = list(yaml.compose_all(text, Loader=yaml.SafeLoader))[index]
    for step in path:
        before, inner = _member(node, step)
        if inner is None:
            raise CannotEdit(f"{path_text(path)} is not written there")
        if inner.start_mark.index < before:  # what an alias stands for was written further up
            raise CannotEdit("it is written elsewhere, and taken from there by an alias")
        node = inner
    if text[node.start_mark.index : node.start_mark.index + 1] in ("&", "*", "!"):
        raise CannotEdit("it has an anchor, an alias or a tag")
    return node


def _member(node: Any, step: str | int) -> tuple[int, Any]:
    """Return what stands at *step* in *node*, and where at the earliest it can begin."""
    if isinstance(node, yaml.MappingNode):
        return next(((key.end_mark.index, value) for key, value in node.value if key.value == step), (0, None))
    if isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
        return node.start_mark.index, node.value[step]
    return 0, None


def _scalar(old: str, node: Any, value: Any) -> str:
    if isinstance(value, (dict, list)):
        raise CannotEdit("a single value stands there, and the cluster has a list or an object")
    if "\n" in old or node.style in ("|", ">") or not old:
        raise CannotEdit("its text goes over several lines, or is empty")
    return _flow(value)


def _flow(value: Any) -> str:
    """Return *value* on one line, as it can stand inside brackets too."""
    if isinstance(value, list):
        return f"[{', '.join(map(_flow, value))}]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_flow(name)}: {_flow(item)}" for name, item in value.items()) + "}"
    if isinstance(value, str):
        plain = write([value]).removesuffix("\n").removesuffix("\n...")
        return json.dumps(value) if any(sign in plain for sign in ",[]{}#:\n") or '"' in plain else plain
    return json.dumps(value)


def _block(value: Any, column: int) -> str:
    """Return *value* as lines that begin at *column*; the first one stands where the old one stood."""
    if not isinstance(value, (dict, list)) or not value:
        return _flow(value)
    lines = write([value]).rstrip("\n").split("\n")
    return "\n".join([lines[0], *(f"{' ' * column}{line}" for line in lines[1:])])


def _put(document: Any, path: Path, value: Any) -> None:
    for step in path[:-1]:
        document = document[step]
    document[path[-1]] = value
