"""`reconciler drift`: where clusters and manifests differ, and who moved."""

from __future__ import annotations

import json
from typing import Any

import click

from reconciler import reconcile
from reconciler.commands.common import FILES, REACH, WHERE, console, declared, format_option, opening, options
from reconciler.diff import SECRET
from reconciler.drift import Drift
from reconciler.kinds import MISSING


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
        from reconciler.render.drift import drift_text

        screen.out(drift_text(found, screen.color))
    return 2 if found else 0


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
