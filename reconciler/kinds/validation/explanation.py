"""What jsonschema says is wrong, in words of our own: what was expected, what was got, what was probably meant.

Called by `validation` only, with jsonschema's errors. Never shows the value of a field that can hold a secret.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from reconciler.kinds.quantities import EXAMPLES, quantity
from reconciler.kinds.validation.compiled import LONGEST, equal, in_quantity, repeated, too_long


class Finding(NamedTuple):
    """One thing that is wrong with a value."""

    path: tuple[str | int, ...]  # from the top of the value
    message: str
    hint: str = ""


_SECRET = "a secret value is not allowed here"  # noqa: S105
_USE_VALUE_FROM = "write {valueFrom: {env: NAME}} or {valueFrom: {file: path}}"
_ONE_SOURCE = "expected valueFrom with exactly one of env and file"
_TYPES = {
    "null": "null",
    "boolean": "a boolean",
    "integer": "an integer",
    "number": "a number",
    "string": "a string",
    "array": "a list",
    "object": "a mapping",
}
_SHOWN = 60


def escaped(text: str) -> str:
    """Return *text* with everything that does not print spelt out."""
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode("ascii") for each in text)


def shown(value: Any) -> str:
    """Return *value* in at most a line: quoted, escaped, cut."""
    if isinstance(value, (dict, list)):
        return _TYPES["object" if isinstance(value, dict) else "array"]
    if isinstance(value, str):
        cut = value if len(value) <= _SHOWN else value[:_SHOWN] + "…"
        return f'"{escaped(cut)}"'
    return "null" if value is None else str(json.dumps(value, default=str))[:_SHOWN]


def near(word: Any, words: Iterable[Any]) -> str:
    """Return a question for the one of *words* that *word* nearly is; "" where none is near."""
    import difflib  # 5 ms, for mistakes only

    known = [each for each in words if isinstance(each, str)]
    if not isinstance(word, str) or len(word) > _SHOWN:
        return ""
    same = {_plain(each): each for each in reversed(known)}.get(_plain(word))
    begins = next((each for each in known if word.startswith(f"{each}_")), None)  # role_uid → role
    found = same or begins or next(iter(difflib.get_close_matches(word, known, 1, 0.7)), None)
    return f'did you mean "{found}"?' if found else ""


def _plain(word: str) -> str:
    return word.lower().replace("-", "").replace("_", "").replace(" ", "")


class _Place(NamedTuple):
    """Where in the schema an error is."""

    secret: tuple[str | int, ...] | None  # path of the innermost field that can hold a secret, if in one
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


def findings(errors: Iterable[Any], root: Mapping[str, Any]) -> list[Finding]:
    """Return what *errors* of jsonschema under the schema *root* say, each thing once, in order of appearance."""
    errors = list(errors)
    named = {tuple(error.absolute_path) for error in errors if error.validator in ("enum", "const")}
    telling = (each for each in errors if each.validator != "type" or tuple(each.absolute_path) not in named)
    found = list(dict.fromkeys(each for error in telling for each in _of(error, root)))
    return found or [Finding(tuple(error.absolute_path), "is not allowed here") for error in errors]


def _of(error: Any, root: Mapping[str, Any]) -> Iterator[Finding]:
    place = _place(error, root)
    path = tuple(error.absolute_path)
    if error.validator in ("anyOf", "oneOf"):
        yield from _of_branches(error, root, place)
    elif place.secret is not None:
        yield _of_secret(error, place.secret, root)
    elif place.key:
        yield Finding((*path, error.instance), "this name has an invalid format", _form(error))
    else:
        explain = _WORDS.get(error.validator, _unexpected)
        for found in explain(error, path):
            yield found if found.hint or found.message == place.rule else found._replace(hint=place.rule)


def _of_secret(error: Any, path: tuple[str | int, ...], root: Mapping[str, Any]) -> Finding:
    """Explain an error in a field that can hold a secret, without a word of what it holds."""
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
    return Finding(path, "has an invalid format", _form(error))


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
            message = _ONE_SOURCE if isinstance(value, dict) else f"expected a string or valueFrom, got {shown(value)}"
            yield Finding(path, message, "write {valueFrom: {file: path}}")
            return
    elif chooser := schema.get("x-variants"):
        chosen = list(_of_variant(error, chooser, groups))
        if not chosen and isinstance(value, dict) and chooser in value:
            known = [branch["properties"][chooser]["const"] for branch in schema[error.validator]]
            yield Finding((*path, chooser), _one_of(known, value[chooser]), near(value[chooser], known))
    elif names := _choice(schema[error.validator]):
        found = isinstance(value, dict) and [name for name in names if name in value]
        message = f"takes only one of {_list(names)}" if found else f"needs {_list(names, 'or')}"
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


def _list(words: Iterable[Any], last: str = "and") -> str:
    texts = [each if isinstance(each, str) else json.dumps(each) for each in words]
    return f" {last} ".join([", ".join(texts[:-1]), texts[-1]]) if len(texts) > 1 else "".join(texts)


def _one_of(allowed: Sequence[Any], value: Any) -> str:
    return f"must be {'one of ' if len(allowed) > 1 else ''}{_list(allowed, 'or')}, got {shown(value)}"


def _form(error: Any) -> str:
    around = [each.schema for each in (error, error.parent) if each is not None and isinstance(each.schema, dict)]
    examples = next((schema["examples"] for schema in around if "examples" in schema), ())
    texts = [each for each in examples if isinstance(each, str) and "\n" not in each]
    form = next((schema["pattern"] for schema in around if "pattern" in schema), "")
    words = [f"such as {shown(texts[0])}" if texts else "", f"it must match {form}" if form else ""]
    return "; ".join(filter(None, words))


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
        hint = f"only with {chooser}: {_list(others, 'or')}" if others else near(name, known) or _below(name, known)
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
        yield Finding(path, f"expected an integer ({unit}) or a quantity such as {EXAMPLES[unit]}, got {shown(value)}")
        return
    names = [wanted] if isinstance(wanted, str) else wanted
    words = _list([_TYPES[name] for name in names], "or")
    if isinstance(value, str) and _holds_secret(error.schema):
        yield Finding(path, f"expected {words}, got a string")  # it may be the secret
        return
    yield Finding(path, f"expected {words}, got {shown(value)}", _type_hint(names, value))


def _holds_secret(schema: Any) -> bool:
    """Say whether anything below *schema* is secret."""
    if isinstance(schema, dict):
        return "x-secret" in schema or any(map(_holds_secret, schema.values()))
    return isinstance(schema, list) and any(map(_holds_secret, schema))


def _type_hint(names: Sequence[str], value: Any) -> str:
    if "string" in names and isinstance(value, (bool, int, float)):
        return f'put it in quotes: "{shown(value)}"'
    if "array" in names:
        return f"write it as a list: [{escaped(value)}]" if isinstance(value, str) and len(value) <= _SHOWN else ""
    if isinstance(value, str):
        if "boolean" in names:
            return "write true or false, without quotes"
        if value.isdecimal() and {"integer", "number"} & set(names):
            return "leave the quotes out"
    return ""


def _not_allowed(error: Any, path: tuple[str | int, ...]) -> Iterator[Finding]:
    allowed = error.validator_value if error.validator == "enum" else [error.validator_value]
    value = error.instance
    quoted = next((word for word in allowed if isinstance(word, str) and word == shown(value)), "")
    yes_no = {True: "yes", False: "no"}.get(value, "") if isinstance(value, bool) else ""
    hint = near(value, allowed)
    if path == ("kind",):  # there are many of them
        yield Finding(path, f"unknown kind {shown(value)}", hint or "`reconciler kinds` lists all kinds")
        return
    if quoted or yes_no in allowed:
        hint = f'put it in quotes: "{quoted or yes_no}"'
    yield Finding(path, _one_of(allowed, value), hint)


def _range(words: str) -> Callable[[Any, tuple[str | int, ...]], Iterator[Finding]]:
    def explain(error: Any, path: tuple[str | int, ...]) -> Iterator[Finding]:
        yield Finding(path, f"must be {words} {error.validator_value}, got {shown(error.instance)}")

    return explain


def _amount(words: str, what: str) -> Callable[[Any, tuple[str | int, ...]], Iterator[Finding]]:
    def explain(error: Any, path: tuple[str | int, ...]) -> Iterator[Finding]:
        bound, got = error.validator_value, len(error.instance)
        plural = what if bound == 1 else {"entry": "entries"}.get(what, what + "s")
        empty = "must not be empty" if bound == 1 and not got else ""
        if what == "character":
            yield Finding(path, empty or f"must be {words} {bound} {plural} long, got {got}")
        else:
            yield Finding(path, empty or f"takes {words} {bound} {plural}, got {got}")

    return explain


def _wrong_form(error: Any, path: tuple[str | int, ...]) -> Iterator[Finding]:
    if too_long(error.instance, error.schema):
        yield Finding(path, f"must be at most {LONGEST} characters long, got {len(error.instance)}")
    elif error.schema.get("format") == "pem":
        yield Finding(path, "expected a PEM certificate", "from -----BEGIN CERTIFICATE----- to the END line")
    elif error.instance or "minLength" not in error.schema:  # what is empty is told once
        yield Finding(path, f"{shown(error.instance)} has an invalid format", _form(error))


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
        yield Finding(path, f"must not be {_list(excluded, 'or')}")
    else:
        yield Finding(path, error.schema.get("description", "is not allowed here"))


def _unexpected(error: Any, path: tuple[str | int, ...]) -> Iterator[Finding]:
    yield Finding(path, "is not allowed here")


_WORDS: Mapping[Any, Callable[[Any, tuple[str | int, ...]], Iterator[Finding]]] = {
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
