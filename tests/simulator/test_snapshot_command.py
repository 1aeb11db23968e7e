"""`reconciler snapshot`: a live cluster as a file, without its secrets, that a twin starts from."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from reconciler.commands.snapshot import MASK, masked
from reconciler.simulator.core import Core, SimulatorSettings
from reconciler.simulator.testing import Caller, Running, running

PLACE = {"type": "s3", "bucket_name": "b", "access_key_id": "AKIDHUSH", "secret_access_key": "hush-s3"}
DATABASE = {
    "name": "sessions",
    "memory_size": 1 << 30,
    "authentication_redis_pass": "hush-redis",
    "backup": True,
    "backup_interval": 3600,
    "backup_location": PLACE,
    "tags": [{"key": "team", "value": "checkout"}],
}


def snapshot(server: Running, *options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "reconciler", "snapshot", "--url", server.urls[0], *options]
    login = {"REDIS_ENTERPRISE_USER": server.username, "REDIS_ENTERPRISE_PASSWORD": server.password}
    environ = {**os.environ, **login, "REDIS_ENTERPRISE_CA_CERT": str(server.ca_file)}
    return subprocess.run(command, env=environ, capture_output=True, text=True, timeout=60, check=False)


def test_a_twin_of_a_live_cluster_reads_alike_and_holds_no_secret(tmp_path: Path) -> None:
    with running(nodes=3, seed=5) as server:
        assert server.core.call("POST", "/v1/bdbs", DATABASE).status == 200
        server.core.call("POST", "/v1/roles", {"name": "app", "management": "none"})
        done = snapshot(server, "--out", str(tmp_path / "twin.json"))
        assert (done.returncode, done.stdout) == (0, "")
        assert {entry.method for entry in server.log} == {"GET"}
        assert not [entry for entry in server.log if "certificates" in entry.path]
        live = {path: server.core.call("GET", path).json() for path in ("/v1/roles", "/v1/redis_acls")}
    text = (tmp_path / "twin.json").read_text()
    assert "hush" not in text.lower()
    assert "PRIVATE KEY" not in text
    assert stat.S_IMODE((tmp_path / "twin.json").stat().st_mode) == 0o600
    twin = Caller(Core(SimulatorSettings(nodes=3), seed=5, snapshot=json.loads(text)))
    assert {path: twin("GET", path).json() for path in live} == live
    (database,) = twin("GET", "/v1/bdbs").json()
    assert (database["name"], database["tags"]) == ("sessions", DATABASE["tags"])
    assert (database["backup_location"]["bucket_name"], database["backup_location"]["secret_access_key"]) == ("b", MASK)


def test_what_a_cluster_does_not_have_is_left_out_and_told() -> None:
    with running(nodes=1, seed=5, server_version="7.4") as server:
        done = snapshot(server)
    assert done.returncode == 0
    assert "/v1/metrics_config" not in json.loads(done.stdout)
    assert "left out /v1/metrics_config: this cluster does not have it" in done.stderr


VALUES = [
    ({"authentication_admin_pass": "x"}, {"authentication_admin_pass": MASK}),
    ({"authentication_admin_pass": ""}, {"authentication_admin_pass": ""}),
    ({"tags": [{"key": "team", "value": "x"}]}, {"tags": [{"key": "team", "value": "x"}]}),
    ({"type": "sftp", "key": "x"}, {"type": "sftp", "key": MASK}),
    ({"license": "text", "key": "text"}, {"license": MASK, "key": MASK}),
    ({"uri": "redis://admin:hush@10.0.0.1:10000"}, {"uri": f"redis://{MASK}@10.0.0.1:10000"}),
    ({"any": "-----BEGIN RSA PRIVATE KEY-----"}, {"any": MASK}),
    ({"credentials": {"username": "a", "password": "x"}}, {"credentials": {"username": "a", "password": MASK}}),
    ({"shard_key_regex": [{"regex": "a"}], "password_min_length": 8}, None),
    ({"encrypt_pkeys": True, "acl": "+@read ~key"}, None),
]


@pytest.mark.parametrize(("value", "expected"), VALUES, ids=range(len(VALUES)))
def test_what_looks_like_a_secret_is_masked(value: object, expected: object) -> None:
    assert masked(value) == (value if expected is None else expected)
