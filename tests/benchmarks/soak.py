"""Let the agent live with real processes: `python -m tests.benchmarks.soak [--seconds 180] [--clusters 20]`.

Clusters over TLS, git over https and ssh in turn, webhooks, people who change clusters by hand, and kill -9 of the
agent at random. In the end every cluster must be as git says, without anybody's help, and nothing is written any more.
The exit code says whether it was so.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import hmac
import json
import os
import queue
import random
import signal
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from reconciler.simulator.testing import Caller, Running, running
from tests.source.rig import Remote
from tests.source.wire import Https, Ssh, closing

PASSWORD, HOOK, TOKEN = "canary-x7Lq-login-of-soak", "canary-w2Pz-hook-of-soak-0123456789", "canary-git-of-soak"
PATIENCE = 240.0  # seconds until everything must be as git says
HEAD = "apiVersion: reconciler/v1\n"


class Agent:
    """The agent as a process; `kill` ends it as a crash does."""

    def __init__(self, folder: Path) -> None:
        environ = {**os.environ, "SOAK_PASSWORD": PASSWORD, "SOAK_HOOK": HOOK, "SOAK_GIT": TOKEN}
        words = [sys.executable, "-m", "reconciler", "run", "--log-format", "json"]
        root = str(Path(__file__).resolve().parent.parent.parent)
        environ["PYTHONPATH"] = root
        self.process = subprocess.Popen(words, cwd=folder, env=environ, stderr=subprocess.PIPE)
        self.events: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        self.url = ""
        self.last: list[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stderr is not None
        with self.process.stderr:
            self._take_in(self.process.stderr)

    def _take_in(self, lines: Iterable[bytes]) -> None:
        for line in lines:
            self.last = [*self.last[-40:], line.decode()]
            if line.startswith(b"{"):
                event = json.loads(line)
                if event["event"] == "web.started":
                    self.url = event["url"]

    def hook(self) -> None:
        """Say that there is something to fetch; an agent that is only just starting does not hear it."""
        body, now = b"{}", str(int(time.time()))
        signature = hmac.new(HOOK.encode(), now.encode() + b"." + body, hashlib.sha256).hexdigest()
        headers = {"X-Reconciler-Timestamp": now, "X-Reconciler-Signature": f"sha256={signature}"}
        if not self.url:
            return
        request = urllib.request.Request(f"{self.url}hooks/generic", body, headers, method="POST")
        with contextlib.suppress(OSError), urllib.request.urlopen(request, timeout=5):
            pass

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        self._reader.join()

    def end(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(60)
        self._reader.join()
        return code


class Soak:
    """Everything that lives, and what git says."""

    def __init__(self, folder: Path, clusters: int, seed: int, stack: ExitStack) -> None:
        self.random = random.Random(seed)
        self.folder = folder
        self.sizes: dict[str, int | None] = {"sessions": 100, "carts": 100}
        self.happened: list[str] = []
        self.edits = [0] * clusters  # by hand
        self.servers: list[Running] = [
            stack.enter_context(running(nodes=1, username="admin@example.com", password=PASSWORD, seed=number))
            for number in range(clusters)
        ]
        self.remote = Remote(folder / "git" / "shop.git")
        self.https = stack.enter_context(closing(Https(folder / "git", folder / "tls", ("agent", TOKEN))))
        self.ssh = stack.enter_context(closing(Ssh(folder / "ssh")))
        self.ssh.wait()
        self.tip = ""
        self.declare()
        self.over_ssh = False
        self.agent = self.start()

    def start(self) -> Agent:
        """Start the agent; each one takes the other way to git."""
        self.over_ssh = not self.over_ssh
        project = self.folder / "project"
        project.mkdir(exist_ok=True)
        if self.over_ssh:
            way = f"url: '{self.ssh.url(self.folder / 'git' / 'shop.git')}', "
            way += f"ssh: {{key: '{self.ssh.key}', knownHosts: '{self.ssh.known_hosts}'}}"
        else:
            login = "{username: agent, password: {valueFrom: {env: SOAK_GIT}}, caCert: '" + str(self.https.ca) + "'}"
            way = f"url: '{self.https.url}/shop.git', https: {login}"
        rows = []
        for number, server in enumerate(self.servers):
            rows.append(f"  - {{name: c{number:02}, urls: ['{server.urls[0]}'], caCert: '{server.ca_file}'}}\n")
        (project / "reconciler.yaml").write_text(
            f"""\
{HEAD}source: {{{way}, interval: 20s}}
agent:
  {{mode: apply, interval: 5s, retryInterval: {{base: 1s, max: 5s}}, maxDeletes: 50,
   listen: {{port: 0}}, webhook: {{generic: {{secret: {{valueFrom: {{env: SOAK_HOOK}}}}}}}}}}
clusterDefaults:
  username: admin@example.com
  password: {{valueFrom: {{env: SOAK_PASSWORD}}}}
  manifests: [base]
  allowedImpacts: [loses-data]
