"""The architecture as a test: imports point downwards, each library has one home, pure modules stay pure."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parent.parent / "reconciler"

# Lowest first; modules of one row may use each other, as long as there is no circle.
LAYERS = (
    ("__init__", "errors", "telemetry", "runtime"),
    ("yaml12",),
    ("kinds",),
    ("model",),
    ("secrets", "settings"),
    ("diff",),
    ("manifests",),
    ("plan",),
    ("api",),
    ("client", "ledger"),
    ("live",),
    ("apply",),
    ("render",),
    ("export", "source"),
    ("session",),
    ("reconcile",),
    ("agent",),
    ("notify", "web"),
    ("commands", "cli", "__main__"),
)
RANK = {noun: rank for rank, row in enumerate(LAYERS) for noun in row}

# Where a third-party library (or sqlite3, subprocess) may be imported.
HOMES = {
    "yaml": ("yaml12",),
    "jsonschema": ("kinds",),
    "referencing": ("kinds",),
    "deepdiff": ("diff",),
    "httpx": ("client",),
    "httpcore": ("client",),
    "sqlite3": ("ledger",),
    "click": ("cli", "commands"),
    "subprocess": ("commands", "source"),
    "cronsim": ("kinds",),
    "opentelemetry": ("agent",),
    "starlette": ("simulator", "web"),
    "uvicorn": ("simulator", "web"),
    "jinja2": ("web",),
    "markupsafe": ("web",),
    "prometheus_client": ("web",),
    "httptools": ("simulator",),
    "cryptography": ("simulator",),
    "pytest": ("simulator",),
}

# Code that decides: no clock, no chance, no files, no sockets, no threads, no environment.
PURE = ("model", "diff", "plan", "api")
IMPURE = {
    *("time", "datetime", "random", "secrets", "os", "io", "pathlib", "tempfile", "shutil", "socket", "ssl"),
    *("http", "urllib", "threading", "asyncio", "concurrent", "multiprocessing", "subprocess", "signal"),
    *("logging", "sqlite3"),
}


def noun(path: Path) -> str:
    """Return the module or sub-package of the flat package that *path* belongs to; helpers count with their noun."""
    first = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    return next((name for name in RANK if first.startswith(f"{name}_")), first)


def walk(node: ast.AST, *, types: bool) -> Iterator[ast.AST]:
    """Yield *node* and all below it; without *types*, not what only type checkers see."""
    yield node
    for child in ast.iter_child_nodes(node):
        hidden = isinstance(child, ast.If) and isinstance(child.test, ast.Name) and child.test.id == "TYPE_CHECKING"
        if types or not hidden:
            yield from walk(child, types=types)


def imports(path: Path, *, types: bool = True) -> Iterator[tuple[int, str]]:
    """Yield (line, dotted module) for every import in *path*, those inside functions too."""
    package = ["reconciler", *path.relative_to(PACKAGE).parts[:-1]]
    for node in walk(ast.parse(path.read_text(encoding="utf-8")), types=types):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            yield from ((node.lineno, f"{module}.{alias.name}") for alias in node.names)


def modules() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def problems_of(path: Path) -> Iterator[str]:
    mine = noun(path)
    for line, name in imports(path):
        place = f"{path.relative_to(PACKAGE.parent)}:{line}"
        root, _, rest = name.partition(".")
        if mine == "simulator":
            if root == "reconciler" and not rest.startswith("simulator"):
                yield f"{place}: the simulator imports {name}: it shares no code with the reconciler"
        elif root == "reconciler":
            other = rest.partition(".")[0]
            if other == "simulator":
                if mine not in ("commands", "cli"):
                    yield f"{place}: only the commands start the simulator"
            elif other.startswith("__"):
                continue
            elif other not in RANK:
                yield f"{place}: {name} has no layer; add it to LAYERS"
            elif RANK[other] > RANK[mine]:
                yield f"{place}: {mine} imports {other}, which lies above it"
        if root in HOMES and mine not in HOMES[root]:
            yield f"{place}: {root} has its home in {' and '.join(HOMES[root])}"
        elif root not in HOMES and root not in sys.stdlib_module_names and root != "reconciler":
            yield f"{place}: {root} is a library without a home"
        if mine in PURE and root in IMPURE and not name.startswith("urllib.parse"):
            yield f"{place}: {mine} decides and must not import {root}"


def test_every_module_has_a_layer() -> None:
    unknown = {noun(path) for path in modules()} - set(RANK) - {"simulator"}
    assert not unknown


def test_imports_point_downwards_and_libraries_stay_at_home() -> None:
    assert [problem for path in modules() for problem in problems_of(path)] == []


def test_no_circle_among_modules() -> None:
    names = {
        ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__"): path
        for path in modules()
    }
    edges: dict[str, set[str]] = {}
    for name, path in names.items():
        found = {other for _, other in imports(path, types=False)}
        edges[name] = {other if other in names else other.rpartition(".")[0] for other in found} & set(names)
    done: set[str] = set()

    def visit(name: str, trail: tuple[str, ...]) -> None:
        if name in trail:
            pytest.fail(" → ".join([*trail[trail.index(name) :], name]))
        if name not in done:
            for other in sorted(edges[name]):
                visit(other, (*trail, name))
            done.add(name)

    for name in sorted(edges):
        visit(name, ())


def test_dangerous_serialisation_and_evaluation_are_not_used() -> None:
    banned = {"pickle", "marshal", "shelve", "dill"}
    found = [f"{path.name}:{line} {name}" for path in modules() for line, name in imports(path) if name in banned]
    calls = [
        f"{path.name}:{node.lineno} {node.func.id}"
        for path in modules()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in {"eval", "exec"}
    ]
    assert found + calls == []
