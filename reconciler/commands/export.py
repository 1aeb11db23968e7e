"""`reconciler export`: writes the live objects of a cluster as manifests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from reconciler import reconcile
from reconciler.commands.console import console_of
from reconciler.commands.flags import CLUSTERS, CONNECTION, GLOBAL, with_flags
from reconciler.commands.inputs import exit_code, open_session


@click.command("export")
@click.argument("names", nargs=-1, metavar="[KIND]...")
@click.option("--out", metavar="DIR", help="Write one file per kind into this folder; never overwrites files.")
@with_flags(*CLUSTERS, *CONNECTION, *GLOBAL)
def command(names: tuple[str, ...], out: str | None, **flags: Any) -> int:
    """Export the live objects of a cluster as manifests.

    Fields with default values are omitted; secrets become references.
    """
    console = console_of(flags)
    with open_session(flags, console) as session:
        pages = reconcile.export(session, names)
    if out is None:
        console.out("---\n".join(text for _, text in pages))
        return exit_code(session, 0)
    folder = Path(out)
    for path, _ in pages:
        if (folder / path).exists():
            raise click.UsageError(f"{folder / path} exists already; use another folder")
    for path, text in pages:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text, encoding="utf-8")
        console.out(f"{folder / path}")
    return exit_code(session, 0)
