"""Write down the requests of a real apply: `python -m tests.benchmarks.record FOLDER THREADS`.

Creates the databases of FOLDER/manifests on a cluster without any, and writes FOLDER/requests.json for `raw.py`: what
was read before the first write, the body of each create, and which reads followed the creates.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from reconciler.simulator.core import LogEntry
from reconciler.simulator.testing import running
from tests.benchmarks.measure import environment

OURS = str(Path(sys.executable).parent / "reconciler")
SETTINGS: dict[str, Any] = {"nodes": 3, "time_scale": 100_000.0, "log_limit": 10_000_000}


def recorded(manifests: Path, threads: int) -> Sequence[LogEntry]:
    """Return every call of an apply of *manifests*."""
    with running(**SETTINGS) as server, tempfile.TemporaryDirectory(prefix="record-") as state:
        command = [OURS, "apply", "-f", str(manifests), "--yes", "-q", "--parallelism", str(threads)]
        environ = environment(server.urls[0], server.username, server.password, server.ca_file)
        subprocess.run(
            [*command, "--state-dir", state], env=environ, check=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE
        )
        return server.log


def sorted_out(log: Sequence[LogEntry]) -> dict[str, Any]:
    """Return what `raw.py` replays: uids differ from run to run, so reads of single objects become templates."""
    first = next(number for number, entry in enumerate(log) if entry.method == "POST")
    before = [entry.path + (f"?{urlencode(entry.query, safe=',')}" if entry.query else "") for entry in log[:first]]
    creates = [json.loads(entry.body) for entry in log if entry.method == "POST"]
    reads = Counter(
        "/v1/actions/{action_uid}" if entry.path.startswith("/v1/actions/") else "/v1/bdbs/{uid}"
        for entry in log[first:]
        if entry.method == "GET"
    )
    if len(creates) + reads.total() + len(before) != len(log):
        raise SystemExit("apply sent something else than creates and reads")
    return {"before": before, "creates": creates, "reads": reads}


def main() -> None:
    """Read the command line."""
    folder, threads = Path(sys.argv[1]), int(sys.argv[2])
    requests = sorted_out(recorded(folder / "manifests", threads))
    (folder / "requests.json").write_text(json.dumps(requests), encoding="utf-8")


if __name__ == "__main__":
    main()
