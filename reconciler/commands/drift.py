"""`reconciler drift`: where clusters and manifests differ, and who moved."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import click

from reconciler import reconcile
from reconciler.commands.common import FILES, REACH, WHERE, console, declared, format_option, opening, options
from reconciler.diff import SECRET
from reconciler.drift import Ahead, Drift
from reconciler.kinds import MISSING

_WORDS = {Ahead.THEIRS: "cluster is ahead", Ahead.OURS: "manifests are ahead", Ahead.BOTH: "both moved"}


@click.command("drift")
@options(*FILES)
@format_option("text", "json")
@options(*REACH, *WHERE)
def command(files: tuple[str, ...], output: str, **flags: Any) -> int:
    """Compare the clusters with what was declared and last applied, and say who is ahead; exit 2 on drift."""
    from reconciler.plan import Options

    screen = console(flags)
    with opening(flags, screen) as session:
        manifests = declared(session.settings, files, screen)
        planned = reconcile.plan(session, manifests, Options(limits=session.settings.limits))
        found = reconcile.find_drift(session, planned)
    if output == "json":
        screen.out(json.dumps([_plain(drift) for drift in found], indent=2))
    else:
        screen.out("\n".join(_lines(found)) if found else "No drift.")
    return 2 if found else 0


def _lines(found: tuple[Drift, ...]) -> list[str]:
    lines: list[str] = []
    for drift in found:
        title = str(drift.address)
        if not lines or title not in lines:
            lines.append(title)
        what = (
            f"{drift.path}: cluster has {_shown(drift.live)}, declared is {_shown(drift.declared)}"
            if drift.path
            else ""
        )
        lines.append(f"    {what or drift.why}")
        lines.append(f"      {_WORDS[drift.ahead]}{f' ({drift.why})' if what else ''}")
    ahead = Counter(drift.ahead for drift in found)
    parts = [f"{ahead[side]} {_WORDS[side].replace(' is', '').replace(' are', '')}" for side in Ahead if ahead[side]]
    return [*lines, "", f"Drift: {', '.join(parts)}."]


def _plain(drift: Drift) -> dict[str, Any]:
    return {
        "address": str(drift.address),
        "path": drift.path,
        "ahead": drift.ahead.value,
        "why": drift.why,
        "live": _value(drift.live),
        "declared": _value(drift.declared),
    }


def _value(value: Any) -> Any:
    return None if value is MISSING else "(secret)" if value is SECRET else value


def _shown(value: Any) -> str:
    if value is MISSING:
        return "nothing"
    return "(secret)" if value is SECRET else json.dumps(value)
