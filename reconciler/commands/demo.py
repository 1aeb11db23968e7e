"""`reconciler demo`: the whole story on a simulated cluster."""

from __future__ import annotations

import click


@click.command("demo")
def command() -> int:
    """Play the whole story on a simulated cluster, in under a minute; needs the extras [agent,simulator]."""
    from reconciler.demo import play

    return play()
