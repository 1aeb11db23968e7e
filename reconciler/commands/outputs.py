"""`reconciler outputs`: prints the connection details of each database."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from reconciler import reconcile
from reconciler.commands.console import console_of
from reconciler.commands.flags import CLUSTERS, CONNECTION, GLOBAL, format_option, with_flags
from reconciler.commands.inputs import exit_code, open_session
from reconciler.errors import ClusterError
from reconciler.plan.read_set import ReadSet

if TYPE_CHECKING:
    from reconciler.export.outputs import Output
    from reconciler.session import Session


@click.command("outputs")
@click.option("--passwords", is_flag=True, help="Include the passwords of default users (-o json or dotenv).")
@format_option("text", "json", "dotenv")
@with_flags(*CLUSTERS, *CONNECTION, *GLOBAL)
def command(passwords: bool, output: str, **flags: Any) -> int:
    """Print the connection details of each database: endpoint, addresses, port, TLS, roles.

    dotenv names are those of the databases, ORDERS_HOST. Endpoints that would share a name get the cluster before it,
    EAST_ORDERS_HOST, and where that is not enough the port behind it, ORDERS_12000_HOST.
    """
    from reconciler.export import outputs

    if passwords and output == "text":
        raise click.UsageError("--passwords requires -o json or -o dotenv")
    console = console_of(flags)
    with open_session(flags, console) as session:
        rows = _outputs(session, console.warn, passwords=passwords)
        failed = reconcile.failures(session)
    if passwords:
        console.warn("standard output contains passwords; keep it out of logs")
    if output == "json":
        console.out(outputs.to_json(rows, [one._asdict() for one in failed]))
    else:
        console.out(outputs.dotenv(rows) if output == "dotenv" else outputs.table(rows, several=session.several))
    return exit_code(session, 0)


def _outputs(session: Session, warn: Callable[[str], None], *, passwords: bool) -> tuple[Output, ...]:
    """Return the endpoints of every database, with the passwords of default users on request.

    *warn* gets a text for each database that is not ready.
    """
    from reconciler.export import outputs as presenting

    kind = session.kinds["Database"]
    read_set = ReadSet({kind.name: frozenset({"roles_permissions", "tls_mode", "ssl"})})
    fields = [kind.rest.id, "name", "endpoints", *(["authentication_redis_pass"] if passwords else [])]
    found: list[Output] = []
    for cluster, state in reconcile.read(session, {target.name: read_set for target in session.targets}).items():
        try:
            raw = session.clients()[cluster].get(f"{kind.rest.path}?fields={','.join(fields)}", shape=list).body
        except ClusterError as error:
            session.leave_out(cluster, error)
            continue
        endpoints = {one[kind.rest.id]: one.get("endpoints") or () for one in raw}
        known = {one["name"]: one["authentication_redis_pass"] for one in raw if one.get("authentication_redis_pass")}
        for text in presenting.not_ready(kind, state, endpoints):
            warn(text)
        found += presenting.rows(cluster, state.objects[kind.name], endpoints, known)
    return tuple(found)
