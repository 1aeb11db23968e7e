"""No secret of a living agent can be seen: not on a page, in a log, a file, a message, an argument or a metric (I9)."""

from __future__ import annotations

import hashlib
import hmac
import http.server
import json
import re
import signal
import ssl
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from reconciler.simulator.http.tls import make
from reconciler.simulator.testing import Caller, Running, running
from tests.cli import canary
from tests.cli.rig import LIMIT, PROJECT, SHOP, Cli, environment, wait_for
from tests.cli.test_run import Agent
from tests.source.rig import Remote
from tests.source.wire import Https, closing

PAGES = ("", "metrics", "healthz", "readyz", "history", "cluster/here", "plan/here", "drift/here", "nowhere")
AGENT = """\
source:
  url: '{git}/shop.git'
  https: {{username: agent, password: {{valueFrom: {{env: GIT}}}}, caCert: git/ca.pem}}
  interval: 1s
agent:
  mode: apply
  interval: 1s
  retryInterval: {{base: 1s, max: 2s}}
  listen: {{port: 0, token: {{valueFrom: {{env: TOKEN}}}}}}
  webhook: {{generic: {{secret: {{valueFrom: {{env: HOOK}}}}}}}}
  notify:
    settle: 0s
    every: 1s
    to:
      - type: webhook
        url: {{valueFrom: {{env: NOTIFY}}}}
        secret: {{valueFrom: {{env: SIGN}}}}
        caCert: told/ca.pem
      - {{type: slack, url: {{valueFrom: {{env: NOTIFY}}}}, caCert: told/ca.pem}}
clusters:
"""

CREDENTIALS = ("REDIS_ENTERPRISE_PASSWORD", "TOKEN", "HOOK", "SIGN", "GIT", "NOTIFY", "ANA_PASSWORD", "BACKUP_KEY")
# Wherever a public text can be, and a secret; what the project's own manifests may read as a secret is no use there.
ASKING = """\
apiVersion: reconciler/v1
kind: Certificate
metadata: {{name: proxy}}
spec: {{certificate: {{valueFrom: {{env: {name}}}}}, key: {{valueFrom: {{env: BOB_PASSWORD}}}}}}
---
apiVersion: reconciler/v1
kind: License
metadata: {{name: cluster}}
spec: {{license: {{valueFrom: {{env: {name}}}}}}}
---
apiVersion: reconciler/v1
kind: SSO
metadata: {{name: cluster}}
spec: {{idp_metadata: {{valueFrom: {{env: {name}}}}}}}
---
apiVersion: reconciler/v1
kind: User
metadata: {{name: eve}}
spec: {{email: eve@example.com, password: {{valueFrom: {{env: {name}}}}}}}
"""


class Listener:
    """Where notifications arrive: keeps the bodies and headers, and not the path, which is the secret."""

    def __init__(self, folder: Path) -> None:
        self.got: list[bytes] = []
        outer, made = self, make(folder, ("localhost",), days=1)

        class Handler(http.server.BaseHTTPRequestHandler):
            def log_message(self, *words: object) -> None:
                """Say nothing."""

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                outer.got.append(f"{self.headers}\n".encode() + body)
                self.send_response(200 if self.path.endswith(canary.NOTIFY) else 404)
                self.end_headers()

        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(made.certificate, made.key)
        self.ca = made.ca
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True, do_handshake_on_connect=False)
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self.thread.start()

    @property
    def url(self) -> str:
        return f"https://localhost:{self.server.server_address[1]}/services/{canary.NOTIFY}"

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


@pytest.fixture
def server() -> Iterator[Running]:
    with running(username="admin@example.com", password=canary.LOGIN, seed=1) as server:
        yield server


@pytest.fixture
def listener(tmp_path: Path) -> Iterator[Listener]:
    with closing(Listener(tmp_path / "told")) as listener:
        yield listener


@pytest.fixture
def remote(tmp_path: Path) -> Remote:
    return Remote(tmp_path / "repositories" / "shop.git")


@pytest.fixture
def cli(tmp_path: Path, server: Running, listener: Listener) -> Iterator[Cli]:
    folder = tmp_path / "project"
    with closing(Https(tmp_path / "repositories", tmp_path / "tls", ("agent", canary.GIT))) as git:
        for name, ca in (("ca.pem", server.ca_file), ("git/ca.pem", git.ca), ("told/ca.pem", listener.ca)):
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(Path(ca).read_bytes())
        own = {"TOKEN": canary.TOKEN, "HOOK": canary.HOOK, "SIGN": canary.SIGN, "GIT": canary.GIT}
        cli = Cli(folder, {**environment(), **own, "NOTIFY": listener.url})
        head, _, clusters = PROJECT.format(urls=", ".join(server.urls)).partition("clusters:\n")
        cli.write("reconciler.yaml", head + AGENT.format(git=git.url) + clusters)
        yield cli
        cli.stop()


def fetched(url: str, *, token: bool = True, body: bytes | None = None, **headers: str) -> tuple[int, bytes]:
    """Return status, and headers with the body, of one request."""
    login = {"Authorization": f"Bearer {canary.TOKEN}"} if token else {}
    request = urllib.request.Request(url, body, {**login, **{n.replace("_", "-"): v for n, v in headers.items()}})
    try:
        with urllib.request.urlopen(request, timeout=LIMIT) as answer:
            return answer.status, f"{answer.headers}".encode() + answer.read()
    except urllib.error.HTTPError as error:
        return error.code, f"{error.headers}".encode() + error.read()


