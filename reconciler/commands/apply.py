"""`reconciler apply`: shows a plan, asks, does it, and reports. The only command that writes to a cluster."""

from __future__ import annotations

import gc
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from reconciler import reconcile
from reconciler.cli import say
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
from reconciler.commands.show import show_plan, show_report
from reconciler.commands.signals import stopping
from reconciler.errors import AppliedInPart, Interrupted, Refused

if TYPE_CHECKING:
    from reconciler.apply.report import Report
    from reconciler.manifests import Manifests
    from reconciler.model import Observed
    from reconciler.plan import Options, Plan
    from reconciler.session import Session


@click.command("apply")
@click.argument("saved", required=False, metavar="[PLANFILE]")
@options(*FILES)
@click.option("--yes", "--auto-approve", "yes", is_flag=True, help="Do not ask.")
@click.option(
    "--parallelism", type=click.IntRange(1, 32), default=4, show_default=True, help="Writes a cluster at once."
)
@format_option("text", "json")
@options(*CHOICE, *REACH, *WHERE)
def command(saved: str | None, files: tuple[str, ...], yes: bool, parallelism: int, output: str, **flags: Any) -> int:
    """Make the clusters equal to the manifests, or do exactly what a saved plan says."""
    if saved is not None and files:
        raise click.UsageError("give a saved plan or manifests (-f), not both")
    screen = console(flags)
    with opening(flags, screen) as session:
        run = _Apply(session, screen, output, yes, parallelism)
        report = run.saved(Path(saved), flags) if saved is not None else run.manifests(files, flags)
    code = 0 if report is None else _code(report)
    if run.held:
        those, they = ("1 object is", "it") if run.held == 1 else (f"{run.held} objects are", "they")
        say(f"{those} held, so {they} may not be as declared; `reconciler plan` says why")
    return code or (AppliedInPart.exit_code if run.held else 0)


class _Apply:
    """One run of the command: what it works with, and its two ways to begin."""

    def __init__(
        self,
        session: Session,
        screen: Console,
        output: str,
        yes: bool,
        parallelism: int,
    ) -> None:
        self.session = session
        self.screen = screen
        self.output = output
        self.yes = yes
        self.parallelism = parallelism
        self.held = 0  # how much the approved plan leaves alone

    def manifests(self, files: tuple[str, ...], flags: Mapping[str, Any]) -> Report | None:
        """Plan what the manifests say, and do it; None where there was nothing to do."""
        session = self.session
        reconcile.recover(session)
        manifests = declared(session.settings, files, self.screen)
        wishes = choice(flags, session.settings, files)
        if self.yes:  # nobody is asked, so nothing can move in the meantime: one look, under the lock, is enough
            with session.locked(target.name for target in session.targets):
                planned = reconcile.plan(session, manifests, wishes)
                report = self.finish(manifests, planned, go=self.approved(planned.plan, wishes))
            return self.next_stage(planned, report, files, flags)
        planned = reconcile.plan(session, manifests, wishes)
        go = self.approved(planned.plan, wishes)
        with session.locked(planned.plan.clusters):
            if not go:
                return self.finish(manifests, planned, go=False)
            now = reconcile.plan(session, manifests, reconcile.same_ports(wishes, planned.plan))
            reconcile.still_true(planned, now)
            report = self.finish(manifests, now, go=True)
        return self.next_stage(planned, report, files, flags)

    def next_stage(
        self, planned: reconcile.Planned, report: Report | None, files: tuple[str, ...], flags: Mapping[str, Any]
    ) -> Report | None:
        """Go on with what is declared for clusters that exist only now."""
        born = (
            report is not None
            and report.complete
            and not all(state.bootstrapped for state in planned.observed.live.values())
        )
        if not born:
            return report
        self.screen.note("The cluster exists now; on with what is declared for it.")
        return self.manifests(files, flags) or report

    def finish(self, manifests: Manifests, planned: reconcile.Planned, *, go: bool) -> Report | None:
        """Do what was approved, and own what was right before; the caller holds the locks."""
        if not planned.partial:
            count = reconcile.adopt(self.session, manifests, planned)
            if count:
                self.screen.note(f"{count} that {'was' if count == 1 else 'were'} there and right: ours from now on")
        return self.execute(planned.plan, planned.observed) if go else None

    def saved(self, path: Path, flags: Mapping[str, Any]) -> Report | None:
        """Do what a saved plan says, if it still holds."""
        from reconciler.plan import from_json

        plan = from_json(savedplan.read(path))
        self.session.only(plan.clusters)
        if not self.yes:
            reconcile.refuse_if_stale(plan, reconcile.reread(self.session, plan).live)
        if not self.approved(plan, choice(flags, self.session.settings), known=True):
            return None
        with self.session.locked(plan.clusters):
            observed = reconcile.reread(self.session, plan)
            reconcile.refuse_if_stale(plan, observed.live)
            return self.execute(plan, observed)

    def approved(self, plan: Plan, wishes: Options, *, known: bool = False) -> bool:
        """Show *plan*, only its summary if it is *known*; return whether to do it. Raises Refused where it must not."""
        from reconciler.apply.report import Report
        from reconciler.plan import with_consent

        self.held = plan.held
        if self.output == "text":
            show_plan(with_consent(plan, wishes), "summary" if known else "text", self.screen)
        reconcile.check(plan, wishes)
        reconcile.check_freeze(plan, wishes, self.session.runtime.now())
        if not plan.changes:
            if self.output == "json":
                show_report(Report(()), "json", self.screen, brief=False)
            return False
        if not self.yes:
            self.ask()
        return True

    def ask(self) -> None:
        """Ask for a yes; raises Refused without one, or without somebody to ask."""
        if not sys.stdin.isatty() or self.output == "json":
            raise Refused("apply asks before it writes, and nobody is there to answer; read the plan, then add --yes")
        sys.stderr.write("\nDo this? Only `yes` is taken for an answer: ")
        sys.stderr.flush()
        if sys.stdin.readline().strip() != "yes":
            raise Refused("not approved; nothing was written")

    def execute(self, plan: Plan, observed: Observed) -> Report:
        """Do *plan* while its progress is shown, and print the report."""
        from reconciler.render.progress import Progress

        shown = not (self.screen.quiet or self.screen.verbose)
        drawn = sys.stderr.isatty()
        gc.freeze()  # the plan stays; from here on there may be hours, with garbage of their own
        gc.enable()
        stopping(self.session.runtime.stop)
        with Progress(sys.stderr, live=drawn) as progress:
            progress.expect(plan)
            if shown:
                self.session.observe(progress)
            report = reconcile.execute(self.session, plan, observed, parallelism=self.parallelism)
        show_report(report, self.output, self.screen, brief=shown and not drawn)
        return report


def _code(report: Report) -> int:
    """Return the exit code of a report."""
    if report.interrupted:
        return Interrupted.exit_code
    if report.complete:
        return 0
    if report.done:
        return AppliedInPart.exit_code
    codes = [outcome.error.exit_code for outcome in report.failed if outcome.error is not None]
    return max(codes, default=AppliedInPart.exit_code)
