"""`reconciler snapshot`: saves the responses of a cluster to GETs as input for `simulate --snapshot`.

GETs only. Certificates are not read, since the response contains private keys; all other values that look like secrets
are masked. A path that the cluster does not have, or refuses to show, is left out with a note.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import click

from reconciler.commands import private_file
from reconciler.commands.console import Console, console_of
from reconciler.commands.flags import CONNECTION, GLOBAL, with_flags
from reconciler.commands.inputs import open_session
from reconciler.errors import Forbidden, ReadIncomplete, Rejected, VersionUnsupported

MASK = "********"
QUERIES: Mapping[str, str] = {"/v1/bdbs": "?extended=true"}
PATHS = (
    "/v1/bdb_groups",
    "/v1/bdbs",
    "/v1/cluster",
    "/v1/cluster/auditing/db_conns",
    "/v1/cluster/ldap",
    "/v1/cluster/policy",
    "/v1/cluster/services_configuration",
    "/v1/cluster/sso",
    "/v1/cm_settings",
    "/v1/crdbs",
    "/v1/diagnostics",
    "/v1/job_scheduler",
    "/v1/ldap_mappings",
    "/v1/license",
    "/v1/metrics_config",
    "/v1/modules",
    "/v1/nodes",
    "/v1/ocsp",
    "/v1/proxies",
    "/v1/redis_acls",
    "/v1/roles",
    "/v1/shards",
    "/v1/suffixes",
    "/v1/users",
)

# Names of fields that hold credentials. `key` is one too, except where it names a tag or a setting.
_SECRET = re.compile(
    r"(^|_)(pass|passwd|password|secret|secret_key|secret_access_key|access_key_id|account_key|private_key|client_key"
    r"|sas_token|token|credentials)$"
)
_LOGIN_IN_URL = re.compile(r"(\w+://)[^/@\s]+@")


@click.command("snapshot")
@click.option("--cluster", "clusters", multiple=True, metavar="NAME", help="Only this cluster.")
@click.option("--out", metavar="FILE", help="Write to this file, readable by the owner only; default: standard output.")
@with_flags(*CONNECTION, *GLOBAL)
def command(out: str | None, **flags: Any) -> int:
    """Save the state of a cluster as input for `reconciler simulate --snapshot`; secrets are masked."""
    console = console_of(flags)
    with open_session(flags, console) as session:
        if len(session.targets) != 1:
            raise click.UsageError(f"choose one cluster with --cluster: {', '.join(sorted(session.names))}")
        (client,) = session.clients().values()
        text = json.dumps(taken(client.get, console), indent=1, sort_keys=True) + "\n"
    if out is None:
        console.out(text)
    else:
        private_file.write(Path(out), text.encode())
        console.note(f"wrote {out}; secrets are masked, names and addresses are not")
    return 0


def taken(get: Callable[..., Any], console: Console) -> dict[str, Any]:
    """Return `{path: body}` of all PATHS that can be read with *get*, secrets masked; note those that cannot."""
    parts: dict[str, Any] = {}
    for path in PATHS:
        try:
            answer = get(path + QUERIES.get(path, ""), missing_ok=True)
        except (Forbidden, Rejected, VersionUnsupported, ReadIncomplete) as error:
            console.note(f"left out {path}: {error}")
            continue
        if answer.status == 404:
            console.note(f"left out {path}: this cluster does not have it")
        else:
            parts[path] = masked(answer.body)
    return parts


def masked(value: Any, name: str = "", beside: Mapping[str, Any] | None = None) -> Any:
    """Return *value* with everything masked that looks like a secret; *name* is its field in the object *beside*."""
    if isinstance(value, Mapping):
        return {key: masked(item, key, value) for key, item in value.items()}
    if isinstance(value, list):
        return [masked(item, name, beside) for item in value]
    if not isinstance(value, str) or not value:
        return value
    if _SECRET.search(name) or "PRIVATE KEY" in value or _is_key(name, beside or {}):
        return MASK
    return _LOGIN_IN_URL.sub(rf"\1{MASK}@", value)


def _is_key(name: str, beside: Mapping[str, Any]) -> bool:
    """Return whether the field *name* is a credential: a storage key, or the licence."""
    return (name == "key" and "value" not in beside) or (name == "license" and "key" in beside)
