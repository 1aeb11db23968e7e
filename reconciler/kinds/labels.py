"""Labels of items of a keyed list or a set in a path: `roles_permissions[role=app]`, `hosts[a.example.com]`."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from reconciler.kinds.kind import Field

_LABEL_LIMIT = 64  # characters; a longer value is shown by its digest


def label(field: Field, item: Any) -> str:
    """Name *item* of a keyed list or a set within its list: `[role=app]`, `[a.example.com]`."""
    if field.form.key and isinstance(item, Mapping):
        text = ",".join(f"{part}={_word(item.get(part))}" for part in field.form.key)
    else:
        text = _word(item)
    return f"[{text}]"


def _word(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, sort_keys=True, default=str)
    if len(text) <= _LABEL_LIMIT and text.isprintable():
        return text
    return "sha256:" + hashlib.sha256(text.encode(errors="backslashreplace")).hexdigest()[:12]
