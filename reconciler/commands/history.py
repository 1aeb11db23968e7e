"""`reconciler history [RUN]`: the runs in the ledger, newest first, or one of them with each of its changes."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from reconciler.commands.console import Console, console_of
from reconciler.commands.flags import GLOBAL, format_option, with_flags
from reconciler.commands.inputs import load_settings
from reconciler.errors import InputError, Problem

if TYPE_CHECKING:
    from reconciler.ledger import Ledger, Run
    from reconciler.ledger.identities import IdentityRecord

_MOST_OBJECTS = 6  # of a run in the list
_UNFINISHED = "running, or interrupted: the next apply continues it"


@click.command("history")
@click.argument("run", required=False, metavar="[RUN]")
@click.option("--limit", type=click.IntRange(1, 1000), default=20, show_default=True, help="At most this many runs.")
@format_option("text", "json")
@with_flags(*GLOBAL)
def command(run: str | None, limit: int, output: str, **flags: Any) -> int:
    """List the runs in the ledger: start, actor, revision, clusters, objects and outcome.

    After them come the names and URLs behind which the cluster changed.

    With RUN, the id of a run or its beginning, show each change of that run: its fields, how it ended, and why.
    """
    console = console_of(flags)
    settings = load_settings(flags, console)
    runs: tuple[Run, ...] = ()
    changed: list[str] = []
    if settings.state_dir.is_dir():
        from reconciler.ledger import Ledger

        with Ledger.open(settings.state_dir) as ledger:
            runs = (_found(ledger, run),) if run is not None else ledger.runs(limit)
            runs = tuple(one if one.outcomes else one._replace(outcomes=tuple(_intents(ledger, one))) for one in runs)
            changed = _changed_clusters(ledger.identities.history())
    elif run is not None:
        raise _unknown(run, ())
    if output == "json":
        plain = [_plain(one) for one in runs]
        console.out(json.dumps(plain[0] if run is not None else plain, indent=2))
    elif run is not None:
        console.out("\n".join(_details(runs[0], console)))
    else:
        lines = [*(line for one in runs for line in _lines(one, console)), *changed]
        console.out("\n".join(lines) if lines else "No runs yet.")
    return 0


def _changed_clusters(identities: Sequence[IdentityRecord]) -> list[str]:
    """Return a line for each cluster that responded behind a name or URL that led to several, oldest first."""
    several = {place for place, count in Counter(one.place for one in identities).items() if count > 1}
    return [
        f"{_timestamp(one.since)}   {one.place} is {one.identity} since then"
        for one in identities
        if one.place in several
    ]


def _found(ledger: Ledger, start: str) -> Run:
    """Return the run whose id is *start* or, if there is only one, begins with it."""
    exact = ledger.run(start)
    if exact is not None:
        return exact
    known = ledger.runs(1000)
    found = [one for one in known if start and one.id.startswith(start)]
    if len(found) != 1:
        raise _unknown(start, [one.id for one in found or known])
    return found[0]


def _unknown(run: str, known: Iterable[str]) -> InputError:
    some = ", ".join(list(known)[:3])
    hint = f"such as {some}; `reconciler history` lists the runs" if some else "there are no runs yet"
    return InputError([Problem("RUN", 0, 0, "", f"no single run has the id {run!r}", hint)])


def _intents(ledger: Ledger, run: Run) -> Iterator[Mapping[str, Any]]:
    """Yield what a run without a report began, from the intents that precede each write."""
    for intent, outcome in ledger.events():
        if intent.run == run.id:
            yield {
                "action": intent.action,
                "address": str(intent.address),
                "fields": sorted(intent.body),
                "status": outcome or "not known to be finished",
                "operation": intent.op_id,
            }


def _plain(run: Run) -> dict[str, Any]:
    return {
        "run": run.id,
        "started": _timestamp(run.started),
        "finished": _timestamp(run.finished) if run.finished is not None else None,
        "who": run.who or None,
        "revision": run.revision or None,
        "clusters": list(filter(None, run.clusters)),
        "plan": run.digest,
        "counts": dict(run.counts),
        "outcomes": list(run.outcomes),
    }


def _timestamp(seconds: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


def _outcome(run: Run) -> str:
    if run.finished is None:
        return _UNFINISHED
    counts = ", ".join(f"{number} {word}" for word, number in sorted(run.counts.items()) if number)
    return f"{run.finished - run.started:.1f} s   {counts or 'nothing to do'}"


def _lines(run: Run, console: Console) -> Iterator[str]:
    """Yield the line of a run, and one with its objects."""
    from reconciler.render.escape import clean

    about = (run.who or "-", run.revision or "-", ", ".join(filter(None, run.clusters)) or "-")
    yield "   ".join([_timestamp(run.started), run.id, *map(clean, about), _outcome(run)])
    objects = [f"{_mark(one)} {clean(str(one.get('address', '')))}" for one in run.outcomes]
    if len(objects) > _MOST_OBJECTS:
        objects[_MOST_OBJECTS:] = [f"and {len(objects) - _MOST_OBJECTS} more: reconciler history {run.id}"]
    yield from _wrapped(", ".join(objects), "    ", console.width)


def _details(run: Run, console: Console) -> Iterator[str]:
    from reconciler.render.escape import clean

    facts = {
        "started": _timestamp(run.started),
        "actor": run.who,
        "revision": run.revision,
        "clusters": ", ".join(filter(None, run.clusters)),
        "plan": run.digest,
        "outcome": _outcome(run),
    }
    yield f"Run {run.id}"
    yield from (f"  {name:<9} {clean(value) or '-'}" for name, value in facts.items())
    for one in run.outcomes:
        yield ""
        yield f"{_mark(one):>3} {clean(str(one.get('address', '')))}: {clean(str(one.get('status', '')))}"
        fields = ", ".join(map(str, one.get("fields") or ()))
        yield from _wrapped(f"fields: {clean(fields)}" if fields else "", "      ", console.width)
        yield from _wrapped(clean(str(one.get("why") or "")), "      ", console.width)


def _mark(outcome: Mapping[str, Any]) -> str:
    from reconciler.plan import Action

    return {action.name.lower(): action.value for action in Action}.get(str(outcome.get("action")), "?")


def _wrapped(text: str, indent: str, width: int) -> list[str]:
    import textwrap

    return textwrap.wrap(text, width, initial_indent=indent, subsequent_indent=indent, break_on_hyphens=False)
