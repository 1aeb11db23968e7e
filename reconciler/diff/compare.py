"""Desired and live, in canonical form, to the field changes between them. Home of deepdiff.

The planner and the check after a write call this. An equality test comes first: deepdiff costs milliseconds an object
and is used only for values that are known to differ, and loaded only where one of them has parts. It must not know
what a difference leads to.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from reconciler.diff.normalize import comparable, project
from reconciler.kinds import MISSING, Field, Kind
from reconciler.kinds.labels import label
from reconciler.kinds.vocabulary import is_value_from


class _Secret:
    """The marker of a secret value; a singleton."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "(secret)"

    def __reduce__(self) -> str:
        return "SECRET"


SECRET: Any = _Secret()


class FieldChange(NamedTuple):
    """One value that differs. A secret shows as `SECRET` on either side, never as itself."""

    path: str  # "memory_size", "roles_permissions[role=app]", "backup_location.bucket_name"
    before: Any  # MISSING where there is nothing
    after: Any


class _Items(dict[str, Any]):
    """A keyed list or a set, as a map by label, so that an inserted item does not shift all others."""


def changes(kind: Kind, desired: Mapping[str, Any], live: Mapping[str, Any]) -> tuple[FieldChange, ...]:
    """Return what differs between canonical *desired* and canonical *live*, as far as *desired* declares it.

    Secrets and write-only fields cannot be read back: they never show here.
    """
    if desired.items() <= live.items():
        return ()  # the usual case, at the speed of C
    wanted = comparable(kind, desired)
    found = project(kind, wanted, live)
    if found == wanted:
        return ()
    names = [name for name in wanted if name not in found or found[name] != wanted[name]]
    single = [FieldChange(name, found.get(name, MISSING), wanted[name]) for name in names]
    single = [change for change in single if not (_has_parts(change.before) or _has_parts(change.after))]
    names = [name for name in names if name not in {change.path for change in single}]
    after = {name: _mapped(kind.fields.get(name), wanted[name]) for name in names}
    before = {name: _mapped(kind.fields.get(name), found[name]) for name in names if name in found}
    parted = _compare(before, after) if names else []
    return tuple(sorted([*single, *parted], key=lambda change: change.path))


def masked(value: Any) -> Any:
    """Return *value* with `SECRET` in the place of each reference to a secret."""
    if is_value_from(value):
        return SECRET
    if isinstance(value, Mapping):
        return {name: masked(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [masked(item) for item in value]
    return value


def _has_parts(value: Any) -> bool:
    return isinstance(value, dict | list | tuple)


def _compare(before: dict[str, Any], after: dict[str, Any]) -> list[FieldChange]:
    from deepdiff import DeepDiff  # 40 ms to import: only when something with parts differs

    tree = DeepDiff(
        before,
        after,
        view="tree",
        verbose_level=2,
        threshold_to_diff_deeper=0,
        zip_ordered_iterables=True,
        ignore_private_variables=False,  # otherwise keys that start with two underscores would never differ
    )
    found = []
    resized = {}  # ordered lists with more or fewer items: one change each, since all items may have moved
    for report, levels in tree.items():
        for level in levels:
            if report.startswith("iterable_item_"):
                path = _path(level.up.path(output_format="list"))
                resized[path] = FieldChange(path, _listed(level.up.t1), _listed(level.up.t2))
                continue
            old = MISSING if report.endswith("_added") else level.t1
            new = MISSING if report.endswith("_removed") else level.t2
            if not _same_number(old, new):
                path = _path(level.path(output_format="list"))
                found.append(FieldChange(path, _listed(old), _listed(new)))
    within = tuple(f"{path}[" for path in resized)
    return [*(change for change in found if not change.path.startswith(within)), *resized.values()]


def _same_number(old: Any, new: Any) -> bool:
    """1 and 1.0 are the same number to the API, and different types to deepdiff."""
    numbers = (int, float)
    return type(old) in numbers and type(new) in numbers and bool(old == new)


def _mapped(field: Field | None, value: Any) -> Any:
    if field is None:
        return value
    if type(value) is list:
        items = value if field.items is None else [_mapped(field.items, item) for item in value]
        if field.form.key is None:
            return items
        named = _Items()
        for item, mapped in zip(value, items, strict=True):
            name = label(field, item)
            while name in named:
                name += "'"
            named[name] = mapped
        return named
    if type(value) is dict:
        return {name: _mapped(field.properties.get(name), item) for name, item in value.items()}
    return value


def _listed(value: Any) -> Any:
    if isinstance(value, _Items):
        return [_listed(item) for item in value.values()]
    if isinstance(value, dict):
        return {name: _listed(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_listed(item) for item in value]
    return value


def _path(parts: list[Any]) -> str:
    path = ""
    for part in parts:
        if isinstance(part, int):
            path += f"[{part}]"
        elif part.startswith("["):
            path += part
        else:
            path += f".{part}" if path else part
    return path
