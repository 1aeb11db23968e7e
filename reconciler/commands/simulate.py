"""`reconciler simulate`: serves the embedded API server in this process."""

from __future__ import annotations

import click


@click.command("simulate", context_settings={"ignore_unknown_options": True, "help_option_names": []})
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def command(arguments: tuple[str, ...]) -> int:
    """Serve the embedded API server; `reconciler simulate --help` has its options."""
    from importlib.util import find_spec

    if not all(map(find_spec, ("uvicorn", "starlette", "cryptography"))):
        raise click.ClickException(
            "the simulator needs more libraries: pip install 'redis-reconciler[simulator]'",
        )
    from reconciler.simulator.__main__ import main

    return main(list(arguments)) or 0
