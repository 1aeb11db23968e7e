"""Replaces one value in a YAML text and leaves every other byte as it is, or reports why it cannot.

`accept` calls it. What is written is read back: unless the text then says exactly what it said before, with that one
value in its place, nothing is returned. Anchors, aliases, tags and values over several lines with comments are refused.
"""

from __future__ import annotations

import copy
from typing import Any

import yaml

from reconciler.errors import InputError
from reconciler.yaml12.parser_limits import Path, path_text
from reconciler.yaml12.writer import EDITED, block, flow


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
            raise CannotEdit("it may contain a comment")
        new = flow(value, EDITED)
    else:
        end = start + len(old.rstrip())
        old = text[start:end]
        if "#" in old:
            raise CannotEdit("it may contain a comment")
        new = _block(value, node.start_mark.column)
    edited = text[:start] + new + text[end:]
    try:
        before, after = read(text, file), read(edited, file)
    except InputError as error:
        raise CannotEdit("the edited text would not be valid YAML") from error
    wanted = [copy.deepcopy(document.value) for document in before]
    _put(wanted[index], path, value)
    if [document.value for document in after] != wanted:
        raise CannotEdit("the meaning of the surrounding text would change")
    return edited


def _node(text: str, index: int, path: Path) -> Any:
    """Return the node at *path*, which must have been written there and nowhere else."""
    # Read strictly before, so bounded and sound; the pure loader counts characters, which the other one does not.
    node = list(yaml.compose_all(text, Loader=yaml.SafeLoader))[index]
    for step in path:
        before, inner = _member(node, step)
        if inner is None:
            raise CannotEdit(f"{path_text(path)} is not written there")
        if inner.start_mark.index < before:  # the value of an alias was written further up
            raise CannotEdit("it is the value of an alias that is defined elsewhere")
        node = inner
    if text[node.start_mark.index : node.start_mark.index + 1] in ("&", "*", "!"):
        raise CannotEdit("it has an anchor, an alias or a tag")
    return node


def _member(node: Any, step: str | int) -> tuple[int, Any]:
    """Return the node at *step* in *node*, and the first position at which it can begin."""
    if isinstance(node, yaml.MappingNode):
        return next(((key.end_mark.index, value) for key, value in node.value if key.value == step), (0, None))
    if isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
        return node.start_mark.index, node.value[step]
    return 0, None


def _scalar(old: str, node: Any, value: Any) -> str:
    if isinstance(value, (dict, list)):
        raise CannotEdit("it is a single value, and the cluster has a list or an object")
    if "\n" in old or node.style in ("|", ">") or not old:
        raise CannotEdit("its text spans several lines or is empty")
    return flow(value, EDITED)


def _block(value: Any, column: int) -> str:
    """Return *value* as lines that begin at *column*; the first one replaces the first line of the old value."""
    if not isinstance(value, (dict, list)) or not value:
        return flow(value, EDITED)
    return ("\n" + " " * column).join(block(value, EDITED))


def _put(document: Any, path: Path, value: Any) -> None:
    for step in path[:-1]:
        document = document[step]
    document[path[-1]] = value
