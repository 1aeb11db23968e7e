"""The report of an apply as text: a line for each change, the reasons of failures, and how to continue."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator

from reconciler.apply.report import ChangeStatus, Outcome, Report
from reconciler.plan import Action
from reconciler.render.escape import clean
from reconciler.render.text import failed_clusters, name_of, paint

_DONE = {
    Action.CREATE: "created",
    Action.UPDATE: "updated",
    Action.REPLACE: "replaced",
    Action.DELETE: "deleted",
    Action.FORGET: "forgotten",
}


def report_text(report: Report, width: int = 100, color: bool = False, go_on: str = "") -> str:
    """Return *report* as text; *go_on* is the command that continues an incomplete apply."""
    lines = [line for outcome in report.outcomes for line in _outcome(outcome, report.several, width, color)]
    known = {one.cluster for one in report.failures}  # reported as errors
    for cluster, reason in sorted(one for one in report.stopped.items() if one[0] not in known):
        lines += _wrapped(f"Stopped on {clean(cluster) or 'the cluster'}: {clean(reason)}", "", width)
    if report.interrupted:
        lines.append("Interrupted: in-flight operations completed; no new ones started.")
    tail = [] if not lines else [""]
    tail.append(paint(final_line(report), "bold", color))
    if not report.complete and go_on:
        tail.append(f"To go on: {go_on}")
    return "\n".join(lines + tail) + "\n"


def final_line(report: Report) -> str:
    """Return the line that people and CI bots look for."""
    count = report.totals
    parts = [f"{count[action]} {_DONE[action]}" for action in (Action.CREATE, Action.UPDATE, Action.DELETE)]
    parts += [f"{count[action]} {_DONE[action]}" for action in (Action.REPLACE, Action.FORGET) if count[action]]
    done = ", ".join(parts)
    if report.complete and not report.failures:
        return f"Apply complete! {done}."
    left = [
        f"{len(outcomes)} {word}"
        for outcomes, word in (
            (report.failed, "failed"),
            (report.skipped, "skipped"),
            (report.not_attempted, "not attempted"),
        )
        if outcomes
    ]
    left += [failed_clusters(len(report.failures))] if report.failures else []
    return f"Apply incomplete: {done}; {', '.join(left)}."


def _outcome(outcome: Outcome, several: bool, width: int, color: bool) -> Iterator[str]:
    change = outcome.change
    mark = change.action.value
    ok = outcome.status is ChangeStatus.DONE
    word = _DONE[change.action] if ok else outcome.status.value
    took = f" ({outcome.seconds:.1f} s)" if ok and outcome.seconds >= 0.05 else ""
    text = f"{mark:>3} {name_of(change.address, several)}: {word}{took}"
    reason = clean(outcome.why)
    if outcome.status is ChangeStatus.SKIPPED and outcome.because and not reason:
        reason = "depends on change " + ", ".join(map(str, outcome.because)) + ", which failed"
    if not reason:
        yield paint(text, mark if ok else "-", color)
        return
    if len(text) + len(reason) + 2 <= width:
        yield paint(text, mark if ok else "-", color) + ", " + reason
        return
    yield paint(text, mark if ok else "-", color)
    yield from _wrapped(reason, "      ", width)


def _wrapped(text: str, indent: str, width: int) -> list[str]:
    return textwrap.wrap(text, width, initial_indent=indent, subsequent_indent=indent, break_on_hyphens=False)
