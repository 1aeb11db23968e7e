"""`reconciler outputs`: prints the connection details of each database."""

from __future__ import annotations

from typing import Any

import click

from reconciler import reconcile
from reconciler.commands.console import console_of
from reconciler.commands.flags import CLUSTERS, CONNECTION, GLOBAL, format_option, with_flags
from reconciler.commands.inputs import exit_code, open_session


@click.command("outputs")
@click.option("--passwords", is_flag=True, help="Include the passwords of default users (-o json or dotenv).")
@format_option("text", "json", "dotenv")
@with_flags(*CLUSTERS, *CONNECTION, *GLOBAL)
def command(passwords: bool, output: str, **flags: Any) -> int:
    """Print the connection details of each database: endpoint, addresses, port, TLS, roles."""
    from reconciler.export import outputs

    if passwords and output == "text":
        raise click.UsageError("--passwords requires -o json or -o dotenv")
    console = console_of(flags)
    with open_session(flags, console) as session:
        rows = reconcile.outputs(session, console.warn, passwords=passwords)
        failed = reconcile.failures(session)
    if passwords:
        console.warn("standard output contains passwords; keep it out of logs")
    if output == "json":
        console.out(outputs.to_json(rows, [one._asdict() for one in failed]))
    else:
        console.out(outputs.dotenv(rows) if output == "dotenv" else outputs.table(rows, several=session.several))
    return exit_code(session, 0)
