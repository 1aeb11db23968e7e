"""The canonical form of one field, compiled into a closure; None where values need no change.

A transform gets any JSON value and never raises; it returns MISSING for values to remove.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from operator import itemgetter
from typing import Any

from reconciler.kinds import MISSING, Field, Kind
from reconciler.kinds.quantities import UNITS, quantity, redis_size
from reconciler.kinds.vocabulary import is_value_from

Transform = Callable[[Any], Any]


def order_key(value: Any) -> str:
    """Give any JSON value a place in an order that does not depend on where it was read."""
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True, default=str)


def transforms_of(fields: Mapping[str, Field], kind: Kind | None, *, live: bool) -> dict[str, Transform]:
    """Return what to do to the values of *fields*; *kind* is given for the top level of its spec."""
    transforms = {
        name: transform for name, field in fields.items() if (transform := _transform(field, live=live)) is not None
    }
    if kind is not None and "port" in kind.policy.guard and "port" in fields:
        transforms["port"] = lambda value: MISSING if value == 0 else value  # 0 = the server chooses
    return transforms


def transformed(spec: Mapping[str, Any], transforms: Mapping[str, Transform]) -> dict[str, Any]:
    """Return a copy of *spec* with *transforms* applied."""
    out = dict(spec)
    for name in transforms.keys() & out.keys():
        value = transforms[name](out[name])
        if value is MISSING:
            del out[name]
        else:
            out[name] = value
    return out


def _transform(field: Field, *, live: bool) -> Transform | None:
    if field.access.secret:
        return _nothing if live else None
    if field.access.embeds_secret:
        return _without_userinfo if live else None
    if field.items is not None or field.form.key is not None:
        return _list_transform(field, live=live)
    if field.properties:
        return _object_transform(field, live=live)
    if field.form.unit in UNITS and (field.type != "string" or field.form.unit == "bytes"):
        return _quantity_transform(field)
    if field.form.format == "pem":
        return _pem
    if field.form.format == "lower-case":
        return lambda value: value.lower() if isinstance(value, str) else value
    if field.form.format == "redis-acl":
        return lambda value: " ".join(value.split()) if isinstance(value, str) else value
    if field.type == "integer":
        return _whole
    return None


def _quantity_transform(field: Field) -> Transform:
    unit = field.form.unit or ""

    def number(value: Any) -> Any:
        if type(value) is str:
            parsed = quantity(value, unit)
            return value if parsed is None else parsed
        return _whole(value)

    def text(value: Any) -> Any:
        if type(value) is str:
            return redis_size(value) or value
        return str(value) if type(value) is int else value

    return text if field.type == "string" else number


def _object_transform(field: Field, *, live: bool) -> Transform | None:
    transforms = transforms_of(field.properties, None, live=live)
    readable = frozenset(name for name, below in field.properties.items() if not is_unread(below))

    def whole(value: Any) -> Any:
        return transformed(value, transforms) if type(value) is dict and not is_value_from(value) else value

    def readable_part(value: Any) -> Any:
        if type(value) is not dict or (not transforms and value.keys() <= readable):
            return value
        return transformed({name: below for name, below in value.items() if name in readable}, transforms)

    if live:
        return readable_part
    return whole if transforms else None


def _list_transform(field: Field, *, live: bool) -> Transform | None:
    transform = _transform(field.items, live=live) if field.items is not None else None
    if transform is None and field.form.key is None:
        return None
    key = field.form.key

    def ordered(value: Any) -> Any:
        if type(value) is not list:
            return value
        items = value if transform is None else [made for item in value if (made := transform(item)) is not MISSING]
        if key is None or len(items) < 2:
            return items
        if key:
            return _by_key(key, items)
        return [item for _, item in sorted({order_key(item): item for item in items}.items())]

    return ordered


def _by_key(key: Sequence[str], items: list[Any]) -> list[Any]:
    """Return *items* sorted by *key*; most keys are one text, which is its own place in the order."""
    if len(key) == 1:
        names = [item.get(key[0]) if type(item) is dict else None for item in items]
        if all(type(name) is str for name in names):
            return [item for _, item in sorted(zip(names, items, strict=True), key=itemgetter(0))]
    return sorted(items, key=lambda item: _key_of(key, item))


def _key_of(key: Sequence[str], item: Any) -> tuple[str, ...]:
    """Return the sort key of *item*: its key fields; the whole item where one is missing."""
    named = [item.get(part) for part in key] if isinstance(item, Mapping) else [None]
    return tuple(map(order_key, named if None not in named else (item,)))


def _pem(value: Any) -> Any:
    """Return PEM with lines of 64 characters, as the encoders of this world write it; the bytes inside stay."""
    if type(value) is not str:
        return value
    lines: list[str] = []
    packed = ""
    for line in filter(None, map(str.strip, value.split("\n"))):
        if line.startswith("-----"):
            lines += [packed[place : place + 64] for place in range(0, len(packed), 64)]
            lines.append(line)
            packed = ""
        elif lines and lines[-1].startswith("-----BEGIN"):
            packed += line
        else:
            lines.append(line)
    lines += [packed[place : place + 64] for place in range(0, len(packed), 64)]
    return "\n".join(lines) + "\n" if lines else ""


def _whole(value: Any) -> Any:
    return int(value) if type(value) is float and value.is_integer() else value


def _nothing(value: Any) -> Any:
    return MISSING


def _without_userinfo(value: Any) -> Any:
    """Keep live text such as a URI unless it may hold a user and a password."""
    return MISSING if type(value) is not str or "@" in value else value


def is_unread(field: Field) -> bool:
    """Return whether *field* cannot be read back or is not compared."""
    return field.access.read_only or field.access.write_only or field.access.option_of is not None
