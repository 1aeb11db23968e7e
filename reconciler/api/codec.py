"""Encodes specs as request bodies, decodes live JSON to specs. Pure.

`live` and the flows call it. It knows the wire form of a kind, and nothing of sockets, time or order.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from reconciler.api.hooks import LiveMetadata, hook_of
from reconciler.api.protocol import Body
from reconciler.diff.forms import is_unread
from reconciler.diff.normalize import canonical_live
from reconciler.errors import ReadIncomplete
from reconciler.kinds import MISSING, Field, Kind, Reference
from reconciler.kinds.vocabulary import is_value_from
from reconciler.model import LiveObject

if TYPE_CHECKING:
    from reconciler.secrets import Secret


Uid = int | str
Ids = Callable[[str, str], Uid]  # (kind, name) → uid
Names = Mapping[str, Mapping[Uid, str]]  # kind → uid → name
Reveal = Callable[[Mapping[str, Any]], "Secret"]  # what `valueFrom` holds → its value

_UNNAMED = re.compile(r"#(\w+)")


def unnamed(uid: Uid) -> str:
    """Return the placeholder for a referenced object whose name is not known: it keeps the uid."""
    return f"#{uid}"


def uid_of_unnamed(name: str) -> Uid | None:
    """Return the uid behind `unnamed`; None for a name."""
    found = _UNNAMED.fullmatch(name)
    return (int(found[1]) if found[1].isdigit() else found[1]) if found else None


# --- spec → wire ---------------------------------------------------------------------------------------------------


def encode(kind: Kind, body: Mapping[str, Any], ids: Ids, reveal: Reveal) -> Body:
    """Return *body*, in the form of a spec, in the form of the API: uids for names, values for `valueFrom`.

    The result holds secrets in the clear: use it in one request and nowhere else.
    """
    return Body(_encode_object(kind.fields, body, ids, reveal))


def _encode_object(fields: Mapping[str, Field], body: Mapping[str, Any], ids: Ids, reveal: Reveal) -> dict[str, Any]:
    wire: dict[str, Any] = {}
    for name in sorted(body):
        field = fields.get(name)
        if field is None:
            wire[name] = _encode_plain(body[name], reveal)
        elif not field.access.read_only:
            wire[field.wire] = _encode_value(field, body[name], ids, reveal)
    return wire


def _encode_plain(value: Any, reveal: Reveal) -> Any:
    return reveal(value["valueFrom"]).reveal() if is_value_from(value) else value


def _encode_value(field: Field, value: Any, ids: Ids, reveal: Reveal) -> Any:
    if is_value_from(value):
        return reveal(value["valueFrom"]).reveal()
    if isinstance(value, Mapping) and field.form.key and field.items is not None:
        value = [value[key] for key in sorted(value)]
    if isinstance(value, list | tuple):
        return [_encode_value(field.items, item, ids, reveal) if field.items else item for item in value]
    if field.reference and isinstance(value, str) and not field.reference.cluster_from:
        return _encode_reference(field.reference, value, ids)
    if isinstance(value, Mapping):
        return _encode_object(field.properties, value, ids, reveal)
    return value


def _encode_reference(reference: Reference, name: str, ids: Ids) -> Uid:
    if name in reference.literals:
        return name
    uid = ids(reference.kind, name)
    return str(uid) if reference.as_string else uid


# --- wire → spec ---------------------------------------------------------------------------------------------------

_Convert = Callable[[Any, Names], Any]


class _Decoder(NamedTuple):
    """What decoding one kind needs, computed once."""

    fields: Mapping[str, tuple[str, _Convert | None]]  # wire name → spec name, and what to do with the value
    status: str | None
    builtin: tuple[tuple[tuple[str, Any], ...], ...]
    hook: Callable[[dict[str, Any], Mapping[str, Any]], LiveMetadata]
    masked: tuple[tuple[str, str], ...]  # wire name and spec name of secrets that read back as a mask, or empty


def decode(kind: Kind, wire: Mapping[str, Any], names: Names) -> LiveObject:
    """Return one object of the API in the form of a manifest's spec.

    Only the keys that *wire* has; secrets and read-only fields are dropped; a uid without a known name becomes
    `unnamed`. Raises ReadIncomplete for an object that cannot be decoded.
    """
    decoder = _decoder(kind.name, _Identity(kind))
    try:
        return _decode(decoder, kind, wire, names)
    except (AttributeError, KeyError, TypeError, ValueError, RecursionError) as error:
        uid = wire.get(kind.rest.id) if isinstance(wire, Mapping) else None
        raise ReadIncomplete(
            f"{kind.name} with {kind.rest.id} {uid!r:.80} cannot be decoded: {error!s:.200}"
        ) from error


def _decode(decoder: _Decoder, kind: Kind, wire: Mapping[str, Any], names: Names) -> LiveObject:
    spec: dict[str, Any] = {}
    for key, value in wire.items():
        entry = decoder.fields.get(key)
        if entry is None:
            continue
        name, convert = entry
        spec[name] = value if convert is None or value is None else convert(value, names)
    metadata = decoder.hook(spec, wire)
    uid = wire[kind.rest.id]
    if not isinstance(uid, int | str) or isinstance(uid, bool):
        raise TypeError(f"{kind.rest.id} is neither a number nor a string")
    return LiveObject(
        kind=kind.name,
        uid=uid,
        name=natural_key(kind, wire),
        spec=canonical_live(kind, spec),
        status=str(wire.get(decoder.status, "")) if decoder.status else "",
        builtin=any(all(wire.get(key, MISSING) == value for key, value in rule) for rule in decoder.builtin),
        owner=metadata.owner,
        operation=metadata.operation,
        addresses=metadata.addresses,
        unset=frozenset(name for key, name in decoder.masked if wire.get(key) == ""),
        created=str(wire.get("created_time", "")),
    )


def natural_key(kind: Kind, wire: Mapping[str, Any]) -> str:
    """Return the name that matches a live object with a manifest: the first of the kind's key fields that is set."""
    name = next((value for field in kind.rest.key if (value := wire.get(field))), None)
    if type(name) is int and kind.rest.key == (kind.rest.id,):
        return str(name)
    if not isinstance(name, str):
        raise TypeError(f"it has no {' or '.join(kind.rest.key)}")
    name.encode()  # a lone surrogate would break every output
    return name


