"""The request body of a change, and its fields as shown.

`decide`, `update` and `dependencies` call this; it must not know how objects are paired.

A body is in spec form: names for uids, `{valueFrom: …}` for secrets, no name (the address has it).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from reconciler.diff import SECRET, FieldChange, masked
from reconciler.diff.normalize import canonical, hidden_values
from reconciler.kinds import MISSING, Field, Kind
from reconciler.kinds.labels import label
from reconciler.kinds.vocabulary import is_value_from

Spec = Mapping[str, Any]

_NAME = re.compile(r"[^.\[]+")
_ITEM = re.compile(r"\[(?:[^\]]|\](?![.\[]|\Z))*\]")  # a label may hold brackets of its own


def without_ignored(spec: Spec, ignore: tuple[str, ...]) -> Spec:
    """Return *spec* without the fields of `metadata.ignore`, such as `tags` or `backup_location.subdir`."""
    if not ignore:
        return spec
    out = dict(spec)
    for path in ignore:
        name, _, rest = path.partition(".")
        if not rest:
            out.pop(name, None)
        elif isinstance(out.get(name), Mapping) and not is_value_from(out[name]):
            out[name] = without_ignored(out[name], (rest,))
    return out


def create_body(kind: Kind, spec: Spec, port: int | None) -> dict[str, Any]:
    """Return what a create sends: what is declared, the kind's own defaults for it, and the pinned *port*."""
    body = {**create_defaults(kind, spec), **spec}
    body = {name: value for name, value in body.items() if name not in kind.fields or not is_option(kind.fields[name])}
    if port is not None:
        body["port"] = port
    return dict(sorted(body.items()))


def is_option(field: Field) -> bool:
    """Return whether *field* only says how a change of other fields is made. A create does not send it."""
    return bool(field.access.option_of)


def options_for(kind: Kind, spec: Spec, names: set[str]) -> set[str]:
    """Return the declared fields that are sent with a change of *names*: options, and fields that belong together."""
    declared = [field for name, field in kind.fields.items() if name in spec]
    together = {field.name for field in declared if _is_sent_with(field.change.sent_with, names)}
    all_names = names | together
    options = {
        field.name
        for field in declared
        if (of := field.access.option_of) is not None and (not of or all_names.intersection(of))
    }
    return together | options


def _is_sent_with(fields: tuple[str, ...] | None, names: set[str]) -> bool:
    return fields is not None and bool(names.intersection(fields) if fields else names)


def goes_back(kind: Kind, change: FieldChange) -> bool:
    """Return whether a field that only grows would shrink: a smaller number, an older version, true to false."""
    along = [field for _, field in fields_along(kind, change.path)]
    if not along or not along[-1].change.only_grows:
        return False
    before, after = (tuple(map(int, re.findall(r"\d+", v))) if type(v) is str else v for v in change[1:])
    try:
        return bool(after < before)
    except TypeError:
        return False


def create_defaults(kind: Kind, spec: Spec, names: set[str] | None = None) -> dict[str, Any]:
    """Return the fields that *spec* implies without naming them: `sharding: true` alone takes the standard rules.

    With *names*, only those that one of these fields implies.
    """
    implied = {
        default.field: default.value
        for default in kind.traits.create_defaults
        if default.field in kind.fields
        and default.field not in spec
        and (names is None or names.intersection(default.when))
        and all(spec.get(other) == value for other, value in default.when.items())
    }
    return canonical(kind, implied) if implied else {}


def create_fields(body: Spec) -> tuple[FieldChange, ...]:
    """Return what a create shows: each field that it sends."""
    return tuple(FieldChange(name, MISSING, masked(body[name])) for name in sorted(body))


def update_body(kind: Kind, spec: Spec, live: Spec, names: set[str]) -> dict[str, Any]:
    """Return what an update sends: the changed top-level fields *names*, each in full.

    The API replaces a field whole, so what is live and undeclared inside it is kept by sending it along; not where
    the field holds secrets or its shape follows its type, since what a read shows is then no whole value.
    """
    return {name: _overlaid(kind.fields[name], spec[name], live.get(name, MISSING)) for name in sorted(names)}


def _overlaid(field: Field, wanted: Any, found: Any) -> Any:
    if found is MISSING or is_value_from(wanted):
        return wanted
    if type(wanted) is list and type(found) is list:
        return _overlaid_list(field, wanted, found)
    if not field.properties or field.form.variants or field.access.holds_secret or not _both(dict, wanted, found):
        return wanted
    below = field.properties
    return {
        **found,
        **{n: _overlaid(below[n], w, found.get(n, MISSING)) if n in below else w for n, w in wanted.items()},
    }


def _overlaid_list(field: Field, wanted: list[Any], found: list[Any]) -> list[Any]:
    if field.form.key is None:
        return wanted
    there = {label(field, item): item for item in found}
    items = field.items
    out = {
        name: item if items is None else _overlaid(items, item, there.get(name, MISSING))
        for name, item in ((label(field, item), item) for item in wanted)
    }
    if field.form.server_adds:
        out = {**there, **out}
    return [out[name] for name in sorted(out)]


def _both(shape: type, *values: Any) -> bool:
    return all(type(value) is shape for value in values)


def top(path: str) -> str:
    """Return the top-level field of the *path* of a field change."""
    return path.partition(".")[0].partition("[")[0]


def fields_along(kind: Kind, path: str) -> Iterator[tuple[str, Field]]:
    """Yield (path, field) of what *path* goes through, from the top, also through items of keyed lists."""
    fields, rest = kind.fields, path
    while rest:
        name = _NAME.match(rest)
        if name is None or name[0] not in fields:
            return
        field, rest = fields[name[0]], rest[name.end() :]
        yield path[: len(path) - len(rest)], field
        item = _ITEM.match(rest)
        if item is not None and field.items is not None:
            field, rest = field.items, rest[item.end() :]
        fields, rest = field.properties, rest.removeprefix(".")


def immutable_field(kind: Kind, change: FieldChange) -> str:
    """Return the name of the field that *change* would have to change and that cannot be, "" for none."""
    along = [field for _, field in fields_along(kind, change.path)]
    return (
        ""
        if along and along[-1].change.only_grows
        else next((field.name for field in along if field.change.immutable), "")
    )


def secrets_sent(kind: Kind, body: Spec, shown: set[str]) -> Iterator[FieldChange]:
    """Yield a change for each secret that *body* sends along and that is not *shown* yet."""
    for path, value in hidden_values(kind, body):
        if path not in shown and is_value_from(value) and not kind.fields[top(path)].lists_secrets:
            yield FieldChange(path, SECRET, SECRET)


def warnings_of(kind: Kind, body: Spec) -> Iterator[tuple[str, str, str]]:
    """Yield (field, value with its unit, usual minimum) of each value of *body* that is unusually small."""
    for name in sorted(body):
        field, value = kind.fields.get(name), body[name]
        if field is None:
            continue
        if field.usual.minimum is not None and type(value) in (int, float) and 0 < value < field.usual.minimum:
            unit = f" {field.form.unit}" if field.form.unit else ""
            yield name, f"{value}{unit}", str(int(field.usual.minimum))
