"""The full demonstration on a simulated cluster: the commands that a user would type.

`reconciler demo` and `make demo` run it. It uses only the command line and the REST API, so that it shows what a new
user sees, and fails where a new user would.
"""

from __future__ import annotations

import base64
import http.client
import json
import os
import re
import secrets
import shutil
import signal
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import click

WIDTH = 100
CLUSTER = "east"
USER = "admin@shop.example"
NODES = tuple(f"redis-{number}.{CLUSTER}.shop.example:9443" for number in (1, 2, 3))


class DemoError(Exception):
    """A step failed, or had an unexpected result."""


class Simulator(NamedTuple):
    """A running simulator: the URLs of its nodes, and the login."""

    urls: tuple[str, ...]
    ca_file: Path
    username: str
    password: str


@click.command("demo")
def command() -> int:
    """Run the full demonstration on a simulated cluster, in under a minute.

    Requires the extras [agent,simulator].
    """
    return run_demo()


def run_demo() -> int:
    """Run the demonstration; return 0, or 1 where a step failed."""
    started = time.monotonic()
    try:
        with tempfile.TemporaryDirectory(prefix="reconciler-demo-") as folder:
            _demonstrate(Path(folder))
    except DemoError as error:
        print(f"\nerror: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\ninterrupted; the simulator is stopped", file=sys.stderr)
        return 130
    seconds = time.monotonic() - started
    print(f"\nDemonstration complete in {seconds:.0f} s. The simulator is stopped; its files are removed.")
    print("Next, your own cluster: see “A first real plan” in the README.")
    return 0


def _demonstrate(folder: Path) -> None:
    _title(1, "Two nodes form a cluster; a third is not a member, responds with 503, and is tried first")
    with _simulator(folder) as simulator:
        shop = _shop(folder, simulator)
        env = _environment(simulator, shop)
        _say(f"The example manifests (a shop on two clusters; this is its cluster {CLUSTER}) are in\n  {shop}")

        _title(2, "Validate the manifests (no network access)")
        _run(["validate"], shop, env)

        _title(3, "Plan")
        _run(["plan", "--cluster", CLUSTER, "--out", "plan.json", "--detailed-exitcode"], shop, env, expect=2)

        _title(4, "Apply exactly this plan")
        _run(["apply", "plan.json", "--yes"], shop, env)
        _check_databases(simulator, shop)

        _title(5, "Plan again: no changes")
        _run(["plan", "--cluster", CLUSTER, "--detailed-exitcode"], shop, env)

        _title(6, "Two settings are changed on the cluster, outside the reconciler")
        _change(simulator, "sessions", {"memory_size": 268435456})
        _change(simulator, "leaderboards", {"eviction_policy": "noeviction"})

        _title(7, "Drift: which side changed?")
        _run(["drift", "--cluster", CLUSTER], shop, env, expect=2)

        _title(8, "Revert the drift; a change that may lose data needs explicit consent")
        _run(["apply", "--cluster", CLUSTER, "--yes", "--quiet"], shop, env, expect=5)
        agreed = ["--allow-impact", "Database/leaderboards=may-lose-data"]
        _run(["apply", "--cluster", CLUSTER, "--yes", *agreed], shop, env)
        _run(["plan", "--cluster", CLUSTER, "--detailed-exitcode"], shop, env)

        _title(9, "The agent does the same unattended: one reconciliation")
        _change(simulator, "rate-limiter", {"max_connections": 10})
        _run(["run", "--once", "--mode", "apply", "--cluster", CLUSTER], shop, env)
        _run(["plan", "--cluster", CLUSTER, "--detailed-exitcode"], shop, env)

        _title(10, "Export: manifests from the live cluster")
        _run(["export", "--cluster", CLUSTER, "--out", "exported"], shop, env)
        if not list((shop / "exported").rglob("*.yaml")):
            raise DemoError("export wrote no file")
        _run(["plan", "--cluster", CLUSTER, "-f", "exported", "--detailed-exitcode"], shop, env)

        _title(11, "Outputs: connection details for applications")
        _run(["outputs", "--cluster", CLUSTER], shop, env)


# --- the cluster -----------------------------------------------------------------------------------------------------


@contextmanager
def _simulator(folder: Path) -> Iterator[Simulator]:
    """Run a simulator in its own process; stop it at the end in any case."""
    command = ["simulate", "--nodes", "2", "--outside", "1", "--port", "0", "--time-scale", "5"]
    named = ["--clusters", f"{CLUSTER}.local", "--username", USER]
    _say(f"$ reconciler {' '.join(command)} \\\n    {' '.join(named)} &")
    password = secrets.token_urlsafe(16)
    log = (folder / "simulator.log").open("wb")
    process = subprocess.Popen(  # noqa: S603 - our own interpreter and arguments
        [sys.executable, "-m", "reconciler", *command, *named, "--tls-dir", str(folder / "tls")],
        env={**_python(), "SIMULATOR_PASSWORD": password},
        stdout=subprocess.PIPE,
        stderr=log,
        start_new_session=True,  # Ctrl-C is for the demonstration, which then stops it
    )
    try:
        assert process.stdout is not None  # noqa: S101 - for the type checker; PIPE gives one
        line = process.stdout.readline()
        if not line:
            raise DemoError(f"the simulator did not start:\n{(folder / 'simulator.log').read_text()[-2000:]}")
        started = json.loads(line)
        _say(f"It listens at {', '.join(started['urls'])}.")
        members, outside = started["urls"][:2], started["urls"][2:]
        yield Simulator((*outside, *members), Path(started["ca_file"]), started["username"], password)
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if process.stdout:
            process.stdout.close()
        log.close()


