"""Modules: bundled ones, uploads as old servers take them, and user-defined ones."""

from __future__ import annotations

import io
import json
import zipfile
from typing import Any

import pytest

from reconciler.simulator.api.messages import Response
from reconciler.simulator.core import Core, Request, SimulatorSettings
from reconciler.simulator.testing import Caller, VirtualClock

OWN = {
    "module_name": "own",
    "version": 10200,
    "semantic_version": "1.2.0",
    "display_name": "Own",
    "commands": [{"command_name": "own.do", "command_arity": 2}],
    "command_line_args": "",
    "capabilities": ["types"],
    "min_redis_version": "7.4",
}
ARTIFACTS = "/v2/local/modules/user-defined/artifacts"


def cluster(**settings: Any) -> Caller:
    return Caller(Core(SimulatorSettings(**settings), clock=VirtualClock(), seed=7))


def archive(**manifest: Any) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as folder:
        folder.writestr("module.json", json.dumps(manifest))
    return file.getvalue()


def upload(caller: Caller, path: str, content: bytes, part: str = "module", node: int = 1) -> Response:
    head = f'--edge\r\nContent-Disposition: form-data; name="{part}"; filename="m.zip"\r\n\r\n'
    body = head.encode() + content + b"\r\n--edge--\r\n"
    headers = {**caller.headers, "content-type": "multipart/form-data; boundary=edge"}
    return caller.core.handle(Request("POST", path, {}, headers, body, node))


def test_bundled_modules_are_found_by_uid_and_stay() -> None:
    caller = cluster(server_version="7.22")
    found = caller("GET", "/v1/modules").json()
    assert all(caller("GET", f"/v1/modules/{module['uid']}").json() == module for module in found)
    assert len({module["uid"] for module in found}) == len(found) > 4
    assert caller("DELETE", f"/v1/modules/{found[0]['uid']}").status == 406
    assert caller("GET", "/v1/modules/none").status == 404


def test_capabilities_have_names_and_words() -> None:
    assert {"name", "desc"} == set(cluster()("GET", "/v1/cluster/module-capabilities").json()["all_capabilities"][0])


@pytest.mark.parametrize("path", ["/v1/modules", "/v2/modules"])
def test_an_old_server_takes_a_zip_file(path: str) -> None:
    caller = cluster(server_version="7.22")
    made = upload(caller, path, archive(module_name="own", version=1, semantic_version="1.0.0")).json()
    assert ("action_uid" in made) == path.startswith("/v2")
    assert caller("GET", f"/v1/modules/{made['uid']}").json()["is_bundled"] is False
    assert caller("DELETE", f"{path}/{made['uid']}").status == 200
    assert caller("GET", f"/v1/modules/{made['uid']}").status == 404
    assert upload(cluster(), path, archive(module_name="own", version=1)).status in (404, 405)


@pytest.mark.parametrize(
    ("content", "part"),
    [
        (b"no zip", "module"),
        (archive(version=1), "module"),
        (archive(module_name="own", version="1"), "module"),
        (archive(module_name="own", version=1), "other"),
        (b"", "module"),
    ],
)
def test_what_is_no_module_is_refused(content: bytes, part: str) -> None:
    assert upload(cluster(server_version="7.22"), "/v1/modules", content, part).status == 400


def test_an_upload_is_no_json() -> None:
    assert cluster(server_version="7.22")("POST", "/v1/modules", {}).status == 400


def test_uploads_must_be_allowed_since_82() -> None:
    caller = cluster()
    assert caller("POST", "/v2/modules/user-defined", OWN).json()["error_code"] == "modules_upload_disabled"
    assert upload(caller, ARTIFACTS, archive(module_name="own", version=1)).status == 403
    caller("PUT", "/v1/cluster", {"allow_modules_upload": True})
    assert caller("POST", "/v2/modules/user-defined", OWN).status == 200
    assert cluster(server_version="8.0")("POST", "/v2/modules/user-defined", OWN).status == 200


def test_a_user_defined_module_is_known_to_the_cluster_and_its_file_to_a_node() -> None:
    caller = cluster(server_version="8.0", nodes=2)
    made = caller("POST", "/v2/modules/user-defined", OWN).json()
    assert made in caller("GET", "/v1/modules").json()
    assert caller("POST", "/v2/modules/user-defined", OWN).status == 406
    assert caller("POST", "/v2/modules/user-defined", {"module_name": "own"}).status == 400
    content = archive(module_name="own", version=10200, dependencies={"lib": "1"})
    assert [upload(caller, ARTIFACTS, content, node=2).status for _ in range(2)] == [200, 406]
    caller.node = 2
    assert caller("GET", ARTIFACTS).json() == [{"module_name": "own", "version": 10200, "dependencies": ["lib"]}]
    caller.node = 1
    assert caller("GET", ARTIFACTS).json() == []
    assert caller("DELETE", f"{ARTIFACTS}/own/10200").status == 404
    caller.node = 2
    assert caller("DELETE", f"{ARTIFACTS}/own/10200").status == 200
    assert [caller("DELETE", f"/v2/modules/user-defined/{made['uid']}").status for _ in range(2)] == [200, 404]
