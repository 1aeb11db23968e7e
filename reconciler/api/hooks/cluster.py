"""The hook of the cluster settings: one of them is the port of the API itself."""

from __future__ import annotations

from reconciler.api.hooks.base import Hook

HOOK = Hook(api_port_field="cnm_https_port")
