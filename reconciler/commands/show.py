"""Plans and reports on standard output, in the requested format. `plan` and `apply` call this."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING

from reconciler.commands.console import Console

if TYPE_CHECKING:
    from reconciler.apply.report import Report
    from reconciler.model import Address
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


def show_report(report: Report, output: str, console: Console, *, brief: bool = False, again: str = "") -> None:
    """Print *report*; only its last line where it is *brief* and complete: each change was reported already.

    *again* is the command that continues an incomplete apply.
    """
    if output == "json":
        totals = {action.name.lower(): count for action, count in report.totals.items()}
        complete = report.complete and not report.failures
        body = {"complete": complete, "interrupted": report.interrupted, "counts": dict(report.counts)}
        failed = {"failures": [one._asdict() for one in report.failures]} if report.failures else {}
        console.out(json.dumps({**body, "totals": totals, "outcomes": report.to_json(), **failed}, indent=2))
    else:
        from reconciler.render.report import final_line, report_text

        if brief and report.complete:
            console.out(final_line(report))
        else:
            console.out(report_text(report, width=console.width, color=console.color, go_on=again))


def command_again(replace: Iterable[Address]) -> str:
    """Return this command line: every apply continues where the last one stopped; *replace* has to be replaced."""
    flags = (word for address in sorted(replace) for word in ("--replace", str(address)))
    return shlex.join(["reconciler", *sys.argv[1:], *flags])
