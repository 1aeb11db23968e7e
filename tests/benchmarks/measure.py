"""Run a command as a process of its own, and say what it cost."""

from __future__ import annotations

import contextlib
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

PASSWORD = "benchmark-only"
USER = "admin@example.com"


class Cost(NamedTuple):
    """What a run, or the median of several, took."""

    cpu: float  # seconds, user and system
    wall: float  # seconds
    rss: float  # peak, MiB


class Failed(Exception):
    """A command under measurement did not end as it should."""


def run(command: Sequence[str], environ: Mapping[str, str], log: Path, *, expected: tuple[int, ...] = (0,)) -> Cost:
    """Run *command* to its end; what it prints goes to *log*.

    The peak is what the kernel counted for that process alone. A child starts with the pages of its parent, so this
    program must stay small: it imports nothing large and leaves generating to other processes.
    """
    with log.open("wb") as output:
        start = time.perf_counter()
        process = subprocess.Popen(
            command, stdout=output, stderr=subprocess.STDOUT, env=dict(environ), stdin=subprocess.DEVNULL
        )
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode not in expected:
        tail = log.read_text(encoding="utf-8", errors="replace")[-2000:]
        raise Failed(f"{' '.join(command)} ended with {process.returncode}:\n{tail}")
    return Cost(usage.ru_utime + usage.ru_stime, wall, usage.ru_maxrss / 1024)


def median(costs: Sequence[Cost]) -> Cost:
    """Return the median of each figure."""
    return Cost(*(statistics.median(column) for column in zip(*costs, strict=True)))


def environment(url: str, user: str, password: str, ca_file: str | Path) -> dict[str, str]:
    """Return an environment that leads to one cluster."""
    return {
        **{key: value for key, value in os.environ.items() if not key.startswith("REDIS_ENTERPRISE_")},
        "REDIS_ENTERPRISE_URL": url,
        "REDIS_ENTERPRISE_USER": user,
        "REDIS_ENTERPRISE_PASSWORD": password,
        "REDIS_ENTERPRISE_CA_CERT": str(ca_file),
        "NO_COLOR": "1",
    }


@contextlib.contextmanager
def simulator(folder: Path, *options: str) -> Iterator[dict[str, str]]:
    """Serve the snapshot of *folder* from a process of its own; return an environment that leads to it."""
    command = [sys.executable, "-m", "reconciler.simulator", "--port", "0", "--snapshot", str(folder / "snapshot.json")]
    command += ["--username", USER, "--password", PASSWORD, "--tls-dir", str(folder / "tls"), *options]
    with (folder / "simulator.log").open("wb") as log:
        server = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log)
        try:
            assert server.stdout is not None
            line = json.loads(server.stdout.readline())
            yield environment(line["urls"][0], USER, PASSWORD, line["ca_file"])
        finally:
            server.terminate()
            server.wait(30)
            if server.stdout is not None:
                server.stdout.close()
