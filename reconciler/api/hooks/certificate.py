"""The hook of cluster certificates: one endpoint returns all of them, private keys included; others write them.

Private keys never leave this module. The cluster creates and rotates the two certificates between nodes itself, so
manifests cannot declare them (REST requests `cluster/certificates`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from reconciler.api.hooks.base import Created, Hook, Json, Uid, WriteContext
from reconciler.api.protocol import Backoff, Call, Flow, request, wait
from reconciler.errors import Busy, ReadIncomplete, Rejected

PATH = "/v1/cluster/certificates"
OLDER_PATH = "/v1/cluster/update_cert"  # one certificate; the only endpoint before 7.22.2
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
_USED_BY_LINKS = ("proxy", "syncer")  # links of Active-Active databases load these only at a forced update
_MAX_ATTEMPTS = 10  # for a certificate that was rolled out only partly


def listing(fields: frozenset[str] | None) -> Flow[list[Any]]:
    """Return the configured certificates, each as an object with its name."""
    response = yield Call("GET", PATH, missing_ok=False)
    if not isinstance(response.body, Mapping):
        raise ReadIncomplete(f"GET {PATH}: an object was expected")
    texts = {name: response.body.get(f"{name}_cert") for name in NAMES}
    return [{"name": name, "certificate": text} for name, text in texts.items() if isinstance(text, str) and text]


def look(uid: Uid) -> Flow[Any]:
    """Return one certificate."""
    found = yield from listing(None)
    return next((one for one in found if one["name"] == uid), None)


def create(context: WriteContext) -> Flow[Created]:
    """Add a certificate that the cluster did not have."""
    yield from update(context)
    return Created(context.address.name)


def update(context: WriteContext) -> Flow[str]:
    """Replace a certificate; where it was rolled out only partly (409), send it again until all nodes have it."""
    one = {
        "name": context.address.name,
        **{name: context.wire[name] for name in ("certificate", "key") if name in context.wire},
    }
    backoff = Backoff()
    for attempt in range(_MAX_ATTEMPTS):
        try:
            yield from _send(one)
            break
        except (Busy, Rejected) as error:
            if error.status != 409 or attempt == _MAX_ATTEMPTS - 1:
                raise
            yield from wait(backoff, "rolled out partly")
    if context.address.name in _USED_BY_LINKS:
        yield from _update_active_active_links()
    return ""


def _send(one: Json) -> Flow[None]:
    try:
        yield from request("PUT", PATH, {"certificates": [one]})
    except Rejected as error:
        if error.status not in (404, 405, 501):
            raise
        yield from request("PUT", OLDER_PATH, one)


def _update_active_active_links() -> Flow[None]:
    """Force an update of each Active-Active database: until then, new links between its instances are refused."""
    response = yield from request("GET", "/v1/crdbs")
    found = response.body.get("crdbs") if isinstance(response.body, Mapping) else response.body
    for guid in sorted(str(one.get("guid", "")) for one in found or () if isinstance(one, Mapping)):
        task = yield from request("POST", f"/v1/crdbs/{guid}/updates", {"force_update": True})
        yield from _wait_for_task(str(task.body.get("id", "")) if isinstance(task.body, Mapping) else "")


def _wait_for_task(task: str) -> Flow[None]:
    backoff = Backoff()
    for _ in range(200):
        if not task.replace("-", "").isalnum():
            return
        response = yield from request("GET", f"/v1/crdb_tasks/{task}")
        status = response.body.get("status") if isinstance(response.body, Mapping) else ""
        if response.status == 404 or status not in ("queued", "started"):
            return
        yield from wait(backoff, "an Active-Active database loads the certificate")


def delete(context: WriteContext) -> Flow[None]:
    """Delete an optional certificate."""
    yield from request("DELETE", f"{PATH}/{context.address.name}")


HOOK = Hook(listing=listing, look=look, create=create, update=update, delete=delete)