clusters:
{"".join(rows)}"""
        )
        return Agent(project)

    # --- events -------------------------------------------------------------------------------------------------------

    def step(self) -> None:
        """Let something happen."""
        event = self.random.choice([self.commit, self.commit, self.person, self.person, self.crash, self.trouble])
        event()
        self.happened.append(event.__name__)

    def commit(self) -> None:
        # Tombstones stay: one that goes again before the agent sees it would delete nothing.
        standing = [name for name, size in self.sizes.items() if size is not None]
        kind = self.random.choice(["size", "new", "bury"])
        if kind == "new" and len(standing) < 5:
            self.sizes[f"db-{self.random.randrange(10**6)}"] = 100
        elif kind == "bury" and len(standing) > 2:
            self.sizes[self.random.choice(standing)] = None
        else:
            self.sizes[self.random.choice(standing)] = self.random.randrange(100, 300, 10)
        self.declare()

    def declare(self, **sizes: int | None) -> None:
        """Commit databases of these sizes, in MiB, beside those that are declared; None is a tombstone."""
        self.sizes |= sizes
        gone = ", state: absent, allow: [loses-data]"
        documents = [
            f"{HEAD}kind: Database\nmetadata: {{name: {name}{gone if size is None else ''}}}\n"
            + (f"spec: {{memory_size: {size}MiB}}\n" if size is not None else "")
            for name, size in self.sizes.items()
        ]
        self.tip = self.remote.add({"base/shop.yaml": "---\n".join(documents)}, *([self.tip] if self.tip else []))
        if hasattr(self, "agent"):
            self.agent.hook()

    def person(self) -> None:
        # Who undoes the agent three times is left alone for an hour, which is more than this lasts.
        number = min(range(len(self.servers)), key=lambda one: (self.edits[one], self.random.random()))
        if self.edits[number] >= 2:
            return
        self.edits[number] += 1
        call = Caller(self.servers[number].core)
        with contextlib.suppress(OSError):  # trouble spares nobody
            found = call("GET", "/v1/bdbs").json()
            for one in found[:1] if isinstance(found, list) else ():
                if self.random.random() < 0.3:
                    call("DELETE", f"/v1/bdbs/{one['uid']}")
                else:
                    call("PUT", f"/v1/bdbs/{one['uid']}", {"memory_size": 333 * 1024**2})

    def crash(self) -> None:
        self.agent.kill()
        self.agent = self.start()

    def trouble(self) -> None:
        faults = self.random.choice(self.servers).faults
        faults.add(self.random.choice(["503", "reset", "429"]), times=self.random.randrange(1, 8))
        faults.add("lost", method="POST", times=1)

    # --- the end ----------------------------------------------------------------------------------------

    def calm(self) -> None:
        for server in self.servers:
            server.faults.clear()

    def wrong(self) -> list[str]:
        """Return in what the clusters differ from git."""
        wanted = sorted((name, size) for name, size in self.sizes.items() if size is not None)
        found = []
        for number, server in enumerate(self.servers):
            names = sorted((one["name"], one["memory_size"] // 1024**2) for one in self.databases(server))
            if names != wanted:
                found.append(f"c{number:02}: {names}, and git says {wanted}")
        return found

    def databases(self, server: Running) -> list[dict[str, Any]]:
        return list(Caller(server.core)("GET", "/v1/bdbs").json())

    def settled(self) -> list[str]:
        """Wait until all is as git says; return what is not."""
        self.calm()
        deadline = time.monotonic() + PATIENCE
        while (wrong := self.wrong()) and time.monotonic() < deadline:
            threading.Event().wait(0.5)
        return wrong

    def writes(self) -> int:
        return sum(entry.method != "GET" for server in self.servers for entry in server.log)


def live(folder: Path, clusters: int, seed: int, *, seconds: float = 0.0, steps: int = 0) -> list[str]:
    """Let things happen for *seconds*, and at least *steps* times; return what is wrong in the end."""
    ssl.create_default_context()
    with ExitStack() as stack:
        soak = Soak(folder, clusters, seed, stack)
        stack.callback(lambda: soak.agent.process.poll() is None and soak.agent.kill())
        began = time.monotonic()
        while time.monotonic() - began < seconds or len(soak.happened) < steps:
            threading.Event().wait(soak.random.uniform(0.2, 3.0))
            soak.step()
        wrong = soak.settled()
        if wrong:
            return [*wrong, "what the agent said last:", *soak.agent.last]
        before = soak.writes()
        code = soak.agent.end()
        if soak.writes() != before:
            wrong.append(f"{soak.writes() - before} writes after everything was as git says")
        if code:
            wrong.append(f"the agent ended with {code}")
        kinds = {name: soak.happened.count(name) for name in sorted(set(soak.happened))}
        print(f"{len(soak.happened)} events {kinds}, {before} writes on {clusters} clusters", file=sys.stderr)
        return wrong


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=180.0)
    parser.add_argument("--clusters", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        wrong = live(Path(folder), options.clusters, options.seed, seconds=options.seconds)
    print("\n".join(wrong) or "everything is as git says")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
