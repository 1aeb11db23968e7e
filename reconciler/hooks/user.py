"""What a user does that data cannot say: setting the password that is already set is refused by some builds."""

from __future__ import annotations

from reconciler.hooks.base import Hook

HOOK = Hook(secret_is_so=frozenset({"new_password_same_as_current"}))
