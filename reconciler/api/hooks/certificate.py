"""Certificates of a cluster: one object holds all of them, private keys included, and a list of others writes them.

Private keys never leave this module. The two certificates between nodes are made and rotated by the cluster itself, so
they are no business of a manifest (REST requests `cluster/certificates`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from reconciler.api.hooks.base import Hook, Json, Posted, Uid, Writing
from reconciler.api.protocol import Call, Flow, Pace, ask, pause
from reconciler.errors import Busy, ReadIncomplete, Rejected

PATH = "/v1/cluster/certificates"
OLDER_PATH = "/v1/cluster/update_cert"  # one at a time; before 7.22.2 the only way
NAMES = (
    "api",
    "cm",
    "ldap_client",
    "metrics_exporter",
    "mtls_trusted_ca",
    "proxy",
    "sso_issuer",
    "sso_service",
    "syncer",
)
_PARTS = ("certificate", "key")
_FOLLOWED = ("proxy", "syncer")  # links of Active-Active databases take these up by a forced update only
_TRIES = 10  # of a certificate that was rolled out in part


def listing(fields: frozenset[str] | None) -> Flow[list[Any]]:
    """Return the certificates that there are, each as an object with its name."""
    answer = yield Call("GET", PATH, missing_ok=False)
    if not isinstance(answer.body, Mapping):
        raise ReadIncomplete(f"GET {PATH}: an object was expected")
    texts = {name: answer.body.get(f"{name}_cert") for name in NAMES}
    return [{"name": name, "certificate": text} for name, text in texts.items() if isinstance(text, str) and text]


def look(uid: Uid) -> Flow[Any]:
    """Return one certificate."""
    found = yield from listing(None)
    return next((one for one in found if one["name"] == uid), None)


def post(writing: Writing) -> Flow[Posted]:
    """Give the cluster a certificate that it did not have."""
    yield from put(writing)
    return Posted(writing.address.name)


def put(writing: Writing) -> Flow[str]:
    """Replace a certificate; rolled out in part (409), the same is sent again until it is everywhere."""
    one = {
        "name": writing.address.name,
        **{name: writing.wire[name] for name in ("certificate", "key") if name in writing.wire},
    }
    pace = Pace()
    for attempt in range(_TRIES):
        try:
            yield from _send(one)
            break
        except (Busy, Rejected) as error:
            if error.status != 409 or attempt == _TRIES - 1:
                raise
            yield from pause(pace, "rolled out in part")
    if writing.address.name in _FOLLOWED:
        yield from _tell_spanning_databases()
    return ""


def _send(one: Json) -> Flow[None]:
    try:
        yield from ask("PUT", PATH, {"certificates": [one]})
    except Rejected as error:
        if error.status not in (404, 405, 501):
            raise
        yield from ask("PUT", OLDER_PATH, one)


def _tell_spanning_databases() -> Flow[None]:
    """Force an update of each Active-Active database: until then, new links between its members are refused."""
    answer = yield from ask("GET", "/v1/crdbs")
    found = answer.body.get("crdbs") if isinstance(answer.body, Mapping) else answer.body
    for guid in sorted(str(one.get("guid", "")) for one in found or () if isinstance(one, Mapping)):
        task = yield from ask("POST", f"/v1/crdbs/{guid}/updates", {"force_update": True})
        yield from _ended(str(task.body.get("id", "")) if isinstance(task.body, Mapping) else "")


def _ended(task: str) -> Flow[None]:
    pace = Pace()
    for _ in range(200):
        if not task.replace("-", "").isalnum():
            return
        answer = yield from ask("GET", f"/v1/crdb_tasks/{task}")
        status = answer.body.get("status") if isinstance(answer.body, Mapping) else ""
        if answer.status == 404 or status not in ("queued", "started"):
            return
        yield from pause(pace, "an Active-Active database takes the certificate up")


def remove(writing: Writing) -> Flow[None]:
    """Delete a certificate that the cluster can do without."""
    yield from ask("DELETE", f"{PATH}/{writing.address.name}")


HOOK = Hook(listing=listing, look=look, post=post, put=put, remove=remove)
