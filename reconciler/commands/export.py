"""`reconciler export`: writes the live objects of a cluster as manifests."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from reconciler import reconcile
from reconciler.commands.console import console_of
from reconciler.commands.flags import CLUSTERS, CONNECTION, GLOBAL, with_flags
from reconciler.commands.inputs import exit_code, open_session
from reconciler.errors import InputError, Problem
from reconciler.plan.read_set import ReadSet

if TYPE_CHECKING:
    from reconciler.session import Session


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
        pages = _exported(session, names)
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


def _exported(session: Session, kinds: Sequence[str]) -> list[tuple[str, str]]:
    """Return (file name, YAML) for each kind with objects to export; several clusters get a folder each."""
    from reconciler import export as exporting

    names = dict.fromkeys(kinds or session.kinds)
    unknown = [
        Problem("KIND", 0, 0, "", f"unknown kind {name}", f"the kinds are {', '.join(session.kinds)}")
        for name in names
        if name not in session.kinds
    ]
    if unknown:
        raise InputError(unknown)
    pages, exported = [], exporting.Exported()
    sets = {target.name: ReadSet(dict.fromkeys(names)) for target in session.targets}
    for cluster, state in reconcile.read(session, sets).items():
        for kind in (session.kinds[name] for name in names):
            mine = cluster if session.several or kind.traits.multi_cluster else ""
            objects = exported.new(kind, state.objects.get(kind.name, ()))
            if text := exporting.manifests_of(kind, objects, cluster=mine):
                file = f"{kind.name.lower()}.yaml"
                pages.append((f"{cluster}/{file}" if session.several else file, text))
    return pages
