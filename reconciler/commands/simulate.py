"""`reconciler simulate`: runs the simulator in this process."""

from __future__ import annotations

import click


@click.command("simulate", context_settings={"ignore_unknown_options": True, "help_option_names": []})
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def command(arguments: tuple[str, ...]) -> int:
    """Run the simulator, the embedded API server."""
    from importlib.util import find_spec

    if not all(map(find_spec, ("uvicorn", "starlette", "cryptography"))):
        raise click.ClickException(
            "the simulator needs the extra [simulator]: run pip install '.[simulator]' in a checkout",
        )
    from reconciler.simulator.__main__ import main

    return main(list(arguments)) or 0
