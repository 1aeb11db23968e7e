"""The whole story on a simulated cluster, told by the very commands that a user would type.

`reconciler demo` and `make demo` run it. Everything it does goes through the command line and the REST API; nothing of
ours is called directly, so that it shows what a newcomer will see, and fails where a newcomer would.
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
PLACES = tuple(f"redis-{number}.{CLUSTER}.shop.example:9443" for number in (1, 2, 3))


class StoryError(Exception):
    """A step did not give what it should."""


class Simulator(NamedTuple):
    """A running simulator: where its nodes are and how to log in."""

    urls: tuple[str, ...]
    ca_file: Path
    username: str
    password: str


@click.command("demo")
def command() -> int:
    """Play the whole story on a simulated cluster, in under a minute; needs the extras [agent,simulator]."""
    return play()


def play() -> int:
    """Play the story; return 0, or 1 where a step did not give what it should."""
    started = time.monotonic()
    try:
        with tempfile.TemporaryDirectory(prefix="reconciler-demo-") as folder:
            _story(Path(folder))
    except StoryError as error:
        print(f"\nerror: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\ninterrupted; the simulator is stopped", file=sys.stderr)
        return 130
    print(
        f"\nThat was the whole story, in {time.monotonic() - started:.0f} s. The simulator is stopped; nothing is left."
    )
    print("Now your own cluster: see “A first real plan” in the README.")
    return 0


def _story(folder: Path) -> None:
    _title(1, "A cluster of two nodes, and a third that is no member and answers 503; we ask that one first")
    with _simulator(folder) as simulator:
        shop = _shop(folder, simulator)
        env = _environment(simulator, shop)
        _say(f"The tour of manifests (a shop on two clusters; we play its cluster {CLUSTER}) is in\n  {shop}")

        _title(2, "Are the manifests right? (no network)")
        _run(["validate"], shop, env)

        _title(3, "What would happen?")
        _run(["plan", "--cluster", CLUSTER, "--out", "plan.json", "--detailed-exitcode"], shop, env, expect=2)

        _title(4, "Do exactly this")
        _run(["apply", "plan.json", "--yes"], shop, env)
        _holds(simulator, shop)

        _title(5, "Once more: nothing to do")
        _run(["plan", "--cluster", CLUSTER, "--detailed-exitcode"], shop, env)

        _title(6, "Somebody changes two things by hand, past us")
        _change(simulator, "sessions", {"memory_size": 268435456})
        _change(simulator, "leaderboards", {"eviction_policy": "noeviction"})

        _title(7, "Who moved?")
        _run(["drift", "--cluster", CLUSTER], shop, env, expect=2)

        _title(8, "Repair it; what may cost keys needs a yes by name")
        _run(["apply", "--cluster", CLUSTER, "--yes", "--quiet"], shop, env, expect=5)
        agreed = ["--allow-impact", "Database/leaderboards=may-lose-data"]
        _run(["apply", "--cluster", CLUSTER, "--yes", *agreed], shop, env)
        _run(["plan", "--cluster", CLUSTER, "--detailed-exitcode"], shop, env)

        _title(9, "The agent does the same without us: one pass of what it does all day")
        _change(simulator, "rate-limiter", {"max_connections": 10})
        _run(["run", "--once", "--mode", "apply", "--cluster", CLUSTER], shop, env)
        _run(["plan", "--cluster", CLUSTER, "--detailed-exitcode"], shop, env)

        _title(10, "The other way round: manifests from what the cluster holds")
        _run(["export", "--cluster", CLUSTER, "--out", "exported"], shop, env)
        if not list((shop / "exported").rglob("*.yaml")):
            raise StoryError("export wrote no file")
        _run(["plan", "--cluster", CLUSTER, "-f", "exported", "--detailed-exitcode"], shop, env)

        _title(11, "What applications need to connect")
        _run(["outputs", "--cluster", CLUSTER], shop, env)


# --- the cluster -----------------------------------------------------------------------------------------------------


@contextmanager
def _simulator(folder: Path) -> Iterator[Simulator]:
    """Run a simulator in a process of its own; stop it at the end whatever happens."""
    command = ["simulate", "--nodes", "2", "--outside", "1", "--port", "0", "--time-scale", "5"]
    named = ["--clusters", f"{CLUSTER}.local", "--username", USER]
    _say(f"$ reconciler {' '.join(command)} \\\n    {' '.join(named)} &")
    password = secrets.token_urlsafe(16)
    log = (folder / "simulator.log").open("wb")
    process = subprocess.Popen(  # noqa: S603 - our own interpreter and our own words
        [sys.executable, "-m", "reconciler", *command, *named, "--tls-dir", str(folder / "tls")],
        env={**_python(), "SIMULATOR_PASSWORD": password},
        stdout=subprocess.PIPE,
        stderr=log,
        start_new_session=True,  # Ctrl-C is for the story, which then stops it in good order
    )
    try:
        assert process.stdout is not None  # noqa: S101 - for the type checker; PIPE gives one
        line = process.stdout.readline()
        if not line:
            raise StoryError(f"the simulator did not start:\n{(folder / 'simulator.log').read_text()[-2000:]}")
        said = json.loads(line)
        _say(f"It answers at {', '.join(said['urls'])}.")
        members, outside = said["urls"][:2], said["urls"][2:]
        yield Simulator((*outside, *members), Path(said["ca_file"]), said["username"], password)
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
    """Send one request of the foreign hand to a member, and return the answer."""
    login = base64.b64encode(f"{simulator.username}:{simulator.password}".encode()).decode()
    headers = {"Authorization": f"Basic {login}", "Content-Type": "application/json"}
    context = ssl.create_default_context(cafile=str(simulator.ca_file))
    for url in simulator.urls:
        connection = http.client.HTTPSConnection(url.removeprefix("https://"), timeout=10, context=context)
        try:
            connection.request(method, path, json.dumps(body) if body is not None else None, headers)
            answer = connection.getresponse()
            if answer.status == http.HTTPStatus.SERVICE_UNAVAILABLE:
                continue
            if answer.status != http.HTTPStatus.OK:
                raise StoryError(f"{method} {path} answered {answer.status}: {answer.read(500)!r}")
            return json.loads(answer.read() or b"null")
        finally:
            connection.close()
    raise StoryError(f"no node answered {method} {path}")


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
    raise StoryError(f"database {uid} did not become active")


def _holds(simulator: Simulator, shop: Path) -> None:
    """Ask the cluster itself whether every database of the manifests is there."""
    there = {bdb["name"] for bdb in _ask(simulator, "GET", "/v1/bdbs?fields=uid,name")}
    texts = [path.read_text(encoding="utf-8") for layer in ("base", CLUSTER) for path in (shop / layer).glob("*.yaml")]
    found = (re.search(r"^kind: Database\n(?:.*\n)*?  name: (\S+)$", one, re.MULTILINE) for one in _documents(texts))
    declared = {match[1] for match in found if match}
    if declared - there:
        raise StoryError(f"the cluster lacks {', '.join(sorted(declared - there))}")


def _documents(texts: Iterable[str]) -> Iterator[str]:
    """Yield the documents in *texts* that are no tombstones."""
    yield from (one for text in texts for one in text.split("\n---\n") if "state: absent" not in one)


# --- the shop --------------------------------------------------------------------------------------------------------


def _shop(folder: Path, simulator: Simulator) -> Path:
    """Copy the example and put this simulator's addresses into its project file."""
    here = Path(__file__).resolve().parent.parent
    example = next((path for path in (here / "example", here.parent / "manifests") if path.is_dir()), None)
    if example is None:
        raise StoryError("the example manifests are not installed")
    shop = folder / "shop"
    shutil.copytree(example, shop)
    (shop / "files").mkdir(exist_ok=True)
    shutil.copy(simulator.ca_file, shop / "files" / f"{CLUSTER}-ca.pem")
    project = (shop / "reconciler.yaml").read_text(encoding="utf-8")
    for place, url in zip(PLACES, simulator.urls, strict=True):
        project = project.replace(f"https://{place}", url)
    (shop / "reconciler.yaml").write_text(project, encoding="utf-8")
    return shop


