"""Software versions of clusters, and which kinds and fields a version supports. Pure.

`live` reads only supported fields; the planner checks what is declared. Two numbers are compared (7.4 < 7.8 < 7.22 <
8.0), as in the documentation of the API and in the kind files.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any, NamedTuple

from reconciler.kinds import MISSING, Field, Kind
from reconciler.kinds.labels import label

OLDEST = "7.4"  # what this or an earlier version deprecates is deprecated in every supported version
ITEM = "[]"  # the items of a list in `VersionFinding.wire`

_TEXT = re.compile(r"([0-9]{1,4})\.([0-9]{1,4})((?:[.-][0-9A-Za-z.+-]{0,40})?)")


class ServerVersion(NamedTuple):
    """The software version of a cluster."""

    major: int
    minor: int
    build: str = ""  # the rest of the text: ".2-17"; not compared

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}{self.build}"


def parse(text: str) -> ServerVersion | None:
    """Return the version in *text*, such as "8.0.2-17"; None for anything else."""
    found = _TEXT.fullmatch(text.strip())
    return ServerVersion(int(found[1]), int(found[2]), found[3]) if found else None


def reached(version: ServerVersion | None, first: str | None) -> bool:
    """Return whether *version* is *first* or later; True if either is unknown."""
    least = parse(first) if first else None
    return version is None or least is None or version[:2] >= least[:2]


def passed(version: ServerVersion | None, last: str | None) -> bool:
    """Return whether *version* is later than *last*; False if either is unknown."""
    most = parse(last) if last else None
    return version is not None and most is not None and version[:2] > most[:2]


def has(version: ServerVersion | None, what: Field | Kind) -> bool:
    """Return whether a cluster of *version* has this field or kind."""
    return reached(version, what.support.since) and not passed(version, what.support.until)


def takes_dry_run(version: ServerVersion | None, kind: Kind) -> bool:
    """Return whether a cluster of *version* certainly validates a create or an update with `dry_run`.

    Any other would execute it.
    """
    since = kind.rest.dry_run_since
    return kind.rest.dry_run and (not since or (version is not None and reached(version, since)))


def available(
    kinds: Mapping[str, Kind], version: ServerVersion | None, known: Mapping[str, frozenset[str]]
) -> Mapping[str, Kind]:
    """Return the kinds that a cluster of *version* has, each with its supported fields.

    *known* are fields in the schema that the cluster serves; they are supported in any version.
    """
    return {
        name: _restricted(kind, version, known.get(name, frozenset()))
        for name, kind in kinds.items()
        if has(version, kind)
    }


_restricted_kinds: dict[tuple[int, frozenset[str]], tuple[Kind, Kind]] = {}


def _restricted(kind: Kind, version: ServerVersion | None, known: frozenset[str]) -> Kind:
    """Return *kind* without unsupported fields; always the same object, since results are cached by identity."""
    gone = frozenset(name for name, field in kind.fields.items() if name not in known and not has(version, field))
    if not gone:
        return kind
    there = _restricted_kinds.get((id(kind), gone))
    if there is None or there[0] is not kind:
        if len(_restricted_kinds) > 256:
            _restricted_kinds.clear()
        fields = {name: field for name, field in kind.fields.items() if name not in gone}
        there = _restricted_kinds[id(kind), gone] = (kind, replace(kind, fields=fields))
    return there[1]


class VersionFinding(NamedTuple):
    """A declared field or value that the version of the cluster does not support, or deprecates."""

    path: tuple[str | int, ...]  # below the spec, for the location in the manifest
    text: str  # the same for messages: `module_list[module_name=search].module_args`
    wire: tuple[str, ...]  # the names of the API down to it, `ITEM` for items
    message: str
    hint: str
    missing: bool = True  # not supported; else deprecated
    value: Any = MISSING  # the unsupported value of a supported field


def findings(kind: Kind, spec: Mapping[str, Any], version: ServerVersion | None) -> Iterator[VersionFinding]:
    """Yield what canonical *spec* declares and *version* does not support or deprecates, at any depth."""
    if version is not None:
        for name in sorted(spec):
            field = kind.fields.get(name)
            if field is not None and _is_watched(field):
                yield from _below(field, spec[name], version, VersionFinding((name,), name, (field.wire,), "", ""))


def unsupported_kind(kind: Kind, version: ServerVersion | None) -> str:
    """Return why *version* does not support *kind*; "" if it does."""
    return "" if has(version, kind) else _unsupported(kind, version)


def _unsupported(what: Field | Kind, version: ServerVersion | None) -> str:
    if passed(version, what.support.until):
        return f"removed after version {what.support.until}; the cluster runs {version}"
    return f"requires version {what.support.since} or later; the cluster runs {version}"


def _is_watched(field: Field) -> bool:
    below: Iterable[Field] = (*field.properties.values(), *((field.items,) if field.items else ()))
    return bool(
        field.support.since or field.support.until or field.support.values_since or field.support.deprecated_in
    ) or any(map(_is_watched, below))


def _below(field: Field, value: Any, version: ServerVersion, at: VersionFinding) -> Iterator[VersionFinding]:
    if not has(version, field):
        hint = "remove it" if passed(version, field.support.until) else "remove it, or upgrade the cluster first"
        instead = f"use {field.support.instead}" if field.support.instead else hint
        yield at._replace(message=_unsupported(field, version), hint=instead)
        return  # the fields inside are not supported either
    first = field.support.values_since.get(value) if isinstance(value, str) else None
    if not reached(version, first):
        message = f"{value} requires version {first} or later; the cluster runs {version}"
        yield at._replace(message=message, hint="use another value, or upgrade the cluster first", value=value)
    if (
        field.support.deprecated_in
        and not reached(parse(OLDEST), field.support.deprecated_in)
        and reached(version, field.support.deprecated_in)
    ):
        use = f"; use {field.support.instead}" if field.support.instead else ""
        yield at._replace(message=f"deprecated since {field.support.deprecated_in}{use}", missing=False)
    if isinstance(value, Mapping):
        for name in sorted(value.keys() & field.properties.keys()):
            child = field.properties[name]
            inside = at._replace(path=(*at.path, name), text=f"{at.text}.{name}", wire=(*at.wire, child.wire))
            yield from _below(child, value[name], version, inside)
    elif isinstance(value, list) and field.items is not None:
        for index, item in enumerate(value):
            inside = at._replace(
                # a list with keys is already sorted: the location of an item in the manifest is unknown
                path=(*at.path, index) if field.form.key is None else at.path,
                text=at.text + (f"[{index}]" if field.form.key is None else label(field, item)),
                wire=(*at.wire, ITEM),
            )
            yield from _below(field.items, item, version, inside)