class _Identity:
    """A kind as a cache key: equal when it is the same object, and never compared field by field."""

    __slots__ = ("kind",)

    def __init__(self, kind: Kind) -> None:
        self.kind = kind

    def __hash__(self) -> int:
        return id(self.kind)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Identity) and other.kind is self.kind


@functools.lru_cache(maxsize=256)
def _decoder(name: str, identity: _Identity) -> _Decoder:
    kind = identity.kind
    return _Decoder(
        fields=_wire_fields(kind.fields),
        status=kind.traits.readiness.field if kind.traits.readiness else None,
        builtin=tuple(tuple(rule.items()) for rule in kind.policy.builtin),
        hook=hook_of(kind).decode,
        masked=tuple(masked_secrets(kind)),
    )


def masked_secrets(kind: Kind) -> Iterator[tuple[str, str]]:
    """Yield (wire name, spec name) of secrets that a read shows as a mask, or as empty where none is set."""
    if kind.singleton:  # a read of databases and users returns neither
        yield from ((field.wire, field.name) for field in kind.fields.values() if field.access.secret)


def _wire_fields(fields: Mapping[str, Field]) -> dict[str, tuple[str, _Convert | None]]:
    """Return the fields of an object that are kept: wire name → spec name and conversion."""
    kept = (field for field in fields.values() if not (is_unread(field) or field.access.secret))
    return {field.wire: (field.name, _converter(field)) for field in kept}


def _converter(field: Field) -> _Convert | None:
    """Return the conversion of a wire value to a spec value; None where it contains no reference."""
    if field.items is not None:
        each = _converter(field.items)
        return _list_converter(each) if each is not None else None
    if field.reference and not field.reference.cluster_from:
        return _name_converter(field.reference)
    table = {key: entry for key, entry in _wire_fields(field.properties).items() if entry != (key, None)}
    return _object_converter(table) if table else None


def _list_converter(each: _Convert) -> _Convert:
    def convert(value: Any, names: Names) -> Any:
        if not isinstance(value, list):
            raise TypeError("a list was expected")
        return [each(item, names) for item in value]

    return convert


def _object_converter(table: Mapping[str, tuple[str, _Convert | None]]) -> _Convert:
    def convert(value: Any, names: Names) -> Any:
        if not isinstance(value, dict):
            return value
        spec = {}
        for key, part in value.items():
            name, turn = table.get(key, (key, None))
            spec[name] = part if turn is None or part is None else turn(part, names)
        return spec

    return convert


def _name_converter(reference: Reference) -> _Convert:
    kind, literals = reference.kind, frozenset(reference.literals)

    def convert(value: Any, names: Names) -> Any:
        if value in literals:
            return value
        known = names.get(kind, {})
        uid: Uid = int(value) if isinstance(value, str) and value.isdigit() else value
        return known.get(uid) or known.get(value) or unnamed(value)

    return convert
