"""Which cluster responds: the first thing that a run reads of it. `session` calls `identify`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from reconciler.api.driver import Reader, drive
from reconciler.api.protocol import Response
from reconciler.api.read import listing
from reconciler.errors import Forbidden
from reconciler.kinds import Kind
from reconciler.model import ClusterIdentity

BOOTSTRAP = "ClusterBootstrap"  # the only kind that can be read before the cluster exists
CLUSTER = "/v1/cluster"


class LoginReader(Reader, Protocol):
    """A client that can verify its login."""

    def open(self) -> Response: ...


def identify(client: LoginReader, kinds: Mapping[str, Kind], *, may_be_new: bool) -> ClusterIdentity | None:
    """Return which cluster responds, after the check of the login; None where it reports no identity.

    *may_be_new*: its bootstrap is declared, and it may not exist yet.
    """
    if may_be_new and not drive(listing(kinds[BOOTSTRAP]), client):
        return None
    client.open()
    try:
        body = client.get(CLUSTER, missing_ok=True).body
    except Forbidden:
        return None
    name, created = (body.get("name"), body.get("created_time")) if isinstance(body, dict) else (None, None)
    known = isinstance(name, str) and isinstance(created, str) and name and created
    return ClusterIdentity(str(name), str(created)) if known else None
