"""`reconciler plan`: shows the changes that an apply would make; read-only."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from reconciler import reconcile
from reconciler.commands import private_file, saved_plan
from reconciler.commands.console import Console, console_of
from reconciler.commands.flags import CONNECTION, FILES, GLOBAL, PLANNING, format_option, plan_options, with_flags
from reconciler.commands.inputs import check_names, exit_code, known_names, load_manifests, open_session
from reconciler.commands.show import show_plan
from reconciler.errors import ClusterError

if TYPE_CHECKING:
    from reconciler.plan import Plan
    from reconciler.session import Session


@click.command("plan")
@with_flags(*FILES)
@click.option("--out", metavar="FILE", help="Save the plan; `apply FILE` applies exactly this plan, or refuses.")
@click.option("--detailed-exitcode", is_flag=True, help="Exit with 2 if there are changes, 0 if there are none.")
@click.option(
    "--server-dry-run/--no-server-dry-run",
    "dry_run",
    default=None,
    help="Also let the clusters validate the changes; exit with 4 if they reject any. Default where CI=true.",
)
@click.option("--calls", is_flag=True, help="Also show the API requests of each change: method, path, field names.")
@format_option("text", "json", "markdown")
@with_flags(*PLANNING, *CONNECTION, *GLOBAL)
def command(
    files: tuple[str, ...],
    out: str | None,
    detailed_exitcode: bool,
    dry_run: bool | None,
    output: str,
    **flags: Any,
) -> int:
    """Show the changes that an apply would make. Nothing is changed.

    Sends only GETs. With --server-dry-run, also sends each create, update and replacement with dry_run=true, including
    the values of secrets: the cluster validates such a request and does not execute it.
    """
    from reconciler.plan import digest, frozen_changes
    from reconciler.plan.plan_input import plain_input
    from reconciler.render.plan_json import plan_json
    from reconciler.render.refusals import freeze_text

    console = console_of(flags)
    with open_session(flags, console) as session:
        manifests = load_manifests(session.settings, files, console)
        options = plan_options(flags, session.settings, files)
        check_names(options, known_names(session, manifests, options), console)
        planned = reconcile.plan(session, manifests, options)
        plan, refused = planned.plan, False
        if session.settings.ci if dry_run is None else dry_run:
            plan, refused = _with_objections(session, planned, console)
        calls = reconcile.calls(session, planned) if flags["calls"] else None
        now = session.runtime.now()
        unusable = session.state_problem() if plan.changes else ""
    show_plan(plan, output, console, calls)
    for text in freeze_text(frozen_changes(plan, now, session.settings.freeze_windows)):
        console.warn(text)
    if unusable:
        console.warn(f"{unusable}; an apply with it is refused (--state-dir DIR, or state in the project file)")
    reconcile.check(plan, options)
    if out is not None:
        content = plan_json(plan, plan_input=plain_input(planned.desired, options))
        saved_plan.refuse_secrets(content, session.settings.redactor.redact_all)
        private_file.write(Path(out), content)
        if plan.changes:
            console.note(f"Plan saved. To apply exactly this plan: reconciler apply {out} --digest {digest(plan)}")
        if plan.failures:
            left = ", ".join(one.cluster for one in plan.failures)
            console.note(f"The saved plan does not cover {left}; plan again when the errors are resolved.")
    if refused:
        return ClusterError.exit_code
    return exit_code(session, 2 if detailed_exitcode and (plan.changes or plan.in_progress) else 0)


def _with_objections(session: Session, planned: reconcile.Planned, console: Console) -> tuple[Plan, bool]:
    """Return the plan with the objections of the clusters as notes, and whether there are any."""
    from reconciler.apply.dry_run import dry_run

    result = dry_run(planned.plan, session.kinds, session.clients(), planned.observed.live, session.reveal)
    count = result.asked + sum(result.unasked.values())
    for why, number in result.unasked.items():
        console.note(f"dry run: {number} of {count} could not be validated: {why}")
    if result.asked:
        answer = f"the clusters reject {len(result.objections)}" if result.objections else "no objections"
        console.note(f"dry run: {result.asked} of {count} validated; {answer}")
    return replace(planned.plan, notes=(*planned.plan.notes, *result.objections)), bool(result.objections)
