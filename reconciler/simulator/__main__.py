"""`python -m reconciler.simulator`: the embedded API server as a process."""

from __future__ import annotations

import argparse
import json
import logging
import os
import signal
import ssl
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from textwrap import wrap
from typing import Any

from reconciler.simulator.core import Core
from reconciler.simulator.data.tables import table
from reconciler.simulator.http.server import Server
from reconciler.simulator.http.tls import HOSTS, load_or_make
from reconciler.simulator.settings import SWITCHES, SimulatorSettings, Switch
from reconciler.simulator.state.model import World


def _switch_lines(name: str, switch: Switch) -> Iterator[str]:
    yield f"  {name}={'|'.join(switch.choices)}  (default: {switch.default})"
    yield from wrap(switch.reason, 96, initial_indent="      ", subsequent_indent="      ")


def _parser() -> argparse.ArgumentParser:
    lines = [line for name, item in SWITCHES.items() for line in _switch_lines(name, item)]
    parser = argparse.ArgumentParser(
        prog="simulate",
        description="Serve the Redis Enterprise REST API of a simulated cluster over TLS.",
        epilog="switches, with default and reason:\n" + "\n".join(lines),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--host", default="127.0.0.1", help="address to listen on")
    add("--port", type=int, default=9443, help="port of the first node, the others follow; 0 picks free ports")
    add("--nodes", type=int, default=1, help="nodes of the cluster")
    add("--older-nodes", type=int, default=0, help="how many of them run the previous version")
    add("--license", choices=("full", "trial", "none", "expired"), default="full")
    add("--clusters", metavar="NAME,NAME", help="names of the clusters to serve; they can reach each other")
    add("--outside", type=int, default=0, help="additional nodes that are not in a cluster and respond with 503")
    add("--username", default="admin@example.com")
    add("--password", default=None, help="password of the account (default: SIMULATOR_PASSWORD)")
    add("--server-version", choices=sorted(table("versions")), default="8.2")
    add("--snapshot", type=Path, help='file of {"GET path": body} to start from')
    add("--save", type=Path, help="file to write a snapshot to at exit")
    add("--faults", type=Path, help="file with a list of fault rules")
    add("--control", type=int, metavar="PORT", help="port of the control endpoint on loopback; 0 picks a free one")
    add("--latency", type=float, default=0, metavar="MS", help="added to each response")
    add("--tls-dir", type=Path, help="directory of CA and certificate; generated if missing")
    add("--time-scale", type=float, default=1, help="speed relative to a real cluster")
    add("--seed", type=int, help="makes ports, passwords and ids reproducible")
    add("--switch", action="append", default=[], metavar="NAME=CHOICE", help="see below")
    add("--quiet", action="store_true", help="do not log calls")
    return parser


def _read(path: Path | None) -> Any:
    return json.loads(path.read_text(encoding="utf-8")) if path else None


def _cores(options: argparse.Namespace) -> list[Core]:
    """Return a core for each cluster; the first gets the snapshot and the faults."""
    world = World(time.time)
    cores: list[Core] = []
    for name in (options.clusters or SimulatorSettings.cluster_name).split(","):
        settings = SimulatorSettings(
            nodes=options.nodes,
            older_nodes=options.older_nodes,
            license=options.license,
            outside=options.outside,
            username=options.username,
            password=options.password or os.environ.get("SIMULATOR_PASSWORD") or SimulatorSettings.password,
            server_version=options.server_version,
            cluster_name=name.strip(),
            time_scale=options.time_scale,
            switches=dict(item.partition("=")[::2] for item in options.switch),
        )
        snapshot = None if cores else _read(options.snapshot)
        cores.append(Core(settings, seed=options.seed, snapshot=snapshot, world=world))
    cores[0].faults.load(_read(options.faults) or [])
    return cores


def _servers(options: argparse.Namespace, cores: Sequence[Core], tls: ssl.SSLContext) -> list[Server]:
    """Return a server for each core, with consecutive port ranges."""
    servers, port = [], options.port
    for core in cores:
        servers.append(Server(core, tls, host=options.host, port=port, latency=options.latency / 1000))
        port += len(core.node_uids) if port else 0
    return servers


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until SIGINT or SIGTERM. Print one JSON line when the servers accept connections; log to standard error."""
    options = _parser().parse_args(arguments)
    logging.basicConfig(
        stream=sys.stderr, level=logging.WARNING if options.quiet else logging.INFO, format="%(message)s"
    )
    try:
        cores = _cores(options)
    except (OSError, ValueError, KeyError, TypeError) as error:
        print(f"simulate: {error}", file=sys.stderr)
        return 3
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    with tempfile.TemporaryDirectory(prefix="simulator-") as folder:
        files = load_or_make(options.tls_dir or Path(folder), (*dict.fromkeys((*HOSTS, options.host)),))
        servers = _servers(options, cores, files.context())
        started: list[Server] = []
        try:
            for server in servers:
                server.start()
                started.append(server)
            control = {} if options.control is None else {"control": servers[0].control(cores, options.control)}
        except OSError as error:
            for server in started:
                server.stop()
            print(f"simulate: cannot listen: {error}", file=sys.stderr)
            return 1
        about = {"urls": servers[0].urls, "username": options.username, "ca_file": str(files.ca.resolve()), **control}
        if len(cores) > 1:
            pairs = zip(cores, servers, strict=True)
            about["clusters"] = {core.settings.cluster_name: server.urls for core, server in pairs}
        print(json.dumps(about), flush=True)
        stop.wait()
        for server in servers:
            server.stop()
        if options.save:
            handle = os.open(options.save, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                os.fchmod(handle, 0o600)
                json.dump(cores[0].snapshot(), file)
    return 0


if __name__ == "__main__":
    sys.exit(main())
