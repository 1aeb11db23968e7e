"""`reconciler approve`: approves the plan that the agent offers for a cluster. Writes only to the ledger."""

from __future__ import annotations

from typing import Any

import click

from reconciler.commands.console import console_of
from reconciler.commands.flags import GLOBAL, with_flags
from reconciler.commands.inputs import load_settings
from reconciler.errors import Refused

_MIN_PREFIX = 12  # characters of a digest that are accepted for all of it


@click.command("approve")
@click.argument("digest")
@click.option("--cluster", "clusters", multiple=True, metavar="NAME", help="Only on this cluster (repeatable).")
@with_flags(*GLOBAL)
def command(digest: str, clusters: tuple[str, ...], **flags: Any) -> int:
    """Approve the plan with this DIGEST, as shown by the agent's log, page and notifications."""
    from reconciler.agent.approvals import Approvals
    from reconciler.ledger import Ledger

    console = console_of(flags)
    settings = load_settings({**flags, "clusters": clusters}, console)
    selected = {target.name for target in settings.selected}
    if not settings.state_dir.is_dir():
        raise Refused(f"no agent has a plan here: {settings.state_dir} does not exist; check --state-dir")
    with Ledger.open(settings.state_dir) as ledger:
        approvals = Approvals(ledger.memory)
        pending = {place: fact for place, fact in approvals.pending().items() if place[0] in selected}
        matching = [place for place in pending if place[1] == digest or _is_prefix(digest, place[1])]
        if not matching:
            current = ", ".join(f"{cluster or 'default'} {name}" for cluster, name in sorted(pending))
            raise Refused(
                f"no plan with the digest {digest} is awaiting approval; it may be stale, since clusters and manifests "
                f"change; awaiting approval: {current or 'none'}"
            )
        for cluster, name in matching:
            approvals.approve(cluster, name)
            about = pending[cluster, name].content
            where = f"cluster {cluster or 'default'}"
            console.out(f"Approved: {about['changes']} changes on {where}, revision {about['revision']}.")
    return 0


def _is_prefix(start: str, digest: str) -> bool:
    return len(start) >= _MIN_PREFIX and digest.startswith(start)
