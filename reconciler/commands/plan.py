"""`reconciler plan`: shows what an apply would do; reads, never writes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from reconciler import reconcile
from reconciler.commands import savedplan
from reconciler.commands.common import (
    CHOICE,
    FILES,
    REACH,
    WHERE,
    choice,
    console,
    declared,
    format_option,
    opening,
    options,
)
from reconciler.commands.show import show_plan


@click.command("plan")
@options(*FILES)
@click.option("--out", metavar="FILE", help="Save the plan: `apply FILE` does exactly that, or refuses.")
@click.option("--detailed-exitcode", is_flag=True, help="Exit 2 where there are changes, 0 where there are none.")
@format_option("text", "json", "markdown")
@options(*CHOICE, *REACH, *WHERE)
def command(files: tuple[str, ...], out: str | None, detailed_exitcode: bool, output: str, **flags: Any) -> int:
    """Show what an apply would do. Reads from the clusters, and never writes to them."""
    from reconciler.plan import check, to_json

    screen = console(flags)
    with opening(flags, screen) as session:
        manifests = declared(session.settings, files, screen)
        wishes = choice(flags, session.settings, files)
        plan = reconcile.plan(session, manifests, wishes).plan
    show_plan(plan, output, screen)
    check(plan, wishes)
    if out is not None:
        savedplan.write(Path(out), to_json(plan))
        if plan.changes:
            screen.note(f"The plan is saved; to do exactly this: reconciler apply {out}")
    return 2 if detailed_exitcode and plan.changes else 0
