"""Receivers of the event log."""

from __future__ import annotations

from reconciler.simulator.resources.collection import Collection
from reconciler.simulator.resources.collection_registry import serve
from reconciler.simulator.resources.operation import Operation

_OBSERVED = {"source": "observed"}  # a server has it, the documentation does not
_READ, _WRITE = Operation("view_logged_events", columns=_OBSERVED), Operation("update_cluster", columns=_OBSERVED)

RECEIVERS = Collection(
    "log_receiver",
    "/v1/log_receivers",
    "log receiver",
    {"list": _READ, "get": _READ, "create": _WRITE, "update": _WRITE, "delete": _WRITE},
    unique={"name": "name_already_exists"},
    fields=(
        {"name": "uid", "type": "integer", "read_only": True},
        {"name": "name", "type": "string", "required": True},
        {"name": "address", "type": "string", "required": True},
        {"name": "timeout", "type": "integer", "min": 1, "max": 300, "default": 10},
    ),
)

serve(RECEIVERS)
