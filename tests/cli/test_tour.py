"""The tour of `manifests/`: it uses every kind, is valid as it stands, and becomes so on two clusters that can meet."""

from __future__ import annotations

import hashlib
import io
import re
import shutil
import time
import zipfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from reconciler.kinds import load_kinds
from reconciler.simulator.cluster import licenses, pem
from reconciler.simulator.testing import Caller, Running, running
from tests.cli import canary
from tests.cli.rig import Cli, environment
from tests.cli.shop import TOUR, counts, creates, updates

MADE_UP = canary.TOKEN  # whatever a manifest of any kind reads is searched for in all that commands leave


def texts() -> str:
    return "\n---\n".join(path.read_text(encoding="utf-8") for path in sorted(TOUR.rglob("*.yaml")))


def variables() -> dict[str, str]:
    return dict.fromkeys(re.findall(r"env: (SHOP_[A-Z_]+)", texts()), MADE_UP)


def module() -> bytes:
    """Return the file of a module; the same bytes each time."""
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        archive.writestr(zipfile.ZipInfo("module.json"), '{"module_name": "geo", "version": 10200}')
    return data.getvalue()


@pytest.fixture
def east() -> Iterator[Running]:
    """The cluster east; its peer is west, whose two machines are idle."""
    names = {"username": "admin@shop.example", "password": canary.LOGIN, "cluster_name": "east.shop.example"}
    west = {"cluster_name": "west.shop.example", "nodes": 0, "outside": 2}
    with running(nodes=3, seed=1, clusters=[west], **names) as server:
        yield server


@pytest.fixture
def tour(tmp_path: Path, east: Running) -> Iterator[Cli]:
    """The tour with the addresses of simulated clusters, and the files that a real one would have beside it."""
    folder = tmp_path / "tour"
    shutil.copytree(TOUR, folder)
    cli = Cli(folder, {**environment(), **variables(), "SHOP_LDAP_PASSWORD": canary.BOB})
    (west,) = east.peers
    for name, server in (("east", east), ("west", west)):
        for number, url in enumerate(server.urls, 1):
            cli.edit("reconciler.yaml", f"https://redis-{number}.{name}.shop.example:9443", url)
    for number, url in enumerate(west.urls, 1):
        cli.edit("west/cluster.yaml", f"redis-{number}.west.shop.example:9443", url.removeprefix("https://"))
    cli.edit("west/cluster.yaml", "0" * 64, hashlib.sha256(module()).hexdigest())
    pair = pem.make("west.shop.example", time.time(), 365)
    for path, data in {
        "files/east-ca.pem": east.ca_file.read_bytes(),
        "files/west-ca.pem": east.ca_file.read_bytes(),
        "files/west-licence.txt": licenses.make(shards_limit=100).encode(),
        "files/west-proxy.pem": pair.certificate.encode(),
        "secrets/west-proxy.key": pair.key.encode(),
        "files/geo.zip": module(),
    }.items():
        (folder / path).parent.mkdir(exist_ok=True)
        (folder / path).write_bytes(data)
        (folder / path).chmod(0o600 if path.endswith(".key") else 0o644)
    yield cli
    cli.stop()


def test_every_kind_is_used() -> None:
    assert set(load_kinds()) - set(re.findall(r"^kind: (\w+)$", texts(), re.MULTILINE)) == set()


def test_the_tour_is_valid_without_the_files_that_it_names(bare: Cli) -> None:
    done = bare("validate", "--strict", "--project", str(TOUR / "reconciler.yaml"))
    assert re.fullmatch(r"Valid: \d+ resources for east, west\.\n", done.out)
    assert done.err == ""


def test_every_file_of_the_tour_teaches_something_at_its_top() -> None:
    for path in TOUR.rglob("*.yaml"):
        lines = [line for line in path.read_text(encoding="utf-8").splitlines() if "$schema" not in line]
        assert lines[0].startswith("# "), path


def test_the_tour_becomes_so_on_two_clusters_and_a_last_plan_is_empty(tour: Cli, east: Running) -> None:
    first = tour("plan", "--out", "plan.json")
    waiting = r"! west:ClusterBootstrap/cluster: \d+ more declared objects wait until the cluster exists"
    assert re.search(waiting, first.out)
    assert "secret file" not in first.err  # the licence and the certificate may be read by everybody
    done = counts(tour("apply", "plan.json", "--yes").out)
    assert done == (creates("east") + 1, updates("east", same=("NodeMaintenance",)), 0)  # and the cluster west itself

    west = Caller(east.peers[0].core)
    assert west("GET", "/v1/cluster").json()["name"] == "west.shop.example"
    assert west("POST", "/v1/bdb_groups", {"memory_size": 1 << 30}).status == 200  # groups are made elsewhere

    exist = ("Certificate", "ClusterBootstrap", "License")
    same = ("ClusterBootstrap", "OCSP", "ServicesConfiguration")
    done = counts(tour("apply", "--yes").out)
    assert done == (creates("west", exist=exist), updates("west", exist=exist, same=same), 0)
    begun = len(east.log)
    assert tour("plan", "--detailed-exitcode").out == "No changes.\n"
    reads = Counter((entry.path, *sorted(entry.query.items())) for entry in list(east.log)[begun:])
    assert [request for request, count in reads.items() if count > 1] == []  # a plan reads each list once
    assert ("/v1/nodes",) in reads
    # Active-Active databases are declared on the other cluster: what they override here is read with fields of its own.
    assert Counter(path for path, *_ in reads if path != "/v1/jsonschema").most_common(1) == [("/v1/bdbs", 2)]
    assert tour("drift").out == "No drift on east, west.\n"

    (copy,) = [one for one in west("GET", "/v1/bdbs").json() if one["name"] == "catalogue-copy"]
    assert [source["status"] for source in copy["replica_sources"]] == ["in-sync"]
    (carts,) = west("GET", "/v1/crdbs").json()
    assert len(carts["instances"]) == 2
