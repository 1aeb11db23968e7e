"""One form for each value, so that desired and live compare with `==`.

Manifests, live decoding and the planner call this. A `Kind` is compiled once into closures for the few fields that
need work, since most values are already in canonical form. Nothing here validates: a value of an unexpected type
comes back untouched, because live data may hold anything and must never stop a plan. It must not know where a spec
comes from, nor what will be done with it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from reconciler.diff.forms import Transform, is_unread, transformed, transforms_of
from reconciler.kinds import MISSING, Field, Kind
from reconciler.kinds.labels import label
from reconciler.kinds.vocabulary import is_value_from


class _Shape(NamedTuple):
    """The compiled form of a kind."""

    kind: Kind  # keeps the kind alive, so that its id stays its own
    desired: Mapping[str, Transform]
    live: Mapping[str, Transform]
    readable: frozenset[str]  # top-level fields that a read can show
    hidden: frozenset[str]  # top-level fields with something in them that no read shows


_shapes: dict[int, _Shape] = {}


def canonical(kind: Kind, spec: Mapping[str, Any]) -> dict[str, Any]:
    """Return a desired *spec* in canonical form; *spec* is not changed."""
    return transformed(spec, _shape(kind).desired)


def canonical_live(kind: Kind, spec: Mapping[str, Any]) -> dict[str, Any]:
    """Return a live *spec*, already with names for uids, in canonical form.

    What can never be compared or written goes: unknown and read-only fields, and secrets at any depth.
    """
    shape = _shape(kind)
    return transformed({name: value for name, value in spec.items() if name in shape.readable}, shape.live)


def project(kind: Kind, desired: Mapping[str, Any], live: Mapping[str, Any]) -> dict[str, Any]:
    """Cut canonical *live* down to what *desired* declares; both sides then compare with `==`.

    An undeclared live item of a keyed list stays (it is a difference), unless the server may add items. A
    declared default that the server omits from its response counts as equal.
    """
    fields = kind.fields
    cut = {}
    for name, wanted in desired.items():
        found = live.get(name, MISSING)
        if found == wanted:
            cut[name] = found
        elif name in fields:
            found = _cut(fields[name], wanted, found)
            if found is not MISSING:
                cut[name] = found
        elif found is not MISSING:
            cut[name] = found
    return cut


def is_blank(kind: Kind, spec: Mapping[str, Any]) -> bool:
    """Return whether live *spec* has only defaults and empty values."""
    return all(
        value in (None, "", [], {}, False) or (name in kind.fields and value == kind.fields[name].usual.default)
        for name, value in spec.items()
    )


def comparable(kind: Kind, spec: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a desired *spec* without what no read can show: secrets and write-only fields."""
    hidden = _shape(kind).hidden
    if hidden.isdisjoint(spec):
        return spec
    out = {}
    for name, value in spec.items():
        if name in hidden:
            value = _shown(kind.fields[name], value)
        if value is not MISSING:
            out[name] = value
    return out


def hidden_values(kind: Kind, spec: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield (path, value) of each declared secret and write-only value of canonical *spec*, in a stable order.

    The paths name items, or count them where they have no key: `password`, `backup_location.secret_access_key`,
    `instances[cluster=dc1].credentials.password`, `replica_sources[0].uri`.
    """
    hidden = _shape(kind).hidden
    for name in sorted(spec):
        if name in hidden:
            yield from _hidden_below(kind.fields[name], name, spec[name])


# What follows compiles a kind.


def _shape(kind: Kind) -> _Shape:
    shape = _shapes.get(id(kind))
    if shape is None:
        if len(_shapes) > 256:
            _shapes.clear()
        shape = _shapes[id(kind)] = _Shape(
            kind,
            transforms_of(kind.fields, kind, live=False),
            transforms_of(kind.fields, kind, live=True),
            frozenset(name for name, field in kind.fields.items() if not is_unread(field)),
            frozenset(name for name, field in kind.fields.items() if _hides(field)),
        )
    return shape


def _hides(field: Field) -> bool:
    """Return whether *field* or anything below it cannot be read back."""
    if (
        field.access.secret
        or field.access.embeds_secret
        or field.access.write_only
        or field.access.holds_secret
        or field.access.option_of is not None
    ):
        return True
    return any(map(_hides, field.properties.values())) or (field.items is not None and _hides(field.items))


def _shown(field: Field, value: Any) -> Any:
    if field.access.write_only or field.access.option_of is not None or is_value_from(value):
        return MISSING
    if field.items is not None and type(value) is list:
        return [shown for item in value if (shown := _shown(field.items, item)) is not MISSING]
    if field.properties and type(value) is dict:
        below = field.properties
        out = {name: _shown(below[name], item) if name in below else item for name, item in value.items()}
        # An object of secrets alone shows nothing of itself.
        return {name: shown for name, shown in out.items() if shown is not MISSING and (shown != {} or not value[name])}
    return value


def _hidden_below(field: Field, path: str, value: Any) -> Iterator[tuple[str, Any]]:
    if field.access.option_of is not None:
        return
    if field.access.write_only or is_value_from(value):
        yield path, value
    elif field.items is not None and type(value) is list:
        for index, item in enumerate(value):
            named = label(field, item) if field.form.key and isinstance(item, Mapping) else f"[{index}]"
            yield from _hidden_below(field.items, path + named, item)
    elif field.properties and type(value) is dict:
        for name in sorted(value.keys() & field.properties.keys()):
            yield from _hidden_below(field.properties[name], f"{path}.{name}", value[name])


def _cut(field: Field, wanted: Any, found: Any) -> Any:
    if found is MISSING:
        return (
            wanted
            if wanted == [] or (field.usual.default is not MISSING and wanted == field.usual.default)
            else MISSING
        )
    if type(wanted) is dict and type(found) is dict:
        return _cut_object(field, wanted, found)
    if type(wanted) is list and type(found) is list:
        return _cut_list(field, wanted, found)
    return found


def _cut_object(field: Field, wanted: Mapping[str, Any], found: Mapping[str, Any]) -> dict[str, Any]:
    out = {}
    for name, value in wanted.items():
        below = field.properties.get(name)
        there = found.get(name, MISSING)
        if below is not None and there != value:
            there = _cut(below, value, there)
        if there is not MISSING:
            out[name] = there
    return out


def _cut_list(field: Field, wanted: list[Any], found: list[Any]) -> list[Any]:
    items = field.items
    if field.form.key is None:
        if items is None:
            return found
        pairs = [_cut(items, w, f) for w, f in zip(wanted, found, strict=False)]
        return pairs + found[len(wanted) :]
    by_label: dict[str, Any] = {label(field, item): item for item in wanted}
    out = []
    for item in found:
        match = by_label.get(label(field, item), MISSING)
        if match is not MISSING:
            out.append(item if items is None else _cut(items, match, item))
        elif not field.form.server_adds:
            out.append(item)
    return out
