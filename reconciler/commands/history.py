"""`reconciler history`: the runs in the ledger, newest first."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import click

from reconciler.commands.console import console_of
from reconciler.commands.flags import GLOBAL, format_option, with_flags
from reconciler.commands.inputs import load_settings

if TYPE_CHECKING:
    from reconciler.ledger import Run


@click.command("history")
@click.option("--limit", type=click.IntRange(1, 1000), default=20, show_default=True, help="At most this many runs.")
@format_option("text", "json")
@with_flags(*GLOBAL)
def command(limit: int, output: str, **flags: Any) -> int:
    """List the runs in the ledger: start, duration and outcome."""
    console = console_of(flags)
    settings = load_settings(flags, console)
    runs: tuple[Run, ...] = ()
    if settings.state_dir.is_dir():
        from reconciler.ledger import Ledger

        with Ledger.open(settings.state_dir) as ledger:
            runs = ledger.runs(limit)
    if output == "json":
        console.out(json.dumps([_plain(run) for run in runs], indent=2))
    else:
        console.out("\n".join(map(_line, runs)) if runs else "No runs yet.")
    return 0


def _plain(run: Run) -> dict[str, Any]:
    return {
        "run": run.id,
        "started": _timestamp(run.started),
        "finished": _timestamp(run.finished) if run.finished is not None else None,
        "plan": run.digest,
        "counts": dict(run.counts),
        "outcomes": list(run.outcomes),
    }


def _timestamp(seconds: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


def _line(run: Run) -> str:
    if run.finished is None:
        outcome = "interrupted: the next apply continues it"
    else:
        counts = ", ".join(f"{number} {word}" for word, number in sorted(run.counts.items()) if number)
        outcome = f"{run.finished - run.started:.1f} s   {counts or 'nothing to do'}"
    return f"{_timestamp(run.started)}   {run.id}   {outcome}"
