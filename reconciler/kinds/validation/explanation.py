"""Errors of jsonschema to findings: the keyword, the alternative that was meant, and the rule that is broken.

Called by `validator` only. Never shows the value of a field that can contain a secret.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from reconciler.kinds.validation.keywords import KEYWORDS, unexpected
from reconciler.kinds.validation.messages import Finding, expected_format, got, joined, near, one_of, shown
from reconciler.kinds.validation.rules import equal

_SECRET = "a secret value is not allowed here"  # noqa: S105
_USE_VALUE_FROM = "write {valueFrom: {env: NAME}} or {valueFrom: {file: path}}"
_ONE_SOURCE = "expected valueFrom with exactly one of env and file"


class _Place(NamedTuple):
    """Where in the schema an error is."""

    secret: tuple[str | int, ...] | None  # path of the innermost field that can contain a secret
    rule: str  # description of the rule between fields that is broken, if one is
    key: bool  # it is about the name of a property, not about its value


def _place(error: Any, root: Mapping[str, Any]) -> _Place:
    """Walk *root* along the schema path of *error*."""
    path = tuple(error.absolute_path)
    words = iter(error.absolute_schema_path)
    schema: Any = root
    depth, secret, rule, key = 0, None, "", False
    while isinstance(schema, dict):
        if "x-secret" in schema:
            secret = path[:depth]
        word = next(words, None)
        if word in ("properties", "items", "additionalProperties"):
            depth += 1
        key = key or word == "propertyNames"
        if word in ("properties", "allOf", "anyOf", "oneOf", "if"):
            step = next(words, None)
            if step is None:
                break
            schema = schema[step] if word == "if" else schema[word][step]
            if word == "allOf" and isinstance(schema, dict):
                rule = schema.get("description", "")
            elif isinstance(schema, dict) and "type" in schema:
                rule = ""  # below a rule between fields comes a field of its own
        else:
            schema = schema.get(word) if isinstance(word, str) else None
    return _Place(secret, rule, key)


def findings(
    errors: Iterable[Any], root: Mapping[str, Any], written: Callable[[tuple[str | int, ...]], str] | None = None
) -> list[Finding]:
    """Return the findings of the jsonschema *errors* under the schema *root*, each once, in their order.

    *written* returns the number or boolean at a path as the author wrote it.
    """
    errors = list(errors)
    for error in errors:
        _note_written(error, written or (lambda _: ""))
    named = {tuple(error.absolute_path) for error in errors if error.validator in ("enum", "const")}
    relevant = (each for each in errors if each.validator != "type" or tuple(each.absolute_path) not in named)
    found = list(dict.fromkeys(each for error in relevant for each in _of(error, root)))
    return found or [Finding(tuple(error.absolute_path), "is not allowed here") for error in errors]


def _note_written(error: Any, written: Callable[[tuple[str | int, ...]], str]) -> None:
    """Give *error* and those of its branches the text of their value, which messages show instead of the value."""
    scalar = isinstance(error.instance, (bool, int, float))
    error.written = written(tuple(error.absolute_path)) if scalar else ""
    for child in error.context or ():
        _note_written(child, written)


def _of(error: Any, root: Mapping[str, Any]) -> Iterator[Finding]:
    place = _place(error, root)
    path = tuple(error.absolute_path)
    if error.validator in ("anyOf", "oneOf"):
        yield from _of_branches(error, root, place)
    elif place.secret is not None:
        yield _of_secret(error, place.secret, root)
    elif place.key:
        yield Finding((*path, error.instance), "this name has an invalid format", expected_format(error))
    else:
        explain = KEYWORDS.get(error.validator, unexpected)
        for found in explain(error, path):
            yield found if found.hint or found.message == place.rule else found._replace(hint=place.rule)


def _of_secret(error: Any, path: tuple[str | int, ...], root: Mapping[str, Any]) -> Finding:
    """Explain an error in a field that can contain a secret, without any part of its value."""
    inside = tuple(error.absolute_path)[len(path) :]
    if not inside and isinstance(error.instance, str) and "x-secret" not in error.schema:
        return _of_address(error, path)
    if inside[:1] == ("valueFrom",) and error.validator in ("pattern", "minLength", "maxLength"):
        return Finding(path, "valueFrom does not name a source", "env takes letters, digits and _")
    if isinstance(error.instance, dict) or inside:
        return Finding(path, _ONE_SOURCE, _USE_VALUE_FROM)
    return Finding(path, _SECRET, _USE_VALUE_FROM)


def _of_address(error: Any, path: tuple[str | int, ...]) -> Finding:
    if "@" in error.instance:
        return Finding(path, "must not hold a user name or password", "keep the whole of it secret: " + _USE_VALUE_FROM)
    return Finding(path, "has an invalid format", expected_format(error))


def _of_branches(error: Any, root: Mapping[str, Any], place: _Place) -> Iterator[Finding]:
    """Explain the alternative that was probably meant."""
    schema, value, path = error.schema, error.instance, tuple(error.absolute_path)
    groups: dict[int, list[Any]] = {}
    for child in error.context:
        if child.relative_schema_path:  # jsonschema does not say which branch a plain `false` was
            groups.setdefault(child.relative_schema_path[0], []).append(child)
    if schema.get("x-secret") == "embedded":
        index = 1 if isinstance(value, dict) else 0
        chosen = groups.get(index, [])
        if not isinstance(value, (str, dict)):
            yield Finding(path, "expected a string, or valueFrom if it contains a password", _USE_VALUE_FROM)
            return
    elif schema.get("x-from-file"):
        chosen = groups.get(0, [])
        if not isinstance(value, str):
            message = _ONE_SOURCE if isinstance(value, dict) else f"expected a string or valueFrom, got {got(error)}"
            yield Finding(path, message, "write {valueFrom: {file: path}}")
            return
    elif chooser := schema.get("x-variants"):
        chosen = list(_of_variant(error, chooser, groups))
        if not chosen and isinstance(value, dict) and chooser in value:
            known = [branch["properties"][chooser]["const"] for branch in schema[error.validator]]
            yield Finding((*path, chooser), one_of(known, shown(value[chooser])), near(value[chooser], known))
    elif names := _choice(schema[error.validator]):
        found = isinstance(value, dict) and [name for name in names if name in value]
        message = f"takes only one of {joined(names)}" if found else f"needs {joined(names, 'or')}"
        yield Finding(path, message, place.rule)
        return
    else:
        chosen = min(groups.values(), key=_distance, default=[])
    for child in chosen:
        yield from _of(child, root)


def _of_variant(error: Any, chooser: str, groups: Mapping[int, list[Any]]) -> Iterator[Any]:
    value = error.instance.get(chooser) if isinstance(error.instance, dict) else None
    for index, branch in enumerate(error.schema[error.validator]):
        if equal(branch["properties"][chooser]["const"], value):
            yield from groups.get(index, ())


def _choice(branches: Sequence[Any]) -> list[str]:
    """Return the names where every branch asks for one property and nothing else."""
    asked = [
        branch["required"] if isinstance(branch, dict) and list(branch) == ["required"] else [] for branch in branches
    ]
    return [names[0] for names in asked] if all(len(names) == 1 for names in asked) else []


def _distance(errors: Sequence[Any]) -> tuple[bool, int, int]:
    return (
        any(error.validator == "type" and not error.relative_path for error in errors),
        -max(len(error.relative_path) for error in errors),
        len(errors),
    )
