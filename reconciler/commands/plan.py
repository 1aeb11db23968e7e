"""`reconciler plan`: shows what an apply would do; reads, asks on request, and stores nothing."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from reconciler import reconcile
from reconciler.commands import savedplan
from reconciler.commands.common import (
    CHOICE,
    FILES,
    REACH,
    WHERE,
    Console,
    choice,
    console,
    declared,
    format_option,
    opening,
    options,
)
from reconciler.commands.show import show_plan
from reconciler.errors import ClusterError

if TYPE_CHECKING:
    from reconciler.plan import Plan
    from reconciler.session import Session


@click.command("plan")
@options(*FILES)
@click.option("--out", metavar="FILE", help="Save the plan: `apply FILE` does exactly that, or refuses.")
@click.option("--detailed-exitcode", is_flag=True, help="Exit 2 where there are changes, 0 where there are none.")
@click.option(
    "--server-dry-run/--no-server-dry-run",
    "dry_run",
    default=None,
    help="Also ask the clusters what they would refuse: exit 4 where they object. On where CI=true.",
)
@format_option("text", "json", "markdown")
@options(*CHOICE, *REACH, *WHERE)
def command(
    files: tuple[str, ...], out: str | None, detailed_exitcode: bool, dry_run: bool | None, output: str, **flags: Any
) -> int:
    """Show what an apply would do, and store nothing in the clusters.

    It sends GETs. With --server-dry-run it also sends each create and update with dry_run=true, values of secrets
    included: the cluster checks such a request and does not carry it out.
    """
    from reconciler.plan import frozen_changes, with_consent
    from reconciler.render.plan_json import plan_json

    screen = console(flags)
    with opening(flags, screen) as session:
        manifests = declared(session.settings, files, screen)
        wishes = choice(flags, session.settings, files)
        planned = reconcile.plan(session, manifests, wishes)
        plan, refused = planned.plan, False
        if session.settings.ci if dry_run is None else dry_run:
            plan, refused = _rehearsed(session, planned, screen)
        now = session.runtime.now()
    show_plan(with_consent(plan, wishes) if output != "json" else plan, output, screen)
    for address, frozen in frozen_changes(plan, now).items():
        screen.warn(f"{address} is not changed now: {frozen}")
    reconcile.check(plan, wishes)
    if out is not None:
        savedplan.write(Path(out), plan_json(plan))
        if plan.changes:
            screen.note(f"The plan is saved; to do exactly this: reconciler apply {out}")
    if refused:
        return ClusterError.exit_code
    return 2 if detailed_exitcode and plan.changes else 0


def _rehearsed(session: Session, planned: reconcile.Planned, screen: Console) -> tuple[Plan, bool]:
    """Return the plan with what the clusters object to among its notes, and whether they do; tell of the rest."""
    said = reconcile.dry_run(session, planned)
    count = said.asked + sum(said.unasked.values())
    for why, number in said.unasked.items():
        screen.note(f"dry run: {number} of {count} could not be asked, because {why}")
    if said.asked:
        answer = f"the clusters object to {len(said.objections)}" if said.objections else "no objection"
        screen.note(f"dry run: {said.asked} of {count} asked; {answer}")
    return replace(planned.plan, notes=(*planned.plan.notes, *said.objections)), bool(said.objections)
