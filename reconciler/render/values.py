"""Values of a spec on one line: complete, escaped, with exact quantities. All plan renderers call this.

`long_values` shows what does not fit on a line.
"""

from __future__ import annotations

import json
import re
from typing import Any

from reconciler.diff import SECRET, FieldChange
from reconciler.kinds import MISSING, Field, load_kinds
from reconciler.render.escape import clean

ARROW = " → "
_PLAIN = re.compile(r"[A-Za-z_*~+@/.-][A-Za-z0-9_*~+@/.,=%-]*")
_LOOKS_OTHERWISE = frozenset({"true", "false", "null", "yes", "no", "on", "off", "~", "-"})
_STEPS = {
    "bytes": (("TiB", 1024**4), ("GiB", 1024**3), ("MiB", 1024**2), ("KiB", 1024)),
    "seconds": (("d", 86400), ("h", 3600), ("m", 60)),
    "milliseconds": (("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000)),
}


def field_at(kind: str, path: str) -> Field | None:
    """Return the field at the *path* of a field change; None where it is unknown."""
    known = load_kinds().get(kind)
    fields = known.fields if known is not None else {}
    found: Field | None = None
    for name in re.sub(r"\[[^\]]*\]", "", path).split("."):
        found = fields.get(name)
        if found is None:
            return None
        inner = found if found.items is None else found.items
        fields = inner.properties
    return found


def human(value: Any, unit: str | None) -> str:
    """Return a quantity with a unit, "2 GiB"; "" where it is not one, or is not shorter."""
    if type(value) is str and value.isdigit() and len(value) < 20 and unit == "bytes":
        value = int(value)
    if type(value) is not int:
        return ""
    for name, size in _STEPS.get(unit or "", ()):
        if value >= size:
            amount = f"{value / size:.2f}".rstrip("0").rstrip(".")
            exact = value % size == 0 or unit == "bytes"
            return f"{amount} {name}" if unit == "bytes" else (f"{amount}{name}" if exact else "")
    return ""


def shown(value: Any) -> str:
    """Return *value* on one line."""
    if value is MISSING:
        return "(not set)"
    if value is SECRET:
        return "(secret)"
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, list):
        return f"[{', '.join(map(shown, value))}]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{clean(str(name))}: {shown(item)}" for name, item in value.items()) + "}"
    return json.dumps(value, default=repr)


def _text(value: str) -> str:
    if _PLAIN.fullmatch(value) and value.lower() not in _LOOKS_OTHERWISE:
        return value
    escaped = clean(value).replace('"', '\\"')
    return f'"{escaped}"'


def quantity(value: Any, unit: str | None) -> str:
    """Return *value* with its human form beside it: `2 GiB (2147483648)`."""
    said = human(value, unit)
    return f"{said} ({shown(value)})" if said else shown(value)


def is_simple(value: Any) -> bool:
    """Return whether *value* can be shown on one line, if that is long enough."""
    return is_flat(value) and not (isinstance(value, str) and "\n" in value.rstrip("\n"))


def is_flat(value: Any) -> bool:
    """Return whether *value* has no map within a map, which would be hard to read on one line."""
    if isinstance(value, dict):
        return not any(isinstance(item, dict) or not _is_of_scalars(item) for item in value.values())
    return not isinstance(value, list) or all(map(is_flat, value))


def _is_of_scalars(value: Any) -> bool:
    return not isinstance(value, list) or not any(isinstance(item, dict | list) for item in value)


def change_text(kind: str, change: FieldChange) -> str:
    """Return the values of *change* on one line: before → after, or the only one there is."""
    field = field_at(kind, change.path)
    unit = field.form.unit if field is not None else None
    if change.before is MISSING or change.after is MISSING:
        value = change.after if change.before is MISSING else change.before
        return "" if change.path.endswith(f"[{value}]") else quantity(value, unit)  # an item of a set names itself
    before, after = human(change.before, unit), human(change.after, unit)
    exact = shown(change.before) + ARROW + shown(change.after)
    if before or after:
        return f"{before or shown(change.before)}{ARROW}{after or shown(change.after)} ({exact})"
    return exact
