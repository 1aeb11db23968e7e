"""The benchmarks measure what they say: both sides find the same differences, and send the same writes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.benchmarks.__main__ import HERE, OURS, calls, check_plan, show
from tests.benchmarks.generate import declared, write
from tests.benchmarks.measure import Cost, median, run, simulator


def test_the_floor_and_plan_find_the_same(tmp_path: Path) -> None:
    place = tmp_path / "data"
    write(place, 100, empty=False)
    manifests = str(place / "manifests")
    with simulator(place, "--quiet") as environ:
        floor = subprocess.run(
            [sys.executable, str(HERE / "floor.py"), manifests], env=environ, check=True, capture_output=True, text=True
        )
        run([OURS, "plan", "-f", manifests, "--state-dir", str(tmp_path / "state")], environ, tmp_path / "log")
    assert floor.stdout == "db-00037: max_connections: 1038 -> 1037\n1 of 100 differ\n"
    check_plan(tmp_path / "log", 100)


def test_bare_requests_make_the_same_databases_as_apply(tmp_path: Path) -> None:
    place = tmp_path / "data"
    write(place, 8, empty=True)
    manifests = str(place / "manifests")
    commands = [
        [OURS, "apply", "-f", manifests, "--yes", "--state-dir", str(tmp_path / "state")],
        [sys.executable, str(HERE / "raw.py"), manifests, "4", "2"],
    ]
    for command in commands:
        with simulator(place, "--time-scale", "100000", "--nodes", "3") as environ:
            run(command, environ, tmp_path / "log")
        assert sum("POST /v1/bdbs 200" in line for line in calls(place)) == 8


def test_manifests_have_twelve_fields() -> None:
    assert len(declared(1)) == 12


def test_medians_are_taken_of_each_figure() -> None:
    assert median([Cost(1, 9, 5), Cost(2, 8, 5), Cost(3, 7, 5)]) == Cost(2, 8, 5)
    show("a row", Cost(2, 8, 5), Cost(1, 2, 5), "≤ 2 ×")
