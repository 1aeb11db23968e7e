"""Measure the agent over many clusters: `python -m tests.benchmarks.fleet [--clusters 500] [--dead 5]`.

One embedded server stands for all clusters that live, since what is measured is the agent; a dead one is a port that
takes connections and never says a word, which is the slowest way to be dead. A round is `run --once --mode observe`.

    quick     all clusters alive: seconds and calls by cluster, peak memory
    dead      the same with some dead ones: how long until every living cluster had its pass, against quick
    growth    peak memory and CPU by cluster against a tenth of the clusters

Each goal is printed with its figure; the exit code says whether all were met.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from reconciler.simulator.testing import databases

USER, PASSWORD = "admin@example.com", "benchmark-only"
LIMIT = 600  # seconds for one round


class Round(NamedTuple):
    """What one round took."""

    wall: float
    living: float  # until the last living cluster had its pass
    cpu: float
    peak: float  # MiB
    passed: int
    failed: int


@contextmanager
def server(folder: Path, count: int) -> Iterator[dict[str, str]]:
    """Serve *count* databases; give what the server says of itself."""
    snapshot = folder / "snapshot.json"
    snapshot.write_text(json.dumps(databases(count)))
    command = [sys.executable, "-m", "reconciler.simulator", "--port", "0", "--quiet", "--password", PASSWORD]
    command += ["--snapshot", str(snapshot), "--tls-dir", str(folder / "tls")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield json.loads(process.stdout.readline())
        finally:
            process.terminate()


def project(folder: Path, url: str, ca: str, clusters: int, dead: dict[int, str]) -> Path:
    """Write a project of *clusters*; those in *dead* have an address of their own."""
    folder.mkdir()
    head = f"""\
apiVersion: reconciler/v1
agent: {{interval: 1h, listen: {{enabled: false}}}}
clusterDefaults:
  caCert: {ca}
  username: {USER}
  password: {{valueFrom: {{env: FLEET_PASSWORD}}}}
  manifests: [base]
clusters:
"""
    rows = [f"  - {{name: c{number:04}, urls: ['{dead.get(number, url)}']}}\n" for number in range(clusters)]
    (folder / "reconciler.yaml").write_text(head + "".join(rows))
    return folder


def manifests(folder: Path, count: int) -> None:
    """Declare the databases that the server holds, as they are."""
    base = folder / "base"
    base.mkdir()
    one = "apiVersion: reconciler/v1\nkind: Database\nmetadata: {{name: db-{0:05}}}\nspec: {{memory_size: 1GiB}}\n"
    (base / "databases.yaml").write_text("---\n".join(one.format(number) for number in range(1, count + 1)))


def measured(folder: Path) -> Round:
    """Make one round over all clusters of the project in *folder*."""
    words = [sys.executable, "-m", "reconciler", "run", "--once", "--mode", "observe", "--log-format", "json"]
    began = time.monotonic()
    last, passed, failed = began, 0, 0
    environ = {**os.environ, "FLEET_PASSWORD": PASSWORD}
    with subprocess.Popen(words, cwd=folder, env=environ, stderr=subprocess.PIPE) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if time.monotonic() - began > LIMIT:
                process.kill()
            event = json.loads(line)["event"] if line.startswith(b"{") else ""
            if event == "reconciliation.done":
                last, passed = time.monotonic(), passed + 1
            failed += event == "reconciliation.failed"
        _, _, used = os.wait4(process.pid, 0)
        process.returncode = 0
    wall = time.monotonic() - began
    shutil.rmtree(folder / ".reconciler", ignore_errors=True)
    return Round(wall, last - began, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024, passed, failed)


def judged(name: str, figure: float, goal: float, unit: str = "") -> bool:
    """Print one line, and say whether the goal was met."""
    good = figure <= goal
    print(f"  {name:58}{figure:9.2f}{unit:4} goal {goal:g}{'' if good else '   MISSED'}", flush=True)
    return good


def compared(folder: Path, clusters: int, count: int, percent: int) -> bool:
    """Measure all rounds; return whether all goals were met."""
    with server(folder, count) as said, socket.create_server(("127.0.0.1", 0), backlog=1024) as silent:
        url, ca = said["urls"][0], said["ca_file"]
        lost = f"https://127.0.0.1:{silent.getsockname()[1]}"
        dead = dict.fromkeys(range(3, clusters, max(1, 100 // percent)), lost)
        few = max(1, clusters // 10)
        plans = {"small": (few, {}), "quick": (clusters, {}), "dead": (clusters, dead)}
        rounds = {}
        for name, (number, lost_ones) in plans.items():
            place = project(folder / name, url, ca, number, lost_ones)
            manifests(place, count)
            rounds[name] = found = measured(place)
            print(
                f"{name:6} {number:4} clusters: {found.wall:7.1f} s, living {found.living:7.1f} s, "
                f"CPU {found.cpu:6.1f} s, peak {found.peak:6.0f} MiB, {found.passed} passed, {found.failed} failed",
                flush=True,
            )
    small, quick, slow = rounds["small"], rounds["quick"], rounds["dead"]
    good = [
        judged("passes that are missing", abs(quick.passed - clusters) + abs(slow.passed + len(dead) - clusters), 0),
        judged("what dead clusters, unknown as such, cost the living", slow.living - quick.living, 10, " s"),
        judged("CPU by cluster", 1000 * quick.cpu / clusters, 100, " ms"),
        judged("CPU by cluster against a tenth of the clusters", quick.cpu / clusters / (small.cpu / few), 1.2, " x"),
        judged("peak memory by cluster beyond a tenth", (quick.peak - small.peak) / (clusters - few), 0.5, " MiB"),
    ]
    return all(good)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clusters", type=int, default=500)
    parser.add_argument("--databases", type=int, default=20)
    parser.add_argument("--dead", type=int, default=5, help="percent")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        return 0 if compared(Path(folder), options.clusters, options.databases, options.dead) else 1


if __name__ == "__main__":
    sys.exit(main())