def everything(url: str, cli: Cli) -> set[str]:
    """Search each page, and all that they lead to; return the paths that were there."""
    seen: set[str] = set()
    waiting = [f"/{page}" for page in PAGES]
    while waiting:
        path = waiting.pop()
        status, said = fetched(f"{url.rstrip('/')}{path}")
        cli.search(said, f"GET {path}")
        cli.search(fetched(f"{url.rstrip('/')}{path}", token=False)[1], f"GET {path} without the token")
        seen |= {path} if status == 200 else set()
        found = re.findall(rb'(?:href|src)="(/[^"#]*)"', said)
        waiting += [one.decode() for one in set(found) if one.decode() not in {*seen, *waiting}]
    return seen


def hook(url: str, body: bytes = b"{}", secret: str = canary.HOOK) -> tuple[int, bytes]:
    now = str(int(time.time()))
    signature = hmac.new(secret.encode(), now.encode() + b"." + body, hashlib.sha256).hexdigest()
    headers = {"X_Reconciler_Timestamp": now, "X_Reconciler_Signature": f"sha256={signature}"}
    return fetched(f"{url}hooks/generic", body=body, **headers)


def seen_by_others(agent: Agent, cli: Cli) -> None:
    """Search the command line of the agent and of all that it has started, again and again while it works."""
    for process in Path("/proc").iterdir():
        if process.name.isdecimal():
            try:
                stat = (process / "stat").read_text().rpartition(")")[2].split()
                if agent.process.pid in (int(process.name), int(stat[1]), int(stat[2])):
                    cli.search((process / "cmdline").read_bytes(), f"the command line of {process.name}")
            except (OSError, IndexError):  # it has ended
                continue


def test_no_page_log_file_message_or_argument_shows_a_secret(
    cli: Cli, server: Running, listener: Listener, remote: Remote
) -> None:
    first = remote.add({"manifests/shop.yaml": SHOP})
    agent = Agent(cli, "--verbose")
    url = str(agent.wait("web.started")["url"])
    watching = threading.Event()
    watcher_failures: list[BaseException] = []

    def watch() -> None:
        while not watching.wait(0.02):
            try:
                seen_by_others(agent, cli)
            except BaseException as error:
                watcher_failures.append(error)
                return

    watcher = threading.Thread(target=watch)
    watcher.start()
    agent.wait("reconciliation.done", changes=4)
    paths = everything(url, cli)
    assert {"/", "/metrics", "/healthz", "/readyz", "/history", "/cluster/here", "/plan/here", "/drift/here"} <= paths
    assert any(path.startswith("/run/") for path in paths)
    assert fetched(url, token=False)[0] == 401

    # A new revision by webhook, whose answer, and those to forgeries, are searched too.
    second = remote.add({"manifests/shop.yaml": SHOP.replace("1GiB", "2GiB")}, first)
    for status, said in (hook(url), hook(url, secret="wrong"), hook(url, b'{"a": 1}', secret=canary.TOKEN)):
        assert status in (202, 401, 403)
        cli.search(said, "the answer to a webhook")
    agent.wait("reconciliation.done", changes=1, revision=second)

    # Trouble of every sort makes it talk: drift that is not healed, refusals that quote us, a lost login, no git.
    server.faults.add("500", method="PUT", times=100)
    third = remote.add({"manifests/shop.yaml": SHOP.replace("1GiB", "3GiB")}, second)
    agent.wait("reconciliation.failed", revision=third)
    everything(url, cli)
    server.faults.clear()
    agent.wait("reconciliation.done", changes=1, revision=third)

    # Manifests that ask for a credential of the project get an error that names it.
    tip = third
    for name in CREDENTIALS:
        tip = remote.add({"manifests/shop.yaml": SHOP, "manifests/asking.yaml": ASKING.format(name=name)}, tip)
        failed = agent.wait("reconciliation.failed", revision=tip)
        assert f"variable {name} " in str(failed["why"])
        everything(url, cli)
    third = remote.add({"manifests/shop.yaml": SHOP.replace("1GiB", "3GiB")}, tip)
    agent.wait("reconciliation.done", revision=third)
    Caller(server.core)("PUT", "/v1/users/1", {"password": "another-one-entirely"})
    agent.wait("reconciliation.failed", failure="Unauthorized")
    everything(url, cli)
    wait_for(lambda: len(listener.got) >= 2, "notifications")
    bad = remote.add({"manifests/shop.yaml": SHOP.replace("1GiB", "nonsense")}, third)
    agent.wait("source.rejected", revision=bad)
    everything(url, cli)

    watching.set()
    watcher.join()
    assert watcher_failures == []
    for message in listener.got:
        cli.search(message, "a notification")
    agent.signal(signal.SIGTERM)
    assert agent.end() == 0  # searches the log and every file below the project, the state folder too
    assert (cli.folder / ".reconciler").is_dir()
    assert json.loads(agent.lines[-1])["event"] == "agent.stopped"
