"""`reconciler apply`: shows a plan, asks for approval, executes it, and reports. The only command that writes."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from reconciler import reconcile
from reconciler.cli import say
from reconciler.commands import saved_plan
from reconciler.commands.console import Console, console_of
from reconciler.commands.flags import (
    CONNECTION,
    FILES,
    GLOBAL,
    PLANNING,
    format_option,
    parse_digest,
    plan_options,
    with_flags,
)
from reconciler.commands.inputs import (
    check_names,
    exit_code,
    known_names,
    load_manifests,
    open_session,
    report_failures,
)
from reconciler.commands.show import command_again, show_plan, show_report
from reconciler.commands.signals import stopping
from reconciler.errors import AppliedInPart, ClusterError, CreationFailed, Interrupted, Refused
from reconciler.plan import Plan

if TYPE_CHECKING:
    from reconciler.apply.report import Report
    from reconciler.kinds.freeze import Frozen
    from reconciler.manifests import Manifests
    from reconciler.model import Address, Observed
    from reconciler.plan import Options
    from reconciler.session import Session


SETTLE_SECONDS = 600.0  # how long an apply waits for what a cluster is working on


@click.command("apply")
@click.argument("saved", required=False, metavar="[PLANFILE]")
@with_flags(*FILES)
@click.option("--yes", "--auto-approve", "yes", is_flag=True, help="Skip the prompt for approval.")
@click.option(
    "--parallelism",
    type=click.IntRange(1, 32),
    default=4,
    show_default=True,
    help="Concurrent changes per cluster.",
)
@click.option(
    "--digest",
    callback=parse_digest,
    metavar="D",
    help="Refuse the saved plan unless this is its digest, which `plan --out` reports (at least 12 digits).",
)
@format_option("text", "json")
@with_flags(*PLANNING, *CONNECTION, *GLOBAL)
def command(
    saved: str | None, files: tuple[str, ...], yes: bool, parallelism: int, digest: str, output: str, **flags: Any
) -> int:
    """Apply manifests, or exactly the changes of a saved plan.

    Shows the plan and asks for approval, unless --yes is given. A saved plan is decided again: it is refused if it is
    stale, was edited, or is of another cluster.
    """
    if digest and saved is None:
        raise click.UsageError("--digest is of a saved plan; name its file")
    if saved is not None and files:
        raise click.UsageError("use either a saved plan or manifests (-f), not both")
    console = console_of(flags)
    with open_session(flags, console) as session:
        run = _Apply(session, console, output, yes, parallelism)
        report = run.saved(Path(saved), digest, flags) if saved is not None else run.manifests(files, flags)
    code = 0 if report is None else _code(report)
    held = run.rest.held
    if held:
        text = "1 object is held and may" if held == 1 else f"{held} objects are held and may"
        say(f"{text} differ from the manifests; `reconciler plan` shows the reasons")
    return exit_code(session, code) or (AppliedInPart.exit_code if run.rest.unexpectedly_held else 0)


class _Apply:
    """One run of the command, from manifests or from a saved plan."""

    def __init__(
        self,
        session: Session,
        console: Console,
        output: str,
        yes: bool,
        parallelism: int,
    ) -> None:
        self.session = session
        self.console = console
        self.output = output
        self.yes = yes
        self.parallelism = parallelism
        self.frozen: dict[Address, Frozen] = {}  # what is not changed now
        self.rest = Plan(())  # the plan without it
        self.from_manifests = False

    def manifests(self, files: tuple[str, ...], flags: Mapping[str, Any]) -> Report | None:
        """Plan and apply the manifests; return None where nothing was applied."""
        session, self.from_manifests = self.session, True
        manifests = load_manifests(session.settings, files, self.console)
        reconcile.recover(session, manifests.resources)
        options = plan_options(flags, session.settings, files)
        check_names(options, known_names(session, manifests, options), self.console)
        if self.yes:  # without a prompt, one plan under the lock is enough
            with session.locked(session.names, leave_out=True):
                planned = self.settled(manifests, options)
                report = self.finish(manifests, planned, go=self.approved(planned.plan, options))
            return self.next_stage(planned, report, files, flags)
        planned = self.settled(manifests, options)
        go = self.approved(planned.plan, options)
        with session.locked(planned.plan.clusters):
            if not go:
                return self.finish(manifests, planned, go=False)
            now = reconcile.plan(session, manifests, reconcile.same_ports(options, planned.plan))
            reconcile.require_same_plan(planned, now)
            report = self.finish(manifests, now, go=True)
        return self.next_stage(planned, report, files, flags)

    def settled(self, manifests: Manifests, options: Options) -> reconcile.Planned:
        """Plan once the clusters have completed what they are working on; what takes too long stays held."""
        runtime, seconds, reported = self.session.runtime, 0.5, ""
        until = runtime.clock() + SETTLE_SECONDS
        while True:
            planned = reconcile.plan(self.session, manifests, options)
            busy = ", ".join(f"{note.address} ({note.details[0]})" for note in planned.plan.in_progress)
            if not busy or runtime.clock() >= until or runtime.stop.is_set():
                return planned
            if busy != reported:
                self.console.note(f"waiting for what is in progress: {busy}")
            reported = busy
            runtime.sleep(seconds)
            seconds = min(2 * seconds, 10.0)

    def next_stage(
        self, planned: reconcile.Planned, report: Report | None, files: tuple[str, ...], flags: Mapping[str, Any]
    ) -> Report | None:
        """Continue with the resources of clusters that this run bootstrapped."""
        bootstrapped = (
            report is not None
            and report.complete
            and not all(state.bootstrapped for state in planned.observed.live.values())
        )
        if not bootstrapped:
            return report
        self.console.note("The cluster is bootstrapped; continuing with its other resources.")
        return self.manifests(files, flags) or report

    def finish(self, manifests: Manifests, planned: reconcile.Planned, *, go: bool) -> Report | None:
        """Execute an approved plan, and adopt existing resources that match; the caller holds the locks."""
        if not planned.partial:
            count = reconcile.adopt(self.session, manifests, planned)
            if count:
                self.console.note(f"adopted {count} existing resource{'' if count == 1 else 's'}")
        return self.execute(self.without_frozen(planned.plan), planned.observed) if go else None

    def saved(self, path: Path, reviewed: str, flags: Mapping[str, Any]) -> Report | None:
        """Apply a saved plan as it is decided now, unless that is not what it shows."""
        from reconciler.plan import saved_from_json, with_consent
        from reconciler.plan.selection import CONSENT_OPTIONS, unknown_names

        session = self.session
        saved = saved_from_json(saved_plan.read(path), session.kinds)
        saved_plan.require_digest(saved.plan, reviewed)
        options = plan_options(flags, session.settings)
        for problem in unknown_names(options, saved.plan.addresses):  # no error: what is unchanged is not in it
            if problem.file in CONSENT_OPTIONS:
                self.console.warn(str(problem))
        if saved.plan.failures:
            left = ", ".join(one.cluster for one in saved.plan.failures)
            self.console.warn(f"{path} does not cover {left}, which failed when it was planned")
        session.only(saved.plan.clusters)
        saved_plan.require_clusters(session, saved)
        known = bool(reviewed)
        if not self.yes:
            planned = saved_plan.decide_again(session, saved, options)
            if not self.approved(with_consent(planned.plan, options), options, known=known):
                return None
        with session.locked(saved.plan.clusters):
            planned = saved_plan.decide_again(session, saved, options)
            plan = with_consent(planned.plan, options)
            if self.yes and not self.approved(plan, options, known=known):
                return None
            return self.execute(self.without_frozen(plan), planned.observed)

    def without_frozen(self, plan: Plan) -> Plan:
        """Return *plan* without what is, or was since it was shown, in a freeze window."""
        from reconciler.plan import frozen_changes, without_frozen

        now, windows = self.session.runtime.now(), self.session.settings.freeze_windows
        self.frozen |= frozen_changes(plan, now, windows)
        self.rest = without_frozen(plan, self.frozen)
        return self.rest

    def approved(self, plan: Plan, options: Options, *, known: bool = False) -> bool:
        """Show *plan*, only its summary if it is *known*; return whether to execute any of it. Raises Refused."""
        from reconciler.apply.report import Report
        from reconciler.render.refusals import freeze_text

        report_failures(self.session)
        if self.output == "text":
            show_plan(plan, "summary" if known else "text", self.console)
        rest = self.without_frozen(plan)
        for text in freeze_text(self.frozen):
            self.console.warn(text)
        reconcile.check(rest, options)
        if not rest.changes:
            if self.output == "json":
                show_report(Report((), failures=plan.failures), "json", self.console, held=rest.notes)
            return False
        if not self.yes:
            self.ask()
        return True

    def ask(self) -> None:
        """Ask for approval; raises Refused without it, or without a terminal."""
        if not sys.stdin.isatty() or self.output == "json":
            raise Refused("No TTY to confirm on; review the plan, then pass --yes")
        sys.stderr.write("\nApply these changes? Only 'yes' is accepted: ")
        sys.stderr.flush()
        if sys.stdin.readline().strip() != "yes":
            raise Refused("not approved; nothing was written")

    def execute(self, plan: Plan, observed: Observed) -> Report:
        """Execute *plan*, show its progress, and print the report."""
        from reconciler.commands.progress import Progress

        shown = not (self.console.quiet or self.console.verbose)
        drawn = sys.stderr.isatty() and os.environ.get("TERM") != "dumb"
        gc.freeze()  # the plan stays; an apply may take hours and create garbage
        gc.enable()
        stopping(self.session.runtime.stop)
        with Progress(sys.stderr, live=drawn) as progress:
            progress.expect(plan)
            if shown:
                self.session.observe(progress)
            report = reconcile.execute(self.session, plan, observed, parallelism=self.parallelism)
        replace = [one.change.address for one in report.failed if isinstance(one.error, CreationFailed)]
        again = command_again(replace if self.from_manifests else ())
        notes = self.rest.notes
        show_report(report, self.output, self.console, brief=shown and not drawn, again=again, held=notes)
        return report


def _code(report: Report) -> int:
    """Return the exit code of a report."""
    if report.interrupted:
        return Interrupted.exit_code
    if report.complete and not report.failures:
        return 0
    if report.done or report.destroyed:
        return AppliedInPart.exit_code
    codes = [outcome.error.exit_code for outcome in report.failed if outcome.error is not None]
    return max(codes, default=ClusterError.exit_code if report.failures else AppliedInPart.exit_code)
