"""What the alert settings of a cluster do that data cannot say: they are one key of a larger object."""

from __future__ import annotations

from reconciler.api.hooks.base import Hook

HOOK = Hook(within="alert_settings")
