"""Lists that several kinds need are requested once, and no caller sees what another does to its response."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from reconciler import live
from reconciler.api.protocol import Response
from reconciler.client import MalformedObject
from reconciler.client.shared_reads import SharedReads
from reconciler.errors import ReadIncomplete
from reconciler.plan.read_set import ReadSet
from tests.support.cluster import SimulatedCluster
from tests.support.resources import KINDS


@pytest.fixture
def cluster() -> SimulatedCluster:
    return SimulatedCluster()


def shared(cluster: SimulatedCluster) -> SharedReads:
    return SharedReads(cluster.client())


def sent(cluster: SimulatedCluster) -> Counter[str]:
    return Counter(entry.path for entry in cluster.log)


def test_all_kinds_together_request_each_list_once(cluster: SimulatedCluster) -> None:
    wanted = ReadSet(dict.fromkeys(KINDS.keys() - {"ClusterBootstrap"}))
    state = live.read(shared(cluster), KINDS, wanted, "dc1")
    assert [path for path, count in sent(cluster).items() if count > 1] == []
    assert state.objects["Node"]
    assert state == live.read(cluster.client(), KINDS, wanted, "dc1")


def test_threads_share_one_request(cluster: SimulatedCluster) -> None:
    reader = shared(cluster)
    with ThreadPoolExecutor(8) as pool:
        bodies = list(pool.map(lambda _: reader.get("/v1/roles").body, range(32)))
    assert sent(cluster)["/v1/roles"] == 1
    assert all(body == bodies[0] for body in bodies)


@pytest.mark.parametrize("path", ["/v1/roles", "/v1/cluster", "/v1/nodes"])
def test_what_a_caller_does_to_its_response_stays_with_it(cluster: SimulatedCluster, path: str) -> None:
    reader = shared(cluster)
    before = cluster.client().get(path).body
    body = reader.get(path).body
    for one in body if isinstance(body, list) else [body]:
        one["@added"] = True
    body.clear()
    assert reader.get(path).body == before


def test_the_nodes_are_those_of_the_first_request(cluster: SimulatedCluster) -> None:
    reader = shared(cluster)
    assert reader.open().body == reader.get("/v1/nodes", tolerant=True).body
    assert sent(cluster)["/v1/nodes"] == 1


def test_failures_are_not_kept(cluster: SimulatedCluster) -> None:
    reader = shared(cluster)
    cluster.core.faults.add("wrong_type", path="^/v1/roles", times=100)
    with pytest.raises(ReadIncomplete):
        reader.get("/v1/roles", shape=list)
    cluster.core.faults.clear()
    assert reader.get("/v1/roles").body


class HalfBroken:
    """A client whose list of roles has a malformed object: an error, unless the caller is tolerant."""

    state_id, user = 1, "me"

    def __init__(self) -> None:
        self.tolerant: list[bool] = []

    def get(self, path: str, *, tolerant: bool = False, **more: Any) -> Response:
        self.tolerant.append(tolerant)
        if not tolerant:
            raise ReadIncomplete(path)
        return Response(200, [{"uid": 1}, MalformedObject(uid=2)], {})


def test_a_malformed_object_reaches_only_a_caller_that_takes_it() -> None:
    client = HalfBroken()
    reader = SharedReads(client)  # type: ignore[arg-type]
    for _ in range(2):
        assert [type(one) for one in reader.get("/v1/roles", tolerant=True).body] == [dict, MalformedObject]
    with pytest.raises(ReadIncomplete):
        reader.get("/v1/roles")
    assert client.tolerant == [True, False]
