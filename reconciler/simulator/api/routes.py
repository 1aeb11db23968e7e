"""Routes: which handler serves which operation, and which operations a server version has.

A handler declares its operations: `@serves("GET /v1/nodes", …)`, with paths as in `data/endpoints.json`. It is called
with the state, the request, the path parameters as strings and, if the row has a `body`, the decoded body (the raw
bytes if the row has a `content` other than JSON). A row without a handler is not served.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import cache
from importlib import import_module
from importlib.resources import files
from typing import Any, NamedTuple, TypeVar

from reconciler.simulator.api.fields import VERSIONS, is_available
from reconciler.simulator.api.messages import Response
from reconciler.simulator.data.tables import derived, table
from reconciler.simulator.settings import SimulatorSettings
from reconciler.simulator.state.model import ClusterState

Handler = Callable[..., Response]
_Function = TypeVar("_Function", bound=Handler)

# The packages whose modules register handlers.
PACKAGES = ("access", "active_active", "api", "cluster", "databases", "monitoring", "nodes")

HANDLERS: dict[str, Handler] = {}


class Endpoint(NamedTuple):
    """One operation: its row and its handler. The columns are described in `data.tables`."""

    method: str
    path: str
    permission: str | None
    handler: Handler
    row: Mapping[str, Any]


def add_handler(operations: Iterable[str], handler: Handler) -> None:
    """Register *handler* for *operations*, each "METHOD path"; a second handler for one is an error."""
    for operation in operations:
        if HANDLERS.setdefault(operation, handler) is not handler:
            raise ValueError(f"two handlers for {operation}")


def serves(*operations: str) -> Callable[[_Function], _Function]:
    """Return a decorator that registers a function for *operations*."""

    def register(function: _Function) -> _Function:
        add_handler(operations, function)
        return function

    return register


def at_least(version: str, first: str) -> bool:
    """Return whether the server *version* is *first* or later."""
    return VERSIONS.index(version) >= VERSIONS.index(first)


def is_enabled(row: Mapping[str, Any], settings: SimulatorSettings) -> bool:
    """Return whether the switch of *row*, `[name, choice, first version that it applies to]`, enables it."""
    if "switch" not in row:
        return True
    name, choice, first = row["switch"]
    before = VERSIONS.index(settings.server_version) < VERSIONS.index(first)
    return before or settings.on(name, choice)


def has_mixed_versions(state: ClusterState) -> bool:
    """Return whether the nodes of the cluster run different versions."""
    return len({node.fields.get("software_version") for node in state.nodes.values()}) > 1


class Routes:
    """Finds endpoints: a tree of path segments, where `{…}` matches any segment and a literal has precedence."""

    def __init__(self, version: str) -> None:
        self._root: dict[str, Any] = {}
        self.endpoints: list[Endpoint] = []
        load_handlers()
        for row in table("endpoints"):
            handler = HANDLERS.get(f"{row['method']} {row['path']}")
            if handler is None or not is_available(row, version):
                continue
            branch = self._root
            for part in row["path"].strip("/").split("/"):
                branch = branch.setdefault("{}" if part.startswith("{") else part, {})
            endpoint = Endpoint(row["method"], row["path"], row["permission"], handler, row)
            branch.setdefault("", {})[row["method"]] = endpoint
            self.endpoints.append(endpoint)

    def find(self, path: str, settings: SimulatorSettings) -> tuple[Mapping[str, Endpoint], list[str]]:
        """Return the operations at *path* by method, and the values of the path parameters."""
        found, values = _walk(self._root, path.strip("/").split("/"))
        if any(values[-1] not in endpoint.row.get("among", values) for endpoint in found.values() if values):
            return {}, []
        if any("switch" in endpoint.row for endpoint in found.values()):
            found = {method: endpoint for method, endpoint in found.items() if is_enabled(endpoint.row, settings)}
        return found, values


def _walk(branch: Mapping[str, Any], parts: list[str]) -> tuple[Mapping[str, Endpoint], list[str]]:
    if not parts:
        return branch.get("", {}), []
    part, rest = parts[0], parts[1:]
    if part and part in branch:
        found, values = _walk(branch[part], rest)
        if found:
            return found, values
    if part and "{}" in branch:
        found, values = _walk(branch["{}"], rest)
        return found, [part, *values]
    return {}, []


@cache
def load_handlers() -> None:
    """Import every module that registers handlers."""
    for package in PACKAGES:
        folder = files(f"reconciler.simulator.{package}")
        for name in sorted(item.name for item in folder.iterdir() if item.name.endswith(".py")):
            if name != "__init__.py":
                import_module(f"reconciler.simulator.{package}.{name.removesuffix('.py')}")


@derived
def routes(version: str) -> Routes:
    """Return the routes of the server *version*."""
    return Routes(version)
