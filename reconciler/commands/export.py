"""`reconciler export`: manifests for what a cluster holds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from reconciler import reconcile
from reconciler.commands.common import REACH, WHERE, console, opening, options


@click.command("export")
@click.argument("names", nargs=-1, metavar="[KIND]...")
@click.option("--cluster", "clusters", multiple=True, metavar="NAME", help="Only this cluster (repeatable).")
@click.option("--out", metavar="DIR", help="Write one file a kind into this folder, which must not hold any.")
@options(*REACH, *WHERE)
def command(names: tuple[str, ...], out: str | None, **flags: Any) -> int:
    """Write manifests for what a cluster holds: fields at their defaults are left out, secrets become references."""
    screen = console(flags)
    with opening(flags, screen) as session:
        pages = reconcile.export(session, names)
    if out is None:
        screen.out("---\n".join(text for _, text in pages))
        return 0
    folder = Path(out)
    for path, _ in pages:
        if (folder / path).exists():
            raise click.UsageError(f"{folder / path} is there already; name a new folder")
    for path, text in pages:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text, encoding="utf-8")
        screen.out(f"{folder / path}")
    return 0
