"""`reconciler kinds`: the kinds and their fields, from the schemas alone; `explain` has the details of one field."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from textwrap import wrap
from typing import Any

import click

from reconciler.api.hooks import hook_of
from reconciler.commands.console import console_of
from reconciler.commands.flags import GLOBAL, format_option, with_flags
from reconciler.commands.kind_docs import find, kind_about, kind_called, shape_of
from reconciler.commands.schema_paths import below
from reconciler.kinds import Kind, kind_source, load_kinds
from reconciler.kinds.describe import facts

_COLUMNS = ("kind", "shape", "key", "verbs", "path")


@click.command("kinds")
@click.argument("place", required=False, metavar="[KIND[.field]]")
@format_option("text", "json")
@with_flags(*GLOBAL)
def command(place: str | None, output: str, **flags: Any) -> int:
    """List what can be declared, the fields of one kind, or those of one field."""
    console = console_of(flags)
    name, _, path = (place or "").partition(".")
    rows: Any
    if not name:
        rows = [_listed(kind) for kind in load_kinds().values()]
        text = "\n".join(_table(load_kinds()))
    else:
        kind = kind_called(name)
        rows = find(kind, path)[-1].schema if path else kind_source(name)
        text = "\n".join(_lines(f"{name}.{path}" if path else name, rows, console.width))
    console.out(json.dumps(rows, indent=2) if output == "json" else text)
    return 0


def _listed(kind: Kind) -> dict[str, Any]:
    return {name: value for name, value in kind_about(kind).items() if name not in ("fields", "example")}


def _table(kinds: Mapping[str, Kind]) -> Iterator[str]:
    """Yield the kinds with shape, key, verbs and path, in columns."""
    rows = [_COLUMNS]
    for kind in kinds.values():
        within = hook_of(kind).within
        path = kind.rest.path + (f" {within}" if within else "")
        key = "-" if kind.singleton else ",".join(name.lstrip("@") for name in kind.rest.key)
        rows.append((kind.name, shape_of(kind), key, ",".join(kind.rest.verbs) or "-", path))
    wide = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        yield "  ".join(f"{cell:<{width}}" for cell, width in zip(row, wide, strict=True)).rstrip()


def _lines(title: str, schema: Mapping[str, Any], width: int) -> Iterator[str]:
    yield f"{title}: {facts(schema)}" if "." in title else title
    yield from (f"  {line}" for line in wrap(schema.get("description", ""), width - 2))
    fields = below(schema)
    if fields:
        yield ""
    for name, step in fields.items():
        yield f"  {name}: {facts(step.schema)}"
        yield from (f"      {line}" for line in wrap(step.schema.get("description", ""), width - 6))
