"""What a user does that data cannot say: it may be us, and some builds refuse the password that is set already."""

from __future__ import annotations

from reconciler.hooks.base import Hook

HOOK = Hook(logs_in_by=("name", "email"), secret_is_so=frozenset({"new_password_same_as_current"}))
