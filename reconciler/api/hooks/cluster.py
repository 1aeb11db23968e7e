"""What the settings of a cluster do that data cannot say: one of them is the port that all of this goes through."""

from __future__ import annotations

from reconciler.api.hooks.base import Hook

HOOK = Hook(api_port="cnm_https_port")
