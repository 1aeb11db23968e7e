"""One function per JSON Schema keyword: an error of jsonschema to what was expected, what was found, and a hint.

Called by `explanation` only. Never shows the value of a field that can contain a secret.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from reconciler.kinds.quantities import EXAMPLES, quantity
from reconciler.kinds.validation.messages import (
    SHOWN,
    TYPES,
    Finding,
    expected_format,
    got,
    in_list,
    joined,
    near,
    one_of,
    shown,
)
from reconciler.kinds.validation.rules import LONGEST, equal, in_quantity, repeated, too_long


def _unknown(error: Any, path: tuple[str | int, ...]) -> Iterator[Finding]:
    known = error.schema.get("properties", {})
    parent = error.parent.schema if error.parent is not None else {}
    chooser = parent.get("x-variants", "")
    for name in error.instance:
        if name in known:
            continue
        others = [
            branch["properties"][chooser]["const"]
            for branch in (parent.get("oneOf", ()) if chooser else ())
            if name in branch["properties"]
        ]
        hint = f"only with {chooser}: {joined(others, 'or')}" if others else near(name, known) or _below(name, known)
        if moved := error.schema.get("x-moved", {}).get(name):
            hint = f"this is {moved}"
        yield Finding((*path, name), "unknown field", hint)


def _below(name: str, known: Mapping[str, Any]) -> str:
    """Return a question for the mapping that has a field of this very name."""
    owners = [
        owner for owner, schema in known.items() if isinstance(schema, dict) and name in schema.get("properties", {})
    ]
    return f'did you mean "{owners[0]}.{name}"?' if len(owners) == 1 else ""


def _missing(error: Any, path: tuple[str | int, ...]) -> Iterator[Finding]:
    for name in error.validator_value:
        if name not in error.instance:
            yield Finding(path, f"{name} is missing")


def _wrong_type(error: Any, path: tuple[str | int, ...]) -> Iterator[Finding]:
    value, wanted = error.instance, error.validator_value
    if isinstance(value, str) and too_long(value, error.schema):
        yield Finding(path, f"must be at most {LONGEST} characters long, got {len(value)}")
        return
    if in_quantity(error.schema):
        unit = error.schema["x-unit"]
        yield Finding(path, f"expected an integer ({unit}) or a quantity such as {EXAMPLES[unit]}, got {got(error)}")
        return
    names = [wanted] if isinstance(wanted, str) else wanted
    words = joined([TYPES[name] for name in names], "or")
    if isinstance(value, str) and _holds_secret(error.schema):
        yield Finding(path, f"expected {words}, got a string")  # it may be the secret
        return
    yield Finding(path, f"expected {words}, got {got(error)}", _type_hint(names, value, got(error)))


def _holds_secret(schema: Any) -> bool:
    """Return whether anything below *schema* is secret."""
    if isinstance(schema, dict):
        return "x-secret" in schema or any(map(_holds_secret, schema.values()))
    return isinstance(schema, list) and any(map(_holds_secret, schema))


def _type_hint(names: Sequence[str], value: Any, written: str) -> str:
    if "string" in names and isinstance(value, (bool, int, float)):
        return f'put it in quotes: "{written}"'
    if "array" in names:
        return f"write it as a list: {in_list(value)}" if isinstance(value, str) and len(value) <= SHOWN else ""
    if isinstance(value, str):
        if "boolean" in names:
            return "write true or false, without quotes"
        if re.fullmatch("0|[1-9][0-9]*", value) and {"integer", "number"} & set(names):
            return "leave the quotes out"
    return ""


def _not_allowed(error: Any, path: tuple[str | int, ...]) -> Iterator[Finding]:
    allowed = error.validator_value if error.validator == "enum" else [error.validator_value]
    value = error.instance
    quoted = next((word for word in allowed if isinstance(word, str) and word == got(error)), "")
    yes_no = {True: "yes", False: "no"}.get(value, "") if isinstance(value, bool) else ""
    hint = near(error.written or value, allowed)
    if path == ("kind",):  # there are many of them
        yield Finding(path, f"unknown kind {got(error)}", hint or "`reconciler kinds` lists all kinds")
        return
    if quoted or yes_no in allowed:
        hint = f'put it in quotes: "{quoted or yes_no}"'
    yield Finding(path, one_of(allowed, got(error)), hint)


def _range(words: str) -> Callable[[Any, tuple[str | int, ...]], Iterator[Finding]]:
    def explain(error: Any, path: tuple[str | int, ...]) -> Iterator[Finding]:
        yield Finding(path, f"must be {words} {error.validator_value}, got {got(error)}")

    return explain


def _amount(words: str, what: str) -> Callable[[Any, tuple[str | int, ...]], Iterator[Finding]]:
    def explain(error: Any, path: tuple[str | int, ...]) -> Iterator[Finding]:
        bound, length = error.validator_value, len(error.instance)
        plural = what if bound == 1 else {"entry": "entries"}.get(what, what + "s")
        empty = "must not be empty" if bound == 1 and not length else ""
        if what == "character":
            yield Finding(path, empty or f"must be {words} {bound} {plural} long, got {length}")
        else:
            yield Finding(path, empty or f"takes {words} {bound} {plural}, got {length}")

    return explain


def _wrong_form(error: Any, path: tuple[str | int, ...]) -> Iterator[Finding]:
    if too_long(error.instance, error.schema):
        yield Finding(path, f"must be at most {LONGEST} characters long, got {len(error.instance)}")
    elif error.schema.get("format") == "pem":
        yield Finding(path, "expected a PEM certificate", "from -----BEGIN CERTIFICATE----- to the END line")
    elif error.instance or "minLength" not in error.schema:  # an empty value is reported once
        yield Finding(path, f"{shown(error.instance)} has an invalid format", expected_format(error))


def _wrong_quantity(error: Any, path: tuple[str | int, ...]) -> Iterator[Finding]:
    unit, text, schema = error.validator_value, error.instance, error.schema
    amount = quantity(text, unit) if len(text) <= LONGEST else None
    if amount is None:
        yield Finding(path, f"expected an integer ({unit}) or a quantity such as {EXAMPLES[unit]}, got {shown(text)}")
        return
    low, high = schema.get("minimum", amount), schema.get("maximum", amount)
    words, bound = ("at least", low) if amount < low else ("at most", high)
    yield Finding(path, f"must be {words} {bound} {unit if bound != 1 else unit[:-1]}, got {shown(text)}")


def _twice(error: Any, path: tuple[str | int, ...]) -> Iterator[Finding]:
    for index in repeated(error.instance, error.validator_value):
        values = ", ".join(f"{name} {shown(error.instance[index][name])}" for name in error.validator_value)
        yield Finding((*path, index), f"{values} is duplicated")


def _same(error: Any, path: tuple[str | int, ...]) -> Iterator[Finding]:
    for index, item in enumerate(error.instance):
        if any(equal(item, other) for other in error.instance[:index]):
            yield Finding((*path, index), f"{shown(item)} is duplicated")


def _excluded(error: Any, path: tuple[str | int, ...]) -> Iterator[Finding]:
    excluded = error.validator_value.get("enum", ()) if isinstance(error.validator_value, dict) else ()
    if excluded:
        yield Finding(path, f"must not be {joined(excluded, 'or')}")
    else:
        yield Finding(path, error.schema.get("description", "is not allowed here"))


def unexpected(error: Any, path: tuple[str | int, ...]) -> Iterator[Finding]:
    yield Finding(path, "is not allowed here")


KEYWORDS: Mapping[Any, Callable[[Any, tuple[str | int, ...]], Iterator[Finding]]] = {
    "additionalProperties": _unknown,
    "required": _missing,
    "type": _wrong_type,
    "enum": _not_allowed,
    "const": _not_allowed,
    "minimum": _range("at least"),
    "maximum": _range("at most"),
    "minLength": _amount("at least", "character"),
    "maxLength": _amount("at most", "character"),
    "minItems": _amount("at least", "item"),
    "maxItems": _amount("at most", "item"),
    "minProperties": _amount("at least", "entry"),
    "maxProperties": _amount("at most", "entry"),
    "pattern": _wrong_form,
    "x-unit": _wrong_quantity,
    "x-key": _twice,
    "uniqueItems": _same,
    "not": _excluded,
}
