"""Software versions of clusters, and what a cluster of some version lacks of a kind. Pure.

`live` learns the version and reads only what it has; the planner asks what is declared beyond it. Two numbers count
(7.4 < 7.8 < 7.22 < 8.0): that is how the API's documentation is divided, and so what the kind files know.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any, NamedTuple

from reconciler.kinds import MISSING, Field, Kind
from reconciler.kinds.labels import label

OLDEST = "7.4"  # what this or any earlier version deprecates is deprecated wherever we work
ITEM = "[]"  # stands in `VersionFinding.wire` for the items of a list

_TEXT = re.compile(r"([0-9]{1,4})\.([0-9]{1,4})((?:[.-][0-9A-Za-z.+-]{0,40})?)")


class ServerVersion(NamedTuple):
    """What software a cluster runs."""

    major: int
    minor: int
    build: str = ""  # the rest as it was stated: ".2-17"; nothing depends on it

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}{self.build}"


def parse(text: str) -> ServerVersion | None:
    """Return the version that *text* states, such as "8.0.2-17"; None for anything else."""
    found = _TEXT.fullmatch(text.strip())
    return ServerVersion(int(found[1]), int(found[2]), found[3]) if found else None


def reached(version: ServerVersion | None, first: str | None) -> bool:
    """Tell whether *version* is *first* or later; True where either is not known."""
    least = parse(first) if first else None
    return version is None or least is None or version[:2] >= least[:2]


def passed(version: ServerVersion | None, last: str | None) -> bool:
    """Tell whether *version* is later than *last*; False where either is not known."""
    most = parse(last) if last else None
    return version is not None and most is not None and version[:2] > most[:2]


def has(version: ServerVersion | None, what: Field | Kind) -> bool:
    """Tell whether a cluster of *version* has this field or kind."""
    return reached(version, what.support.since) and not passed(version, what.support.until)


def available(
    kinds: Mapping[str, Kind], version: ServerVersion | None, known: Mapping[str, frozenset[str]]
) -> Mapping[str, Kind]:
    """Return the kinds that a cluster of *version* has, each with the fields that it has: what may be read of it.

    *known* are fields that the cluster itself says it has, whatever the documentation of its version says.
    """
    return {
        name: _restricted(kind, version, known.get(name, frozenset()))
        for name, kind in kinds.items()
        if has(version, kind)
    }


_restricted_kinds: dict[tuple[int, frozenset[str]], tuple[Kind, Kind]] = {}


def _restricted(kind: Kind, version: ServerVersion | None, known: frozenset[str]) -> Kind:
    """Return *kind* without what *version* lacks; the same object every time, since what is compiled of it is kept."""
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
    """Something about a declared field that depends on the version of the cluster."""

    path: tuple[str | int, ...]  # below the spec, for the place in the manifest
    text: str  # the same for people: `module_list[module_name=search].module_args`
    wire: tuple[str, ...]  # the names of the API down to it, `ITEM` for items
    message: str
    hint: str
    missing: bool = True  # the version does not have it; else it is deprecated there
    value: Any = MISSING  # the value that the version does not take, where it has the field


def findings(kind: Kind, spec: Mapping[str, Any], version: ServerVersion | None) -> Iterator[VersionFinding]:
    """Yield what canonical *spec* declares that a cluster of *version* lacks or deprecates, at any depth."""
    if version is not None:
        for name in sorted(spec):
            field = kind.fields.get(name)
            if field is not None and _is_watched(field):
                yield from _below(field, spec[name], version, VersionFinding((name,), name, (field.wire,), "", ""))


def unsupported_kind(kind: Kind, version: ServerVersion | None) -> str:
    """Say why a cluster of *version* has no *kind*; "" where it has it."""
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
        return  # what stands inside is gone with it
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
                # a list with keys is sorted by now, so the place of an item in the manifest is not known any more
                path=(*at.path, index) if field.form.key is None else at.path,
                text=at.text + (f"[{index}]" if field.form.key is None else label(field, item)),
                wire=(*at.wire, ITEM),
            )
            yield from _below(field.items, item, version, inside)
