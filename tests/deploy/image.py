"""The image is really built and run: uid 65532, read-only root, no shell, nothing writable but the state volume.

Not collected by `make test`, since it takes minutes, root and Debian's buildah and debootstrap: `make image` runs it.
"""

from __future__ import annotations

import http.server
import json
import os
import re
import shutil
import signal
import socket
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from reconciler import __version__
from reconciler.simulator.testing import Running, running
from tests.cli.rig import wait_for
from tests.deploy.container import ROOT, UID, Image, build, first_process, remove
from tests.source.rig import Remote
from tests.source.wire import Https, Ssh, closing

PASSWORD = "canary-Kx7!longenough"

PROJECT = """\
apiVersion: reconciler/v1
state: /var/lib/reconciler
clusters:
  - name: here
    urls: [{url}]
    caCert: ca.pem
    username: {{valueFrom: {{env: REDIS_ENTERPRISE_USER}}}}
    password: {{valueFrom: {{env: REDIS_ENTERPRISE_PASSWORD}}}}
    manifests: [manifests]
"""

MANIFEST = """\
apiVersion: reconciler/v1
kind: Role
metadata: {name: app}
spec: {management: none}
"""

# Prints every place that can be written to; /proc and /dev are the kernel's, and hold no files.
WRITABLE = """
import os, stat
for folder, _, names in os.walk("/"):
    if folder.split("/")[1] in ("proc", "dev"):
        continue
    for path in (folder, *(os.path.join(folder, name) for name in names)):
        mode = os.lstat(path).st_mode
        if not stat.S_ISLNK(mode) and not stat.S_ISCHR(mode) and os.access(path, os.W_OK):
            print(path)
"""


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Image]:
    folder = tmp_path_factory.mktemp("image")
    assert os.geteuid() == 0, "building and entering the image needs root"
    try:
        yield build(folder)
    finally:
        remove(folder)
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def server() -> Iterator[Running]:
    with running(username="admin@example.com", password=PASSWORD, seed=1) as server:
        yield server


@pytest.fixture
def state(tmp_path: Path) -> Path:
    folder = tmp_path / "state"
    folder.mkdir(mode=0o700)
    os.chown(folder, UID, UID)
    return folder


@pytest.fixture
def project(tmp_path: Path, server: Running) -> Path:
    folder = tmp_path / "project"
    (folder / "manifests").mkdir(parents=True)
    (folder / "reconciler.yaml").write_text(PROJECT.format(url=server.urls[0]))
    (folder / "manifests" / "role.yaml").write_text(MANIFEST)
    (folder / "ca.pem").write_bytes(server.ca_file.read_bytes())
    return folder


@pytest.fixture
def login(server: Running) -> dict[str, str]:
    return {"REDIS_ENTERPRISE_USER": server.username, "REDIS_ENTERPRISE_PASSWORD": PASSWORD}


def test_an_engine_is_told_to_run_it_without_root_and_without_a_shell(image: Image) -> None:
    config = image.config
    assert config["User"] == f"{UID}:{UID}"
    assert config["Entrypoint"] == ["/opt/reconciler/bin/reconciler"]
    assert config["Cmd"] == ["run", "--project", "/etc/reconciler/reconciler.yaml"]
    assert config["Healthcheck"]["Test"][0] == "CMD"
    assert list(config["Volumes"]) == ["/var/lib/reconciler"]
    assert config["Labels"]["org.opencontainers.image.version"] == "1.2.3"
    assert config["Labels"]["org.opencontainers.image.revision"] == "abc"


def test_exactly_what_the_lock_names_is_installed(image: Image, project: Path, state: Path) -> None:
    script = (
        "import importlib.metadata as m, json\n"
        "print(json.dumps(sorted(f'{d.name}=={d.version}'.lower().replace('_', '-') for d in m.distributions())))"
    )
    done = image.execute(project, state, "/opt/reconciler/bin/python", "-c", script)
    locked = re.findall(r"^([A-Za-z0-9._-]+==[^ ;]+)", (ROOT / "requirements.lock").read_text(), re.MULTILINE)
    expected = [name.lower().replace("_", "-") for name in locked] + [f"redis-reconciler=={__version__}"]
    assert json.loads(done.out) == sorted(expected)


def test_what_follows_git_is_there(image: Image, project: Path, state: Path) -> None:
    for command in (("git", "--version"), ("ssh", "-V"), ("gpg", "--version"), ("ssh-keygen", "-?")):
        done = image.execute(project, state, "/usr/bin/env", *command)
        assert "No user exists" not in done.err
        assert (done.code == 0) == (command[0] != "ssh-keygen"), done.err
        assert done.code != 127, done.err


def test_the_command_starts(image: Image, project: Path, state: Path) -> None:
    done = image.run(project, state, "--version")
    assert (done.code, done.out) == (0, f"reconciler {__version__}\n"), done.err


def test_a_plan_an_apply_and_an_empty_plan(
    image: Image, project: Path, state: Path, login: dict[str, str], server: Running
) -> None:
    assert image.run(project, state, "validate").code == 0
    first = image.run(project, state, "plan", **login)
    assert (first.code, first.out.splitlines()[-1]) == (0, "Plan: 1 to create, 0 to update, 0 to delete."), first.err
    applied = image.run(project, state, "apply", "--yes", **login)
    assert applied.code == 0, applied.err
    assert "No changes." in image.run(project, state, "plan", **login).out
    assert [call.path for call in server.log if call.effect] == ["/v1/roles"]
    assert {path.stat().st_uid for path in state.rglob("*")} == {UID}


