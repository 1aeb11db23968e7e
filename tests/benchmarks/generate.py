"""Make a cluster and the manifests for it: `python -m tests.benchmarks.generate FOLDER COUNT`.

Writes `snapshot.json` (live objects in full: about 120 fields and 5.4 KiB each) and `manifests/*.yaml` (twelve declared
fields each, a few hundred documents a file). One database in a hundred differs from its manifest in one field. With
`--empty` the cluster has no database yet.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from reconciler.simulator.testing import databases

PER_FILE = 250  # documents; far below the limits of 1 MiB and 50,000 nodes a file
DRIFTED_EVERY = 100
MIB = 1 << 20
# Module settings come only with ?extended=true; without them and Active-Active, about 120 fields are left.
LEFT_OUT = ("search", "timeseries", "probabilistic", "crdt", "gradual", "import", "export")
PEM = "-----BEGIN CERTIFICATE-----\n" + ("MIIC" * 16 + "\n") * 18 + "-----END CERTIFICATE-----\n"


def declared(number: int) -> dict[str, Any]:
    """Return the spec of database *number*: twelve fields, one list of objects among them."""
    return {
        "memory_size": (256 + 64 * (number % 8)) * MIB,
        "type": "redis",
        "replication": number % 2 == 0,
        "data_persistence": ("aof", "disabled")[number % 2],
        "aof_policy": "appendfsync-every-sec",
        "eviction_policy": ("volatile-lru", "allkeys-lru", "noeviction")[number % 3],
        "proxy_policy": "single",
        "max_connections": 1000 + number % 50,
        "max_client_pipeline": 200,
        "tls_mode": "disabled",
        "rack_aware": False,
        "tags": [{"key": "team", "value": f"team-{number % 20}"}, {"key": "tier", "value": "gold"}],
    }


def live(count: int) -> Iterator[dict[str, Any]]:
    """Yield the objects of the cluster."""
    for number, model in enumerate(databases(count)["/v1/bdbs"], start=1):
        item = {key: value for key, value in model.items() if not key.startswith(LEFT_OUT)} | declared(number)
        item["authentication_ssl_client_certs"] = [{"client_cert": PEM}]
        if number % DRIFTED_EVERY == 37:
            item["max_connections"] += 1
        yield item


def document(number: int) -> str:
    """Return the manifest of database *number*, in the block style that people write."""
    lines = ["apiVersion: reconciler/v1", "kind: Database", "metadata:", f"  name: db-{number:05}", "spec:"]
    for key, value in declared(number).items():
        if key == "tags":
            lines.append("  tags:")
            for tag in value:
                lines += [f"    - key: {tag['key']}", f"      value: {tag['value']}"]
        else:
            lines.append(f"  {key}: {json.dumps(value) if not isinstance(value, str) else value}")
    return "\n".join(lines) + "\n"


def write(folder: Path, count: int, *, empty: bool) -> None:
    """Write everything to *folder*."""
    manifests = folder / "manifests"
    manifests.mkdir(parents=True)
    for first in range(1, count + 1, PER_FILE):
        numbers = range(first, min(first + PER_FILE, count + 1))
        (manifests / f"databases-{first:05}.yaml").write_text("---\n".join(map(document, numbers)), encoding="utf-8")
    snapshot = {} if empty else {"/v1/bdbs": list(live(count))}
    (folder / "snapshot.json").write_text(json.dumps(snapshot), encoding="utf-8")


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("count", type=int)
    parser.add_argument("--empty", action="store_true")
    options = parser.parse_args()
    write(options.folder, options.count, empty=options.empty)


if __name__ == "__main__":
    main()
