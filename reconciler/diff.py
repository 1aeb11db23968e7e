"""Desired and live, in canonical form, to the field changes between them. Home of deepdiff."""

from __future__ import annotations

from typing import Any, NamedTuple


class FieldChange(NamedTuple):
    """One value that differs. A secret shows as `SECRET` on either side, never as itself."""

    path: str  # "memory_size", "roles_permissions[role=app]", "backup_location.bucket_name"
    before: Any  # MISSING where there is nothing
    after: Any
