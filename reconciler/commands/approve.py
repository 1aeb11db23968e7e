"""`reconciler approve`: lets the agent apply the plan that it keeps for a cluster. Writes to the ledger alone."""

from __future__ import annotations

from typing import Any

import click

from reconciler.commands.common import WHERE, console, load_settings, options
from reconciler.errors import Refused

_SHORTEST = 12  # characters of a digest that are taken for all of it


@click.command("approve")
@click.argument("digest")
@click.option("--cluster", "clusters", multiple=True, metavar="NAME", help="Only on this cluster (repeatable).")
@options(*WHERE)
def command(digest: str, clusters: tuple[str, ...], **flags: Any) -> int:
    """Let the agent apply the plan with this DIGEST, which its log, its page and its notifications show."""
    from reconciler.agent.topics import APPROVED, PLANNED
    from reconciler.ledger import Ledger

    screen = console(flags)
    settings = load_settings({**flags, "clusters": clusters}, screen)
    chosen = {target.name for target in settings.selected}
    if not settings.state_dir.is_dir():
        raise Refused(f"there is no agent that keeps a plan: {settings.state_dir} does not exist; check --state-dir")
    with Ledger.open(settings.state_dir) as ledger:
        kept = {place: fact for place, fact in ledger.memory.everywhere(PLANNED).items() if place[0] in chosen}
        meant = [place for place in kept if place[1] == digest or _begins(place[1], digest)]
        if not meant:
            current = ", ".join(f"{cluster or 'default'} {name}" for cluster, name in sorted(kept))
            raise Refused(
                f"no plan with the digest {digest} waits: it may be stale, since clusters and manifests move on; "
                f"waiting: {current or 'none'}"
            )
        for cluster, name in meant:
            ledger.memory.remember(cluster, APPROVED, name)
            about = kept[cluster, name].content
            where = f"cluster {cluster or 'default'}"
            screen.out(f"Approved: {about['changes']} changes on {where}, revision {about['revision']}.")
    return 0


def _begins(whole: str, start: str) -> bool:
    return len(start) >= _SHORTEST and whole.startswith(start)
