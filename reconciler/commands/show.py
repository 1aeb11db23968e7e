"""Plans and reports on standard output, in the requested format. `plan` and `apply` call this."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from reconciler.commands.console import Console

if TYPE_CHECKING:
    from reconciler.apply.report import Report
    from reconciler.model import Address, Note
    from reconciler.plan import Plan
    from reconciler.render.calls import Calls


def show_plan(plan: Plan, output: str, console: Console, calls: Calls | None = None) -> None:
    """Print *plan*, with the *calls* of its changes where they are given."""
    if output == "json":
        from reconciler.render.plan_json import plan_json

        console.out(plan_json(plan, calls).decode())
    elif output == "markdown":
        from reconciler.render.markdown import plan_markdown

        console.out(plan_markdown(plan, calls))
    elif output == "summary":
        from reconciler.render.text import summary

        console.out(summary(plan))
    else:
        from reconciler.render.text import plan_text

        console.out(plan_text(plan, width=console.width, color=console.color, calls=calls))


def show_report(
    report: Report, output: str, console: Console, *, brief: bool = False, again: str = "", held: Iterable[Note] = ()
) -> None:
    """Print *report*; only its last line where it is *brief* and complete: each change was reported already.

    *again* is the command that continues an incomplete apply. JSON also has what is *held*, which the text of the plan
    has already: those of these notes of the plan that say so.
    """
    if output == "json":
        totals = {action.name.lower(): count for action, count in report.totals.items()}
        complete = report.complete and not report.failures
        body = {"complete": complete, "interrupted": report.interrupted, "counts": dict(report.counts)}
        failed = {"failures": [one._asdict() for one in report.failures]} if report.failures else {}
        whole = {**body, "totals": totals, "outcomes": report.to_json(), **failed, "held": list(_held(held))}
        console.out(json.dumps(whole, indent=2))
    else:
        from reconciler.render.report import final_line, report_text

        if brief and report.complete:
            console.out(final_line(report))
        else:
            console.out(report_text(report, width=console.width, color=console.color, go_on=again))


def _held(notes: Iterable[Note]) -> Iterator[dict[str, str]]:
    from reconciler.model import Level
    from reconciler.render.reasons import note_text

    for note in notes:
        if note.level is Level.HELD:
            yield {"address": str(note.address), "reason": note.reason.value, "message": note_text(note)}


def command_again(replace: Iterable[Address]) -> str:
    """Return this command line: every apply continues where the last one stopped; *replace* has to be replaced."""
    flags = (word for address in sorted(replace) for word in ("--replace", str(address)))
    return shlex.join(["reconciler", *sys.argv[1:], *flags])
