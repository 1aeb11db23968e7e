"""Plans and reports on standard output, in the format that was asked for. `plan` and `apply` use it."""

from __future__ import annotations

import json
import shlex
import sys
from typing import TYPE_CHECKING

from reconciler.commands.common import Console

if TYPE_CHECKING:
    from reconciler.apply.report import Report
    from reconciler.plan import Plan


def show_plan(plan: Plan, output: str, screen: Console) -> None:
    """Print *plan*."""
    if output == "json":
        from reconciler.render.plan_json import plan_json

        screen.out(plan_json(plan).decode())
    elif output == "markdown":
        from reconciler.render.markdown import plan_markdown

        screen.out(plan_markdown(plan))
    elif output == "summary":
        from reconciler.render.text import summary

        screen.out(summary(plan))
    else:
        from reconciler.render.text import plan_text

        screen.out(plan_text(plan, width=screen.width, color=screen.color))


def show_report(report: Report, output: str, screen: Console, *, brief: bool) -> None:
    """Print *report*; only its last line where it is *brief*, because each change was told, and all went well."""
    if output == "json":
        body = {"complete": report.complete, "interrupted": report.interrupted, "counts": dict(report.counts)}
        screen.out(json.dumps({**body, "outcomes": report.to_json()}, indent=2))
    else:
        from reconciler.render.report import final_line, report_text

        if brief and report.complete:
            screen.out(final_line(report))
        else:
            screen.out(report_text(report, width=screen.width, color=screen.color, go_on=_again()))


def _again() -> str:
    """Return this command line, to be run once more: every apply goes on where the last one stopped."""
    return shlex.join(["reconciler", *sys.argv[1:]])