def _ask(simulator: Simulator, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
    """Send a request to a member, as another user would; return the response."""
    login = base64.b64encode(f"{simulator.username}:{simulator.password}".encode()).decode()
    headers = {"Authorization": f"Basic {login}", "Content-Type": "application/json"}
    context = ssl.create_default_context(cafile=str(simulator.ca_file))
    for url in simulator.urls:
        connection = http.client.HTTPSConnection(url.removeprefix("https://"), timeout=10, context=context)
        try:
            connection.request(method, path, json.dumps(body) if body is not None else None, headers)
            response = connection.getresponse()
            if response.status == http.HTTPStatus.SERVICE_UNAVAILABLE:
                continue
            if response.status != http.HTTPStatus.OK:
                raise DemoError(f"{method} {path}: {response.status}: {response.read(500)!r}")
            return json.loads(response.read() or b"null")
        finally:
            connection.close()
    raise DemoError(f"no node responded to {method} {path}")


def _change(simulator: Simulator, name: str, body: Mapping[str, Any]) -> None:
    uid = next(bdb["uid"] for bdb in _ask(simulator, "GET", "/v1/bdbs?fields=uid,name") if bdb["name"] == name)
    _say(f"$ curl -u admin -X PUT …/v1/bdbs/{uid} -d '{json.dumps(body)}'   # {name}")
    _ask(simulator, "PUT", f"/v1/bdbs/{uid}", body)
    _wait_active(simulator, uid)


def _wait_active(simulator: Simulator, uid: int) -> None:
    for _ in range(100):
        if _ask(simulator, "GET", f"/v1/bdbs/{uid}?fields=uid,status")["status"] == "active":
            return
        time.sleep(0.1)
    raise DemoError(f"database {uid} did not become active")


def _check_databases(simulator: Simulator, shop: Path) -> None:
    """Check on the cluster itself that every database of the manifests exists."""
    live = {bdb["name"] for bdb in _ask(simulator, "GET", "/v1/bdbs?fields=uid,name")}
    texts = [path.read_text(encoding="utf-8") for layer in ("base", CLUSTER) for path in (shop / layer).glob("*.yaml")]
    found = (re.search(r"^kind: Database\n(?:.*\n)*?  name: (\S+)$", one, re.MULTILINE) for one in _documents(texts))
    declared = {match[1] for match in found if match}
    if declared - live:
        raise DemoError(f"the cluster lacks {', '.join(sorted(declared - live))}")


def _documents(texts: Iterable[str]) -> Iterator[str]:
    """Yield the documents in *texts* without tombstones."""
    yield from (one for text in texts for one in text.split("\n---\n") if "state: absent" not in one)


# --- the shop --------------------------------------------------------------------------------------------------------


def _shop(folder: Path, simulator: Simulator) -> Path:
    """Copy the example and put the simulator's URLs into its project file."""
    here = Path(__file__).resolve().parent.parent
    example = next((path for path in (here / "example", here.parent / "manifests") if path.is_dir()), None)
    if example is None:
        raise DemoError("the example manifests are not installed")
    shop = folder / "shop"
    shutil.copytree(example, shop)
    (shop / "files").mkdir(exist_ok=True)
    shutil.copy(simulator.ca_file, shop / "files" / f"{CLUSTER}-ca.pem")
    project = (shop / "reconciler.yaml").read_text(encoding="utf-8")
    for place, url in zip(NODES, simulator.urls, strict=True):
        project = project.replace(f"https://{place}", url)
    (shop / "reconciler.yaml").write_text(project, encoding="utf-8")
    return shop


def _environment(simulator: Simulator, shop: Path) -> dict[str, str]:
    """Return the environment of the commands: the login, and a random value for each secret of the manifests."""
    texts = (path.read_text(encoding="utf-8") for path in shop.rglob("*.yaml"))
    names = {name for text in texts for name in re.findall(r"env: (SHOP_[A-Z_]+)", text)}
    made_up = {name: f"Demo-{secrets.token_urlsafe(12)}1!" for name in sorted(names)}
    kept = {name: value for name, value in os.environ.items() if not name.startswith("REDIS_ENTERPRISE_")}
    login = {"REDIS_ENTERPRISE_PASSWORD": simulator.password}
    return {**kept, "PYTHONPATH": _python()["PYTHONPATH"], **login, **made_up}


def _python() -> dict[str, str]:
    """Return an environment in which Python finds this package from any folder."""
    here = str(Path(__file__).resolve().parent.parent.parent)
    path = os.pathsep.join(part for part in (here, os.environ.get("PYTHONPATH", "")) if part)
    return {**os.environ, "PYTHONPATH": path}


# --- output ----------------------------------------------------------------------------------------------------------


def _run(words: Sequence[str], folder: Path, env: Mapping[str, str], *, expect: int = 0) -> None:
    """Print and run one command line; DemoError unless it exits as expected."""
    _say(f"$ reconciler {' '.join(words)}")
    done = subprocess.run([sys.executable, "-m", "reconciler", *words], cwd=folder, env=dict(env), check=False)  # noqa: S603
    if done.returncode != expect:
        raise DemoError(f"`reconciler {words[0]}` ended with exit code {done.returncode}; expected {expect}")


def _title(number: int, text: str) -> None:
    _say(f"\n── {number}. {text} ".ljust(WIDTH + 1, "─"))


def _say(text: str) -> None:
    print(text, flush=True)