def test_nothing_can_be_written_but_the_state(image: Image, project: Path, state: Path) -> None:
    done = image.execute(project, state, "/opt/reconciler/bin/python", "-c", WRITABLE)
    assert (done.code, done.out) == (0, "/var/lib/reconciler\n"), done.err


def test_it_needs_no_shell_and_has_none_here(image: Image, project: Path, state: Path) -> None:
    assert image.execute(project, state, "/bin/sh", "-c", "true").code != 0


def test_no_way_to_more_rights_is_left(image: Image, project: Path, state: Path) -> None:
    script = "print(open('/proc/self/status').read())"
    status = image.execute(project, state, "/opt/reconciler/bin/python", "-c", script).out
    found = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    assert found["NoNewPrivs"] == "1"
    assert {name: found[name] for name in found if name.startswith("Cap")} == dict.fromkeys(
        ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"), "0" * 16
    )


@pytest.mark.parametrize(("status", "code"), [(200, 0), (503, 1)])
def test_the_health_check_says_what_healthz_says(
    image: Image, project: Path, state: Path, status: int, code: int
) -> None:
    class Health(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status if self.path == "/healthz" else 404)
            self.end_headers()

        def log_message(self, *words: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Health) as health:
        threading.Thread(target=health.serve_forever, daemon=True).start()
        check = image.config["Healthcheck"]["Test"][1:]
        port = health.server_address[1]
        done = image.execute(project, state, *(word.replace(":8080/", f":{port}/") for word in check))
        health.shutdown()
    assert done.code == code, done.err


AGENT = """\
source: {{folder: .}}
agent:
  mode: apply
  listen: {{port: {port}}}
"""


def answer(port: int, path: str) -> int:
    """Return the status of an answer; 0 without one."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as found:
            return int(found.status)
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return 0


def test_the_agent_keeps_the_cluster_equal_is_healthy_and_stops_when_told(
    image: Image, project: Path, state: Path, login: dict[str, str], server: Running
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with (project / "reconciler.yaml").open("a") as file:
        file.write(AGENT.format(port=port))
    agent = image.start(project, state, *image.config["Entrypoint"], *image.config["Cmd"], **login)
    try:
        wait_for(lambda: agent.poll() is not None or answer(port, "/readyz") == 200, "a pass")
        wait_for(lambda: agent.poll() is not None or [c for c in server.log if c.effect], "a write")
        check = [word.replace(":8080/", f":{port}/") for word in image.config["Healthcheck"]["Test"][1:]]
        assert image.execute(project, state, *check).code == 0
        os.kill(first_process(agent), signal.SIGTERM)
        out, err = agent.communicate(timeout=60)
    finally:
        agent.kill()
    assert agent.returncode == 0, err
    assert [call.path for call in server.log if call.effect] == ["/v1/roles"]
    assert PASSWORD not in out + err
    assert "No changes." in image.run(project, state, "plan", **login).out


def test_the_agent_refuses_to_be_root(image: Image, project: Path, state: Path, login: dict[str, str]) -> None:
    done = image.run(project, state, "run", uid=0, **login)
    assert (done.code, done.out) == (5, "")
    assert "the agent does not run as root here" in done.err


@pytest.fixture
def remote(tmp_path: Path) -> Remote:
    remote = Remote(tmp_path / "srv" / "shop.git")
    remote.add({"manifests/role.yaml": MANIFEST})
    return remote


def follow(image: Image, project: Path, state: Path, source: str, login: dict[str, str]) -> None:
    """Let the agent follow a repository for one pass; git itself needs a shell to be told how to log in."""
    (project / "manifests" / "role.yaml").unlink()
    with (project / "reconciler.yaml").open("a") as file:
        file.write(source)
    done = replace(image, masked="").run(project, state, "run", "--once", "--mode", "apply", **login)
    assert done.code == 0, done.err
    assert "canary" not in done.out + done.err


def test_the_agent_follows_git_over_https(
    image: Image, project: Path, state: Path, login: dict[str, str], server: Running, remote: Remote, tmp_path: Path
) -> None:
    with closing(Https(remote.folder.parent, tmp_path / "tls", ("robot", "canary-git-token"))) as forge:
        (project / "git-ca.pem").write_bytes(forge.ca.read_bytes())
        password = "username: robot, password: {valueFrom: {env: GIT_TOKEN}}"
        source = f"source: {{url: {forge.url}/shop.git, https: {{{password}, caCert: git-ca.pem}}}}\n"
        follow(image, project, state, source, {**login, "GIT_TOKEN": "canary-git-token"})
    assert [call.path for call in server.log if call.effect] == ["/v1/roles"]


def test_the_agent_follows_git_over_ssh(
    image: Image, project: Path, state: Path, login: dict[str, str], server: Running, remote: Remote, tmp_path: Path
) -> None:
    with closing(Ssh(tmp_path / "ssh")) as forge:
        forge.wait()
        (project / "known_hosts").write_bytes(forge.known_hosts.read_bytes())
        (project / "key").write_bytes(forge.key.read_bytes())
        (project / "key").chmod(0o440)  # as Kubernetes mounts a Secret: root's, and the group's to read
        os.chown(project / "key", 0, UID)
        ssh = "{key: key, knownHosts: known_hosts}"
        follow(image, project, state, f"source: {{url: '{forge.url(remote.folder)}', ssh: {ssh}}}\n", login)
    assert [call.path for call in server.log if call.effect] == ["/v1/roles"]
