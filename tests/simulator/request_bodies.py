"""Request bodies and preparations for `cases`."""

from __future__ import annotations

import base64
import io
import json
import zipfile
from collections.abc import Callable
from typing import Any

from reconciler.simulator.cluster import pem
from reconciler.simulator.state.records import ObjectRecord
from tests.simulator.clusters import Case, FilledCluster


def _busy(cluster: FilledCluster) -> None:
    cluster("PUT", "/v1/bdbs/1", {"max_connections": 5})


def _pair(cluster: FilledCluster, days: int = 30) -> dict[str, str]:
    made = pem.make("cluster.local", cluster.clock.now - 60 * 86400, 60 + days)
    return {"certificate": made.certificate, "key": made.key}


def certificate(name: str, days: int = 30) -> Callable[[FilledCluster], Any]:
    """Return a maker of the body that sets one certificate."""
    return lambda cluster: {"name": name, **_pair(cluster, days)}


def certificates(name: str, days: int = 30) -> Callable[[FilledCluster], Any]:
    """Return a maker of the body that sets several certificates."""
    return lambda cluster: {"certificates": [{"name": name, **_pair(cluster, days)}]}


def own_certificate(days: int = 30) -> Callable[[FilledCluster], Any]:
    """Return a maker of the body that gives a database a certificate of its own."""
    return lambda cluster: dict(zip(("cert", "private_key"), _pair(cluster, days).values(), strict=True))


def _set_certificate(name: str) -> Callable[[FilledCluster], Any]:
    return lambda cluster: cluster("PUT", "/v1/cluster/update_cert", certificate(name)(cluster))


def module(name: str = "mine", part: str = "module", **about_it: Any) -> bytes:
    """Return a multipart body with a module of the user's own."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        about = {"module_name": name, "version": 10203, "semantic_version": "1.2.3", "min_redis_version": "7.4"}
        archive.writestr("module.json", json.dumps({**about, **about_it}))
    head = f'--edge\r\nContent-Disposition: form-data; name="{part}"; filename="m.zip"\r\n\r\n'.encode()
    return head + file.getvalue() + b"\r\n--edge--\r\n"


FORM = "multipart/form-data; boundary=edge"
MINE = {
    **{"module_name": "mine", "version": 10203, "semantic_version": "1.2.3", "min_redis_version": "7.4"},
    **{"display_name": "Mine", "commands": [], "command_line_args": "", "capabilities": []},
}
PLACE = {"type": "url", "url": "ftp://host/file.rdb"}
SOURCES = {"dataset_import_sources": [{"type": "url", "url": "http://host/file.rdb"}]}
AUDIT = {"audit_protocol": "TCP", "audit_address": "10.0.0.9", "audit_port": 5000}
METADATA = base64.b64encode(
    b'<EntityDescriptor xmlns="urn:oasis:names:tc:SAML:2.0:metadata" entityID="idp"><IDPSSODescriptor>'
    b'<SingleSignOnService Location="https://idp.example/login"/></IDPSSODescriptor></EntityDescriptor>'
).decode()
SSO_ON = {"control_plane": True, "issuer": {"id": "idp", "login_url": "https://idp.example/login"}}
USER = {"name": "new", "email": "new@example.com", "password": "secret", "role_uids": [5]}
WEAK = ("weak", "weak")


def busy(body: Any, **more: Any) -> tuple[Case, Case]:
    """Return the good call, and the same while the database is busy."""
    return Case(body, **more), Case(body, before=(_busy,))


def token(cluster: FilledCluster) -> str:
    """Return the header of a login by token."""
    return "JWT " + str(cluster("POST", "/v1/users/authorize", {}).json()["access_token"])


def no_license(cluster: FilledCluster) -> None:
    """Take the licence away."""
    cluster.core.state.license.fields = {}


def none_left(cluster: FilledCluster) -> None:
    """Delete all databases."""
    for uid in (1, 2):
        cluster("DELETE", f"/v1/bdbs/{uid}")
    cluster.clock.sleep(60)
    cluster.clock.sleep(4000)


def foreign_module(cluster: FilledCluster) -> None:
    """Let the database have a module that cannot be backed up."""
    cluster.core.state.bdbs[1].set(module_list=[{"module_name": "mine"}])


def suffix(cluster: FilledCluster) -> None:
    """Make a suffix beside the default one; the API has no way to."""
    cluster("GET", "/v1/suffixes")
    cluster.core.state.collection("suffix")["more"] = ObjectRecord({"name": "more", "default": False})


def refused(cluster: FilledCluster) -> None:
    """Let the next call meet another change, as the fault `409` does."""
    cluster.core.faults.add("409", error_code="busy")


def expired(cluster: FilledCluster) -> None:
    """Let the licence come to its end."""
    cluster.core.state.license.set(expiration_date="2020-01-01T00:00:00Z", expired=True)


def local(tail: str) -> Callable[[FilledCluster], str]:
    """Return a maker of the path, ending in *tail*, to the instance of a database that spans clusters."""

    def path(cluster: FilledCluster) -> str:
        cluster.span()
        uid = next(item["uid"] for item in cluster("GET", "/v1/bdbs").json() if item["name"] == "wide")
        return tail.format(uid)

    return path


def uploads_off(cluster: FilledCluster) -> None:
    """Let the cluster take no modules, where its version can."""
    cluster("PUT", "/v1/cluster", {"allow_modules_upload": False})


def artifact(cluster: FilledCluster) -> None:
    """Put the files of a module on the first node."""
    assert cluster.send("POST", "/v2/local/modules/user-defined/artifacts", module(), content=FORM).status == 200


CREATE = {"cluster": {"name": "new.local"}, "credentials": {"username": "a@example.com", "password": "secret"}}


def uploaded(cluster: FilledCluster) -> str:
    """Return the path of a module that was uploaded as servers before 8.0 take it."""
    made = cluster.send("POST", "/v2/modules", module(), content=FORM)
    return f"/v2/modules/{made.json()['uid']}"


def old_snapshot(cluster: FilledCluster) -> str:
    """Return the path of a snapshot of a maintenance that a later one has replaced."""
    for _ in range(2):
        cluster("POST", "/v1/nodes/1/actions/maintenance_on", {"overwrite_snapshot": True})
        cluster.clock.sleep(600)
    return f"/v1/nodes/1/snapshots/{cluster('GET', '/v1/nodes/1/snapshots').json()[0]['name']}"


def custom(cluster: FilledCluster) -> str:
    """Return the path of a module of the user's own."""
    return f"/v2/modules/user-defined/{cluster('POST', '/v2/modules/user-defined', MINE).json()['uid']}"


def dead(uid: int) -> Callable[[FilledCluster], None]:
    """Return what takes node *uid* down."""
    return lambda cluster: cluster.core.set_node(uid, up=False)


def inactive(cluster: FilledCluster) -> None:
    cluster.core.state.bdbs[1].set(status="creation-failed")


SEARCH = {"modules": [{"module_name": "search", "module_args": "A 1"}]}
UPGRADE = {"modules": [{"current_module": "none", "new_module": "none", "new_module_args": ""}]}


def _module(name: str) -> Callable[[FilledCluster], Any]:
    return lambda cluster: {
        "modules": [
            {"current_module": cluster.first("/v1/modules", "uid"), "new_module": cluster.first("/v1/modules", "uid")}
        ]
    }