def _environment(simulator: Simulator, shop: Path) -> dict[str, str]:
    """Return the environment of the commands: the login, and a made-up value for each secret that a manifest names."""
    texts = (path.read_text(encoding="utf-8") for path in shop.rglob("*.yaml"))
    names = {name for text in texts for name in re.findall(r"env: (SHOP_[A-Z_]+)", text)}
    made_up = {name: f"Demo-{secrets.token_urlsafe(12)}1!" for name in sorted(names)}
    kept = {name: value for name, value in os.environ.items() if not name.startswith("REDIS_ENTERPRISE_")}
    login = {"REDIS_ENTERPRISE_PASSWORD": simulator.password}
    return {**kept, "PYTHONPATH": _python()["PYTHONPATH"], **login, **made_up}


def _python() -> dict[str, str]:
    """Return the environment in which Python finds this very package from any folder."""
    here = str(Path(__file__).resolve().parent.parent.parent)
    path = os.pathsep.join(part for part in (here, os.environ.get("PYTHONPATH", "")) if part)
    return {**os.environ, "PYTHONPATH": path}


# --- telling ---------------------------------------------------------------------------------------------------------


def _run(words: Sequence[str], folder: Path, env: Mapping[str, str], *, expect: int = 0) -> None:
    """Print and run one command line; StoryError unless it exits as expected."""
    _say(f"$ reconciler {' '.join(words)}")
    done = subprocess.run([sys.executable, "-m", "reconciler", *words], cwd=folder, env=dict(env), check=False)  # noqa: S603
    if done.returncode != expect:
        raise StoryError(f"`reconciler {words[0]}` ended with exit code {done.returncode}; the story wants {expect}")


def _title(number: int, text: str) -> None:
    _say(f"\n── {number}. {text} ".ljust(WIDTH + 1, "─"))


def _say(text: str) -> None:
    print(text, flush=True)
