"""Which cluster responds: the first thing that a run reads of it. `session` calls `identify`."""

from __future__ import annotations

from typing import Protocol

from reconciler.api.driver import Reader, drive
from reconciler.api.protocol import Response
from reconciler.api.read import listing
from reconciler.errors import Forbidden
from reconciler.kinds import Kind
from reconciler.model import ClusterIdentity

CLUSTER = "/v1/cluster"


class LoginReader(Reader, Protocol):
    """A client that can verify its login."""

    def open(self) -> Response: ...


def identify(client: LoginReader, bootstrap: Kind | None) -> ClusterIdentity | None:
    """Return which cluster responds, after the check of the login; None where it reports no identity.

    *bootstrap*: the kind that creates a cluster, where such an object is declared and the cluster may not exist yet.
    """
    if bootstrap is not None and not drive(listing(bootstrap), client):
        return None
    client.open()
    try:
        body = client.get(CLUSTER, missing_ok=True).body
    except Forbidden:
        return None
    name, created = (body.get("name"), body.get("created_time")) if isinstance(body, dict) else (None, None)
    known = isinstance(name, str) and isinstance(created, str) and name and created
    return ClusterIdentity(str(name), str(created)) if known else None
