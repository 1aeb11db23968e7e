"""Which responses are documented for an operation: those of its row, and those of every operation like it.

The core checks responses when `settings.strict` is on, as in tests; the OpenAPI description uses the same data.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from reconciler.simulator.api.messages import ApiResponse
from reconciler.simulator.api.routes import Endpoint
from reconciler.simulator.data.tables import table

_WRITES = ("POST", "PUT", "PATCH", "DELETE")

# `data/answers.json` lists the responses of groups of operations. With `own` the error code is the simulator's: it
# belongs to a documented status for which no source names a code; `why` gives the reason.


def _is_database(row: Mapping[str, Any]) -> bool:
    return any(part in row["path"] for part in ("/bdbs", "/bdb/", "/db/", "/migrations/"))


# The conditions `when` of `data/answers.json`.
CONDITIONS: Mapping[str, Callable[[Mapping[str, Any]], bool]] = {
    "everything": lambda row: True,
    "member": lambda row: not row["path"].startswith("/v1/bootstrap"),
    "redirected": lambda row: not row.get("local"),
    "permission": lambda row: bool(row["permission"]) or row["path"].startswith("/v1/users/"),
    "body": lambda row: "body" in row or "content" in row,
    "query": lambda row: bool(row["query"]),
    "parameter": lambda row: "{" in row["path"],
    "database": lambda row: _is_database(row) and "{" in row["path"],
    "database write": lambda row: _is_database(row) and row["method"] in _WRITES,
    "access": lambda row: row["path"].split("/")[2] in ("users", "roles", "redis_acls", "ldap_mappings"),
    "crdb": lambda row: row["path"].startswith("/v1/crdbs"),
    "transfer": lambda row: re.search(r"/actions/(import|export|backup)", row["path"]) is not None,
    "mixed": lambda row: "mixed" in row,
    "certificate": lambda row: "certificates" in row["path"] or row["path"].endswith("update_cert"),
    "license": lambda row: row["path"] == "/v1/license",
    "shard": lambda row: row["path"].startswith("/v1/shards"),
    "node": lambda row: "/nodes/" in row["path"] or "node_uid" in row["path"],
}


class UndocumentedResponse(AssertionError):
    """The simulator sent a response that is not documented for the operation: a bug of the simulator."""


def documented(row: Mapping[str, Any]) -> dict[int, frozenset[str]]:
    """Return the documented statuses of the operation of *row*, each with its error codes."""
    own = frozenset(row["codes"])
    found = {status: own if status >= 400 else frozenset() for status in row["statuses"]}
    for rule in table("answers"):
        status = rule["status"]
        if CONDITIONS[rule["when"]](row) and (status in found or "own" not in rule):
            found[status] = found.get(status, own) | frozenset(rule["codes"])
    return dict(sorted(found.items()))


def check(endpoint: Endpoint, response: ApiResponse) -> None:
    """Raise `UndocumentedResponse` unless *response* is documented for *endpoint*."""
    allowed = documented(endpoint.row)
    where = f"{endpoint.method} {endpoint.path}"
    if response.status not in allowed:
        raise UndocumentedResponse(f"{where} answered {response.status}, which is not among {sorted(allowed)}")
    if response.status < 400:
        return
    error = response.json() if "json" in response.headers.get("content-type", "") else None
    code = error.get("error_code") if isinstance(error, dict) else None
    if code not in allowed[response.status]:
        codes = sorted(allowed[response.status])
        raise UndocumentedResponse(f"{where} answered {response.status} {code}, which is not among {codes}")
