"""The text above the login."""

from __future__ import annotations

from reconciler.simulator.resources.operation import Operation
from reconciler.simulator.resources.singletons import Singleton, serve_singleton, store_singleton

_OBSERVED = {"source": "observed"}  # a server has it, the documentation does not

BANNER = Singleton(
    "login_banner",
    "/v1/cluster/login_banner",
    Operation("view_cluster_info", columns=_OBSERVED),
    Operation("update_cluster", columns=_OBSERVED),
    fields=(
        {"name": "enabled", "type": "boolean", "default": False},
        {"name": "text", "type": "string", "max_length": 200, "default": ""},
    ),
)

serve_singleton(BANNER)
store_singleton(BANNER.kind, BANNER.path)
