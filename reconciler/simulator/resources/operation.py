"""One operation of a generic resource: how it is documented, and its registration with the routes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from reconciler.simulator.api import routes
from reconciler.simulator.api.messages import Json, Response
from reconciler.simulator.data import tables


class Operation(NamedTuple):
    """How one operation is documented; empty fields are derived from the row of its resource."""

    permission: str | None = None
    statuses: tuple[int, ...] = ()
    codes: tuple[str, ...] | None = None
    query: tuple[str, ...] = ()
    columns: Mapping[str, Json] = {}  # further columns of `data/endpoints.json`: mixed, mode, source, since …


def register(
    operation: str, documented: Operation, handler: Callable[..., Response], derived: Mapping[str, Json]
) -> None:
    """Serve *operation*, "METHOD path". Its row in the table of endpoints is *derived* and what is *documented*."""
    method, path = operation.split(" ")
    row = {
        "method": method,
        "path": path,
        "permission": documented.permission,
        "mode": "sync",
        "query": list(documented.query),
        **derived,
        **documented.columns,
    }
    if documented.statuses:
        row["statuses"] = list(documented.statuses)
    if documented.codes is not None:
        row["codes"] = list(documented.codes)
    tables.table("endpoints").append(row)
    routes.add_handler([operation], handler)
    tables.changed()
