"""Measure the embedded API server: `python -m tests.benchmarks.simulator [--seconds 3] [--databases 10000]`.

    start     from the command to the first answer over TLS; of that, what an empty interpreter takes
    gets      small GETs over TLS with keep-alive, by CPU second of the server (one core) and by the clock
    list      the first list of many databases against `json.dumps` of the same value, in process; then over TLS
    idle      the same GETs while 1,000 connections are open and silent

Each goal is printed with its figure; the exit code says whether all were met.
"""

from __future__ import annotations

import argparse
import base64
import contextlib
import json
import os
import socket
import ssl
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

USER, PASSWORD = "admin@example.com", "benchmark-only"
COMMAND = [sys.executable, "-m", "reconciler.simulator", "--port", "0", "--quiet", "--password", PASSWORD]
LOGIN = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
LINES = 8  # connections that ask at once


@contextlib.contextmanager
def served(*options: str) -> Iterator[tuple[int, dict[str, Any]]]:
    """Start the server; return its process id and what it says of itself."""
    with subprocess.Popen([*COMMAND, *options], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process.pid, json.loads(process.stdout.readline())
        finally:
            process.terminate()


def connected(about: dict[str, Any]) -> ssl.SSLSocket:
    """Return a TLS connection to the first node."""
    host, port = about["urls"][0].removeprefix("https://").split(":")
    context = ssl.create_default_context(cafile=about["ca_file"])
    return context.wrap_socket(socket.create_connection((host, int(port)), 30), server_hostname=host)


def request(path: str) -> bytes:
    """Return a GET as bytes."""
    return f"GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Basic {LOGIN}\r\n\r\n".encode()


def answer(line: ssl.SSLSocket) -> bytes:
    """Read one answer and return its body."""
    data = b""
    while b"\r\n\r\n" not in data:
        data += line.recv(1 << 16)
    head, _, body = data.partition(b"\r\n\r\n")
    if not head.startswith(b"HTTP/1.1 200"):
        raise RuntimeError(head.decode("latin-1"))
    length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])
    parts, left = [body], length - len(body)
    while left > 0:
        parts.append(line.recv(min(left, 1 << 20)))
        left -= len(parts[-1])
    return b"".join(parts)


def cpu(process: int) -> float:
    """Return the CPU seconds that *process* has used."""
    with open(f"/proc/{process}/stat", encoding="ascii") as file:
        fields = file.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def start_seconds() -> tuple[float, float]:
    """Return the seconds to the first answer, and to the start of an empty interpreter."""
    began = time.perf_counter()
    with served() as (_, about), connected(about) as line:
        line.sendall(request("/v1/cluster"))
        answer(line)
        ours = time.perf_counter() - began
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", ""], check=True)
    return ours, time.perf_counter() - began


def gets(seconds: float, idle: int = 0) -> tuple[float, float]:
    """Return GETs by CPU second of the server and by second of the clock, with *idle* silent connections beside."""
    with served() as (process, about), contextlib.ExitStack() as stack:
        lines = [stack.enter_context(connected(about)) for _ in range(LINES + idle)][-LINES:]
        ask, count = request("/v1/cluster/policy"), 0
        for warm in (True, False):
            count, used, began = 0, cpu(process), time.perf_counter()
            while time.perf_counter() - began < (0.3 if warm else seconds):
                for line in lines:
                    line.sendall(ask)
                for line in lines:
                    answer(line)
                count += len(lines)
        return count / (cpu(process) - used), count / (time.perf_counter() - began)


def list_ratio(databases: int) -> tuple[float, float]:
    """Return the seconds of the first list of *databases* and of serialising it, in process."""
    from reconciler.simulator.core import Core, SimulatorSettings
    from reconciler.simulator.testing import Caller
    from reconciler.simulator.testing import databases as snapshot

    content = snapshot(databases)
    ours, least = [], []
    for _ in range(5):
        caller = Caller(Core(SimulatorSettings(), seed=1, snapshot=content))
        caller("GET", "/v1/cluster")
        began = time.perf_counter()
        body = caller("GET", "/v1/bdbs").body
        ours.append(time.perf_counter() - began)
        value = json.loads(body)
        began = time.perf_counter()
        json.dumps(value, separators=(",", ":")).encode()
        least.append(time.perf_counter() - began)
    return statistics.median(ours), statistics.median(least)


def verdict(name: str, text: str, met: bool) -> bool:
    """Print one line and return whether the goal was met."""
    print(f"{name:8}{text:102}{'ok' if met else 'MISSED'}", flush=True)
    return met


def main() -> int:
    """Measure everything and compare it with the goals."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--databases", type=int, default=10_000)
    options = parser.parse_args()
    starts = [start_seconds() for _ in range(5)]
    ours, empty = (statistics.median(column) for column in zip(*starts, strict=True))
    met = [
        verdict(
            "start", f"{ours:.3f} s to the first answer, {ours / empty:.1f} x an empty interpreter; < 1 s", ours < 1
        )
    ]
    for idle in (0, 1000):
        by_cpu, by_clock = gets(options.seconds, idle)
        beside = f", {idle} idle connections beside" if idle else ""
        text = f"{by_cpu:.0f} GETs a CPU second, {by_clock:.0f} a second of the clock{beside}; at least 1500"
        met.append(verdict("idle" if idle else "gets", text, by_cpu >= 1500))
    ours, least = list_ratio(options.databases)
    text = f"{ours * 1000:.0f} ms for {options.databases} databases, {ours / least:.2f} x serialising; at most 3 x"
    met.append(verdict("list", text, ours <= 3 * least))
    return 0 if all(met) else 1


if __name__ == "__main__":
    sys.exit(main())
