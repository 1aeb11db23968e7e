"""`reconciler accept`, and what `drift` knows of the past."""

from __future__ import annotations

import json
import os
from pathlib import Path

from reconciler.simulator.testing import Caller, Running
from tests.cli.rig import Cli

GIB = 1024**3


def by_hand(server: Running, path: str, name: str, **changes: object) -> None:
    call = Caller(server.core)
    (uid,) = [one["uid"] for one in call("GET", path).json() if one["name"] == name]
    assert call("PUT", f"{path}/{uid}", changes).status == 200


def settled(server: Running) -> None:
    call = Caller(server.core)
    while any(one["status"] != "active" for one in call("GET", "/v1/bdbs").json()):
        pass


def test_a_patch_takes_the_live_value_in_the_units_of_the_manifest(applied: Cli, server: Running) -> None:
    by_hand(server, "/v1/bdbs", "sessions", memory_size=3 * GIB)
    done = applied("accept", "Database/sessions.memory_size")
    assert [line for line in done.out.splitlines() if line[:1] in "+-" and line[:3] not in ("+++", "---")] == [
        "-  memory_size: 1GiB",
        "+  memory_size: 3GiB",
    ]
    applied("drift", code=2)


def test_written_in_place_it_is_no_drift_any_more(applied: Cli, server: Running) -> None:
    by_hand(server, "/v1/bdbs", "sessions", memory_size=3 * GIB)
    by_hand(server, "/v1/roles", "app", management="db_viewer")
    path = applied.folder / "manifests/shop.yaml"
    before = path.read_text()
    path.chmod(0o640)
    applied("accept", "--write", "here:Database/sessions", "Role/app.management")
    assert path.read_text() == before.replace("1GiB", "3GiB").replace("management: none", "management: db_viewer")
    assert path.stat().st_mode & 0o777 == 0o640
    assert applied("drift").out == "No drift on here.\n"
    assert [name for name in os.listdir(path.parent) if name.startswith(".")] == []


def test_a_list_is_taken_over_whole(applied: Cli, server: Running) -> None:
    call = Caller(server.core)
    made = call("POST", "/v1/roles", {"name": "second", "management": "none"}).json()
    acl = next(one["uid"] for one in call("GET", "/v1/redis_acls").json() if one["name"] == "app-keys")
    own = next(one["uid"] for one in call("GET", "/v1/roles").json() if one["name"] == "app")
    pairs = [{"role_uid": own, "redis_acl_uid": acl}, {"role_uid": made["uid"], "redis_acl_uid": acl}]
    by_hand(server, "/v1/bdbs", "sessions", roles_permissions=pairs)
    settled(server)
    applied("accept", "--write", "Database/sessions.roles_permissions")
    assert applied("drift").out == "No drift on here.\n"
    assert "second" in (applied.folder / "manifests/shop.yaml").read_text()


def test_what_does_not_differ_or_is_gone_cannot_be_accepted(applied: Cli, server: Running) -> None:
    assert "Database/sessions.port: no drift" in applied("accept", "Database/sessions.port", code=3).err
    call = Caller(server.core)
    call("DELETE", f"/v1/bdbs/{call('GET', '/v1/bdbs').json()[0]['uid']}")
    while call("GET", "/v1/bdbs").json():
        pass
    assert "write state: absent" in applied("accept", "Database/sessions", code=3).err


def test_a_secret_is_not_accepted(applied: Cli) -> None:
    refused = applied("accept", "Database/sessions.backup_location", code=3, BACKUP_KEY="another-backup-key")
    assert "backup_location.secret_access_key: is or contains a secret, which cannot be read back" in refused.err


def test_what_is_beside_a_secret_is_accepted_and_the_reference_stays(applied: Cli, server: Running) -> None:
    place = {"type": "s3", "bucket_name": "elsewhere", "access_key_id": "AK1", "secret_access_key": "x" * 12}
    by_hand(server, "/v1/bdbs", "sessions", backup_location=place)
    settled(server)
    shown = applied("accept", "Database/sessions.backup_location").out
    assert "+    bucket_name: elsewhere" in shown
    assert "     secret_access_key: {valueFrom: {env: BACKUP_KEY}}" in shown
    assert "x" * 12 not in shown


def test_what_cannot_be_edited_safely_stays_as_it_is(applied: Cli, server: Running) -> None:
    applied.edit("manifests/shop.yaml", "memory_size: 1GiB", "memory_size: &size 1GiB")
    by_hand(server, "/v1/bdbs", "sessions", memory_size=3 * GIB)
    before = (applied.folder / "manifests/shop.yaml").read_text()
    assert "has an anchor" in applied("accept", "--write", "Database/sessions", code=5).err
    assert (applied.folder / "manifests/shop.yaml").read_text() == before


def test_what_other_clusters_share_is_not_changed_for_one(applied: Cli, server: Running) -> None:
    head, _, rest = (applied.folder / "reconciler.yaml").read_text().partition("  - name: here")
    cluster, _, secrets = rest.partition("secrets:")
    applied.write("reconciler.yaml", f"{head}  - name: here{cluster}  - name: there{cluster}secrets:{secrets}")
    by_hand(server, "/v1/bdbs", "sessions", memory_size=3 * GIB)
    assert "shares this value with there" in applied("accept", "here:Database/sessions", code=5).err


def test_drift_says_since_when_where_the_cluster_knows(applied: Cli, server: Running) -> None:
    by_hand(server, "/v1/bdbs", "sessions", memory_size=3 * GIB)
    (one,) = json.loads(applied("drift", "-o", "json", code=2).out)
    assert one["since"] == next(
        entry["time"] for entry in Caller(server.core)("GET", "/v1/logs").json() if "memory_size" in entry["type"]
    )
    assert ", since 20" in applied("drift", code=2).out


def test_drift_says_what_an_agent_remembers(cli: Cli, server: Running, tmp_path: Path) -> None:
    cli("run", "--once", "--mode", "apply", "--path", str(cli.folder))
    by_hand(server, "/v1/roles", "app", management="db_viewer")
    cli("run", "--once", "--mode", "observe", "--path", str(cli.folder))
    (first,) = json.loads(cli("drift", "-o", "json", code=2).out)
    assert first["since"] is not None
    cli("run", "--once", "--mode", "observe", "--path", str(cli.folder))
    assert json.loads(cli("drift", "-o", "json", code=2).out) == [first]
