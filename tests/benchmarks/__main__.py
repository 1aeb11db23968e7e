"""Measure whole commands: `python -m tests.benchmarks [--counts 100,1000,10000] [--rounds 3] [--only start,plan]`.

Each row sets a command of ours against the least that could do the job: for `plan` a plain program over the same TLS
server (`floor.py`), for `apply` the requests that it sends (`record.py`), sent by bare httpx with as many threads
(`raw.py`), for a start the bare interpreter, for `validate` the floor's imports. Runs of both are interleaved and
medians shown; CPU is user and system time of that process alone, the peak is its resident memory. The server is a
process of its own.
"""

from __future__ import annotations

import argparse
import math
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.benchmarks.measure import Cost, median, run, simulator

HERE = Path(__file__).resolve().parent
OURS = str(Path(sys.executable).parent / "reconciler")
IMPORTS = (
    "import base64, http.client, json, os, ssl, sys, yaml; from pathlib import Path; from urllib.parse import urlsplit"
)
THREADS = 4
HEAD = f"{'':30}{'CPU s':>9}{'wall s':>9}{'peak MiB':>10}   {'ratio: CPU':>10}{'wall':>7}{'peak':>7}   goal"


def show(name: str, ours: Cost, base: Cost | None = None, goal: str = "") -> None:
    """Print one row; with *base*, the ratios to it."""
    line = f"{name:30}{ours.cpu:9.3f}{ours.wall:9.3f}{ours.rss:10.1f}"
    if base is not None:
        line += f"   {ours.cpu / base.cpu:10.2f}{ours.wall / base.wall:7.2f}{ours.rss / base.rss:7.2f}   {goal}"
    print(line, flush=True)


def interleaved(rounds: int, commands: Sequence[Sequence[str]], environ: dict[str, str], log: Path) -> list[Cost]:
    """Run all *commands* in turn, *rounds* times, after one run of each that does not count."""
    costs: list[list[Cost]] = [[] for _ in commands]
    for number in range(rounds + 1):
        for command, found in zip(commands, costs, strict=True):
            cost = run(command, environ, log)
            if number:
                found.append(cost)
    return [median(found) for found in costs]


def generated(folder: Path, count: int, *options: str) -> Path:
    """Generate in a process of its own, which gives its memory back."""
    place = folder / f"{count}{''.join(options)}"
    if not place.exists():
        command = [sys.executable, "-m", "tests.benchmarks.generate", str(place), str(count), *options]
        subprocess.run(command, check=True, cwd=HERE.parent.parent)
    return place


def measure_start(folder: Path, rounds: int) -> None:
    """Starting, and `validate` of one file."""
    place = generated(folder, 100)
    bare = [sys.executable, "-c", "pass"]
    imports = [sys.executable, "-c", IMPORTS]
    validate = [OURS, "validate", "-f", str(place / "manifests")]
    commands = [bare, [OURS, "--help"], [OURS, "--version"], imports, validate]
    with simulator(place, "--quiet") as environ:
        costs = interleaved(max(rounds, 5) * 2, commands, environ, folder / "out.log")
    show("python -c pass", costs[0])
    show("reconciler --help", costs[1], costs[0], "≤ 5 × bare")
    show("reconciler --version", costs[2], costs[0], "≤ 5 × bare")
    show("imports of the floor", costs[3])
    show("reconciler validate, 1 file", costs[4], costs[3], "≤ 2.5 × imports")


def measure_plan(folder: Path, counts: Sequence[int], rounds: int) -> None:
    """`plan` against the floor, and how its time grows."""
    points = []
    for count in counts:
        place = generated(folder, count)
        manifests = str(place / "manifests")
        ours = [OURS, "plan", "-f", manifests, "--state-dir", str(folder / "state")]
        with simulator(place, "--quiet") as environ:
            floor, plan = interleaved(
                rounds, [[sys.executable, str(HERE / "floor.py"), manifests], ours], environ, folder / "out.log"
            )
            check_plan(folder / "out.log", count)
        show(f"floor, {count:,} databases", floor)
        goal = "≤ 0.7 × time, ≤ 0.5 × peak" if count >= 10_000 else "≤ 3.5 ×" if count == 100 else ""
        show(f"plan,  {count:,} databases", plan, floor, goal)
        points.append((count, plan.cpu))
    if len(points) > 1:
        (small, before), (large, after) = points[-2:]
        exponent = math.log(after / before) / math.log(large / small)
        print(f"growth of plan's CPU from {small:,} to {large:,}: exponent {exponent:.2f} (goal ≤ 1.05)")


def check_plan(log: Path, count: int) -> None:
    """A plan that finds something else than was put there measures nothing."""
    expected = sum(number % 100 == 37 for number in range(1, count + 1))
    wanted = f"Plan: 0 to create, {expected} to update, 0 to delete."
    if wanted not in log.read_text(encoding="utf-8"):
        raise SystemExit(f"the last plan does not say “{wanted}”; see {log}")


def measure_apply(folder: Path, count: int, rounds: int) -> None:
    """Creating *count* databases, against the very same requests sent bare."""
    place = generated(folder, count, "--empty")
    requests = recorded(place)
    state = folder / "apply-state"
    ours = [OURS, "apply", "-f", str(place / "manifests"), "--yes", "--parallelism", str(THREADS)]
    bare = [sys.executable, str(HERE / "raw.py"), str(requests), str(THREADS)]
    commands = [bare, [*ours, "--state-dir", str(state)]]
    costs: list[list[Cost]] = [[], []]
    for _ in range(rounds):
        shutil.rmtree(state, ignore_errors=True)
        for command, found in zip(commands, costs, strict=True):
            with simulator(place, "--quiet", "--time-scale", "100000", "--nodes", "3") as environ:
                found.append(run(command, environ, folder / "out.log"))
    raw, apply = map(median, costs)
    show(f"raw httpx, {count:,} creates", raw)
    show(f"apply, {count:,} creates", apply, raw, "≤ 1.3 ×")


def recorded(place: Path) -> Path:
    """Return the file with what an apply of the manifests in *place* sends."""
    command = [sys.executable, "-m", "tests.benchmarks.record", str(place), str(THREADS)]
    subprocess.run(command, check=True, cwd=HERE.parent.parent)
    return place / "requests.json"


def main() -> None:
    """Read the command line and measure."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("--counts", default="100,1000,10000", help="numbers of databases for plan")
    parser.add_argument("--creates", type=int, default=1000, help="number of databases for apply")
    parser.add_argument("--rounds", type=int, default=3, help="runs of each, besides the first")
    parser.add_argument("--only", default="start,plan,apply")
    parser.add_argument("--keep", type=Path, help="folder for the data; kept, and used again")
    options = parser.parse_args()
    only = options.only.split(",")
    with tempfile.TemporaryDirectory(prefix="benchmark-") as temporary:
        folder = options.keep or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        print(f"Python {sys.version.split()[0]}, {os.cpu_count()} processors, medians of {options.rounds} runs\n{HEAD}")
        if "start" in only:
            measure_start(folder, options.rounds)
        if "plan" in only:
            measure_plan(folder, [int(count) for count in options.counts.split(",")], options.rounds)
        if "apply" in only:
            measure_apply(folder, options.creates, options.rounds)


if __name__ == "__main__":
    main()
