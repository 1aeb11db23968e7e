"""`reconciler outputs`: what applications need to connect to each database."""

from __future__ import annotations

from typing import Any

import click

from reconciler import reconcile
from reconciler.commands.common import REACH, WHERE, console, format_option, opening, options


@click.command("outputs")
@click.option("--cluster", "clusters", multiple=True, metavar="NAME", help="Only this cluster (repeatable).")
@click.option("--passwords", is_flag=True, help="With -o json or dotenv: the passwords of default users, too.")
@format_option("text", "json", "dotenv")
@options(*REACH, *WHERE)
def command(passwords: bool, output: str, **flags: Any) -> int:
    """Print what applications need to connect to each database: endpoint, addresses, port, TLS, roles."""
    from reconciler.export import outputs

    if passwords and output == "text":
        raise click.UsageError("the table never shows passwords; add -o json or -o dotenv")
    screen = console(flags)
    with opening(flags, screen) as session:
        rows = reconcile.outputs(session, passwords=passwords)
    if passwords:
        screen.warn("passwords are on standard output now; keep it out of logs")
    show = {"text": outputs.table, "json": outputs.to_json, "dotenv": outputs.dotenv}[output]
    screen.out(show(rows))
    return 0
