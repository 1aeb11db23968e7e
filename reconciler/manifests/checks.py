"""Checks of a manifest that a schema cannot express: rules of its metadata, and warnings about unusual values.

Pure; called by `loader` for manifests that match their schema.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from difflib import get_close_matches
from typing import Any

from reconciler.errors import Problem
from reconciler.kinds import Field, Kind, freeze, ratio_fields, versions
from reconciler.kinds.uniqueness import unique_values
from reconciler.manifests.layers import Manifest, ResourceKey
from reconciler.manifests.resource import Resource
from reconciler.settings.agent import window_of
from reconciler.yaml12 import Path, shown


def check_metadata(manifest: Manifest, kind: Kind, problems: list[Problem]) -> None:
    """Add what is wrong with the metadata of *manifest*, without regard to other manifests."""
    metadata = manifest.value["metadata"]
    for index, name in enumerate(metadata.get("ignore", ())):
        if name not in kind.fields:
            near = get_close_matches(name, kind.fields, 1)
            hint = f'did you mean "{near[0]}"?' if near else f"`reconciler kinds {kind.name}` lists them"
            message = f"{kind.name} has no field {shown(name)}"
            problems.append(manifest.problem(("metadata", "ignore", index), message, hint))
    if "freeze" in metadata:
        _check_freeze(manifest, problems)
    absent = metadata.get("state") == "absent"
    if absent and metadata.get("protect"):
        message = "cannot be combined with state: absent"
        problems.append(manifest.problem(("metadata", "protect"), message, "remove one of the two"))
    old = metadata.get("renamedFrom")
    if old is not None and old == metadata["name"]:
        problems.append(manifest.problem(("metadata", "renamedFrom"), "is the current name", "remove it"))
    if old is not None and absent:
        message = "cannot be combined with state: absent"
        problems.append(
            manifest.problem(("metadata", "renamedFrom"), message, "name the object as it is in the cluster")
        )


def _check_freeze(manifest: Manifest, problems: list[Problem]) -> None:
    for index, written in enumerate(manifest.value["metadata"]["freeze"]):
        wrong: list[str] = []
        window = window_of(written, lambda word, message: wrong.append(message))  # noqa: B023 - called immediately
        path: Path = ("metadata", "freeze", index)
        if not freeze.is_cron(window.cron):
            message = f"{shown(window.cron)} is not a cron expression"
            problems.append(manifest.problem((*path, "cron"), message, freeze.HINT))
        problems += [manifest.problem((*path, "timeZone"), message) for message in wrong]


def check_renames(manifests: Mapping[ResourceKey, Manifest], problems: list[Problem]) -> None:
    """Add renames within one cluster that conflict."""
    taken: dict[ResourceKey, Manifest] = {}
    path: Path = ("metadata", "renamedFrom")
    for (kind, name), manifest in manifests.items():
        old = manifest.value["metadata"].get("renamedFrom")
        if old is None or old == name:
            continue
        other = manifests.get((kind, old)) or taken.get((kind, old))
        if other is not None:
            place = other.locate(("metadata", "name") if (kind, old) in manifests else path)
            what = "is still declared" if (kind, old) in manifests else "is also renamed by another manifest"
            problems.append(
                manifest.problem(path, f"{kind}/{old} {what}", f"at {place.file}:{place.line}:{place.column}")
            )
        taken[kind, old] = manifest


def check_ratios(manifest: Manifest, kind: Kind, spec: Mapping[str, Any], problems: list[Problem]) -> None:
    """Add numbers of canonical *spec* that are out of proportion to another field."""
    fields = ratio_fields.of(kind)
    if not fields.keys().isdisjoint(spec):
        problems += _bad_ratios(manifest, fields, spec, ("spec",))


def _bad_ratios(
    manifest: Manifest, fields: Mapping[str, Field], value: Mapping[str, Any], path: Path
) -> Iterator[Problem]:
    for name, field in fields.items():
        mine, ratio = value.get(name), field.usual.ratio
        if isinstance(mine, dict):
            yield from _bad_ratios(manifest, field.properties, mine, (*path, name))
        elif isinstance(mine, list) and field.items is not None:
            for index, item in enumerate(mine):
                if isinstance(item, dict):
                    yield from _bad_ratios(manifest, field.items.properties, item, (*path, name, index))
        elif ratio is not None and mine and (other := value.get(ratio.of)):
            if ratio.at_least is not None and mine < ratio.at_least * other:
                least = f"must be at least {ratio.at_least:.0%} of {ratio.of}".replace("%", " %")
                text = f"{least}, which is {_amount(other, field.form.unit)}, got {_amount(mine, field.form.unit)}"
                yield manifest.problem((*path, name), text)
            if ratio.below is not None and mine >= ratio.below * other:
                text = f"must be less than {ratio.of}, which is {_amount(other, field.form.unit)}"
                yield manifest.problem((*path, name), f"{text}, got {_amount(mine, field.form.unit)}")


def check_unique(resources: Iterable[Resource], kinds: Mapping[str, Kind], problems: list[Problem]) -> None:
    """Add a problem for each value that two of *resources* declare, and that only one object of a cluster may have."""
    first: dict[tuple[str, str, Any], tuple[Resource, Path]] = {}
    for resource in resources:
        if resource.absent:
            continue
        for one in unique_values(kinds[resource.address.kind], resource.spec, resource.address.cluster):
            path: Path = ("spec", *one.path)
            if str(one.path[0]) in resource.ignore:
                continue
            other, where = first.setdefault(one.key, (resource, path))
            if other is not resource:
                place, mine = other.place(where), resource.place(path)
                on = f" on {one.cluster}" if one.cluster else ""
                message = f"{one.what} {one.value} is taken by {other.address.kind}/{other.address.name}{on}"
                hint = f"declared at {place.file}:{place.line}:{place.column}"
                problems.append(Problem(mine.file, mine.line, mine.column, ".".join(map(str, path)), message, hint))


_watched_fields: dict[int, tuple[Kind, frozenset[str]]] = {}


def warnings_of(manifest: Manifest, kind: Kind, spec: Mapping[str, Any]) -> Iterator[Problem]:
    """Yield warnings about canonical *spec*: deprecated fields, unusually small values, advice of the kind."""
    for finding in kind.advice.findings(dict(spec)) if kind.advice is not None else ():
        yield manifest.problem(("spec", *finding.path), finding.message, finding.hint)
    known = _watched_fields.get(id(kind))
    if known is None or known[0] is not kind:
        names = frozenset(name for name, field in kind.fields.items() if _is_watched(field))
        known = _watched_fields[id(kind)] = (kind, names)
    for name in sorted(spec.keys() & known[1]):
        yield from _warnings(manifest, kind.fields[name], spec[name], ("spec", name))


def _is_watched(field: Field) -> bool:
    below = [*field.properties.values(), *([field.items] if field.items else [])]
    return _is_deprecated(field) or field.usual.minimum is not None or any(map(_is_watched, below))


def _is_deprecated(field: Field) -> bool:
    """Return whether *field* is deprecated in every supported version; else the plan of a cluster warns."""
    return field.support.deprecated and versions.reached(versions.parse(versions.OLDEST), field.support.deprecated_in)


def _warnings(manifest: Manifest, field: Field, value: Any, path: Path) -> Iterator[Problem]:
    if _is_deprecated(field):
        hint = f"use {field.support.instead}" if field.support.instead else "the server may ignore or remove it"
        yield manifest.problem(path, "is deprecated", hint)
    minimum = field.usual.minimum
    if minimum is not None and isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < minimum:
        hint = f"{_amount(minimum, field.form.unit)} or more is usual"
        yield manifest.problem(path, f"{_amount(value, field.form.unit)} is unusually small", hint)
    if isinstance(value, dict):
        for name in sorted(value.keys() & field.properties.keys()):
            yield from _warnings(manifest, field.properties[name], value[name], (*path, name))
    elif isinstance(value, list) and field.items:
        for index, item in enumerate(value):
            yield from _warnings(manifest, field.items, item, (*path, index))


def _amount(value: float, unit: str | None) -> str:
    if unit != "bytes":
        return f"{value:g} {unit}" if unit else f"{value:g}"
    for factor, name in ((1024**3, "GiB"), (1024**2, "MiB"), (1024, "KiB")):
        if value >= factor:
            return f"{value / factor:.4g} {name}"
    return f"{value:g} bytes"
