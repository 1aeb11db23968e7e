"""Plans and reports on standard output, in the format that was asked for. `plan` and `apply` use it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from reconciler.commands.common import Console

if TYPE_CHECKING:
    from reconciler.plan import Plan
    from reconciler.report import Report


def show_plan(plan: Plan, output: str, screen: Console) -> None:
    """Print *plan*."""
    if output == "json":
        from reconciler.plan import to_json

        screen.out(to_json(plan).decode())
    elif output == "markdown":
        from reconciler.render.markdown import plan_markdown

        screen.out(plan_markdown(plan))
    else:
        from reconciler.render.text import plan_text

        screen.out(plan_text(plan, width=screen.width, color=screen.color))


def show_report(report: Report, output: str, screen: Console, go_on: str) -> None:
    """Print *report*; *go_on* is the command that continues where it is not complete."""
    if output == "json":
        body = {"complete": report.complete, "interrupted": report.interrupted, "counts": dict(report.counts)}
        screen.out(json.dumps({**body, "outcomes": report.to_json()}, indent=2))
    else:
        from reconciler.render.report import report_text

        screen.out(report_text(report, width=screen.width, color=screen.color, go_on=go_on))
