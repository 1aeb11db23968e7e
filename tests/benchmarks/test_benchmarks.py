"""The benchmarks measure what they say: both sides find the same differences, and send the same writes."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

from tests.benchmarks.__main__ import HERE, OURS, check_plan, recorded, show
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


def test_bare_requests_are_those_of_apply(tmp_path: Path) -> None:
    place = tmp_path / "data"
    write(place, 8, empty=True)
    requests = recorded(place)
    sent = json.loads(requests.read_bytes())
    assert sent["before"][0] == "/v1/nodes"
    assert sorted(body["name"] for body in sent["creates"]) == [f"db-{number:05}" for number in range(1, 9)]
    assert set(sent["reads"]) == {"/v1/actions/{action_uid}", "/v1/bdbs/{uid}"}
    with simulator(place, "--time-scale", "100000", "--nodes", "3") as environ:
        run([sys.executable, str(HERE / "raw.py"), str(requests), "4"], environ, tmp_path / "log")
    calls = [line.split() for line in (place / "simulator.log").read_text().splitlines() if line.startswith("node ")]
    methods = Counter((method, path.rpartition("/")[0]) for _, _, method, path, _ in calls)
    assert methods["POST", "/v1"] == 8
    assert methods["GET", "/v1/bdbs"] == sent["reads"]["/v1/bdbs/{uid}"]
    assert methods["GET", "/v1/actions"] == sent["reads"]["/v1/actions/{action_uid}"]
    assert len(calls) == 8 + len(sent["before"]) + sum(sent["reads"].values())


def test_manifests_have_twelve_fields() -> None:
    assert len(declared(1)) == 12


def test_medians_are_taken_of_each_figure() -> None:
    assert median([Cost(1, 9, 5), Cost(2, 8, 5), Cost(3, 7, 5)]) == Cost(2, 8, 5)
    show("a row", Cost(2, 8, 5), Cost(1, 2, 5), "≤ 2 ×")
