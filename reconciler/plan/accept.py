"""The edits of manifests that accept drift. Pure: the command `accept` edits the files.

A field is written completely where only a part of a list differs. Secrets are never accepted, and neither are deleted
objects: those need a tombstone, written by a person.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from typing import Any, NamedTuple

from reconciler.diff import SECRET
from reconciler.kinds import MISSING, Field, Kind
from reconciler.kinds.quantities import UNITS
from reconciler.model import Address, LiveState
from reconciler.plan.drift import Drift
from reconciler.plan.view import names_of


class Edit(NamedTuple):
    """One value to be written: *path* begins with "spec"."""

    address: Address
    path: tuple[str, ...]
    value: Any


class NotAcceptable(Exception):
    """Drift that cannot be accepted; the text says why."""


def selected(drifts: Iterable[Drift], addresses: Sequence[str]) -> tuple[Drift, ...]:
    """Return those of *drifts* that *addresses* select, each `[cluster:]Kind/name[.field]`; raises NotAcceptable."""
    found: list[Drift] = []
    all_of_them = list(drifts)
    for text in addresses:
        mine = [drift for drift in all_of_them if _selects(text, drift)]
        if not mine:
            near = get_close_matches(text, {name for drift in all_of_them for name in names_of(drift.address)}, 1)
            hint = f"did you mean {near[0]}?" if near else "`reconciler drift` lists all drift"
            raise NotAcceptable(f"{text}: no drift; {hint}")
        found += [drift for drift in mine if drift not in found]
    return tuple(found)


def _selects(text: str, drift: Drift) -> bool:
    for name in (str(drift.address), str(drift.address._replace(cluster=""))):
        field = text.removeprefix(name)
        if text == name or (text.startswith(name) and field.startswith(".") and _below(drift.path, field[1:])):
            return True
    return False


def _below(path: str, field: str) -> bool:
    return path == field or path.startswith((f"{field}.", f"{field}["))


def edits(kinds: Mapping[str, Kind], drifts: Iterable[Drift], live: Mapping[str, LiveState]) -> tuple[Edit, ...]:
    """Return the edits that write the *live* values of *drifts*; raises NotAcceptable."""
    found: list[Edit] = []
    for drift in drifts:
        edit = _edit(kinds[drift.address.kind], drift, live)
        if edit not in found:  # several items of one list
            found.append(edit)
    return tuple(found)


def _edit(kind: Kind, drift: Drift, live: Mapping[str, LiveState]) -> Edit:
    address, where = drift.address, f"{drift.address}{f'.{drift.path}' if drift.path else ''}"
    if not drift.path:
        raise NotAcceptable(f"{where}: does not exist; to accept that, write state: absent, or remove its manifest")
    objects = live[address.cluster].objects.get(address.kind, ())
    spec = next((one.spec for one in objects if one.name == address.name), {})
    path = tuple(drift.path.partition("[")[0].split("."))
    value: Any = spec
    for step in path:
        value = value.get(step, MISSING) if isinstance(value, Mapping) else MISSING
    if drift.live is SECRET or _hides(_field(kind, path)):
        raise NotAcceptable(f"{where}: is or contains a secret, which cannot be read back")
    if value is MISSING:
        raise NotAcceptable(f"{where}: the cluster has no value; to accept that, remove the field from the manifest")
    return Edit(address, ("spec", *path), _plain(value))


def _plain(value: Any) -> Any:
    """Return *value* made of dicts and lists alone."""
    if isinstance(value, Mapping):
        return {name: _plain(item) for name, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, (list, tuple)) else value


def _field(kind: Kind, path: Sequence[str]) -> Field | None:
    fields: Mapping[str, Field] = kind.fields
    found: Field | None = None
    for step in path:
        found = fields.get(step)
        if found is None:
            return None
        fields = found.properties
    return found


def _hides(field: Field | None) -> bool:
    if field is None:
        return False
    below = [*field.properties.values(), *([field.items] if field.items else [])]
    return bool(field.access.secret or field.access.write_only) or any(map(_hides, below))


def as_written(kind: Kind, edit: Edit, before: Any) -> Any:
    """Return the value in the notation of *before*: a quantity stays a quantity where that is exact."""
    field = _field(kind, edit.path[1:])
    units = UNITS.get(field.form.unit or "") if field is not None else None
    if units is None or not isinstance(before, str) or type(edit.value) is not int:
        return edit.value
    fitting = [(size, name) for name, size in units.items() if edit.value and edit.value % size == 0]
    binary = [one for one in fitting if "i" in one[1]] or fitting
    if not binary:
        return edit.value
    size, name = max(binary)
    return f"{edit.value // size}{name}"
