"""The table of what may be retried, in virtual time: every fault against every method."""

from __future__ import annotations

import pytest

from reconciler.api.protocol import Call, Response
from reconciler.client import Client
from reconciler.errors import Ambiguous, Busy, ClusterError, ReadIncomplete, Rejected, Unreachable
from tests.support.cluster import SimulatedCluster

BODY = {"name": "app", "acl": "+@read ~*"}
CALLS = {
    "GET": Call("GET", "/v1/redis_acls"),
    "POST": Call("POST", "/v1/redis_acls", BODY),
    "PUT": Call("PUT", "/v1/redis_acls/50", {"acl": "+@write ~*"}),
    "DELETE": Call("DELETE", "/v1/redis_acls/50"),
}
KNOWN_NOT_APPLIED = ["refuse", "503_member", "429", "409"]
UNCLEAR = [
    "drop", "reset", "lost", "500", "502", "503", "504", "500_after", "502_after", "503_after", "504_after",
    "truncate", "not_json", "wrong_type",
]  # fmt: skip


def cluster() -> tuple[SimulatedCluster, Client]:
    """Return a cluster with one ACL, uid 50, and a client that has logged in."""
    one = SimulatedCluster(nodes=1, snapshot={"/v1/redis_acls": [{"uid": 50, "name": "old", "acl": "+@all"}]})
    client = one.client()
    client.open()
    return one, client


def do(client: Client, method: str) -> Response:
    call = CALLS[method]
    return client.get(call.path, shape=list) if method == "GET" else client.send(call)


def sent(one: SimulatedCluster, method: str) -> int:
    return sum(entry.method == method and entry.path != "/v1/nodes" for entry in one.log)


@pytest.mark.parametrize("method", CALLS)
@pytest.mark.parametrize("fault", KNOWN_NOT_APPLIED)
def test_what_is_known_not_applied_is_sent_again(method: str, fault: str) -> None:
    one, client = cluster()
    one.faults.add(fault, method=method, path="redis_acls", times=2)
    do(client, method)
    assert sent(one, method) == 3
    assert sum(entry.effect for entry in one.log) == (0 if method == "GET" else 1)


@pytest.mark.parametrize("fault", UNCLEAR)
def test_a_read_is_repeated_after_an_unclear_answer(fault: str) -> None:
    one, client = cluster()
    one.faults.add(fault, method="GET", path="redis_acls", times=2)
    assert do(client, "GET").status == 200
    assert sent(one, "GET") == 3


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
@pytest.mark.parametrize("fault", UNCLEAR)
def test_a_write_is_never_repeated_after_an_unclear_answer(method: str, fault: str) -> None:
    one, client = cluster()
    one.faults.add(fault, method=method, times=2)
    with pytest.raises(Ambiguous, match="may have taken effect"):
        do(client, method)
    assert sent(one, method) == 1


@pytest.mark.parametrize("method", CALLS)
def test_silence_is_waited_for_no_longer_than_the_attempt_may_take(method: str) -> None:
    one, client = cluster()
    one.faults.add("slow", method=method, path="redis_acls", seconds=61.0)
    start = one.clock()
    if method == "GET":
        do(client, method)
        assert one.clock() - start < 17
    else:
        with pytest.raises(Ambiguous, match="no response in time"):
            do(client, method)
        assert one.clock() - start == pytest.approx(60 if method == "POST" else 15, abs=0.1)


@pytest.mark.parametrize("method", CALLS)
def test_a_dripping_answer_ends_at_the_deadline(method: str) -> None:
    one, client = cluster()
    one.faults.add("drip", method=method, path="redis_acls", seconds=4.0)
    start = one.clock()
    if method == "GET":
        do(client, method)
        assert one.clock() - start < 32
    else:
        with pytest.raises(Ambiguous):
            do(client, method)
        assert one.clock() - start == pytest.approx(60 if method == "POST" else 30, abs=0.1)


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ("refuse", Unreachable),
        ("503_member", Unreachable),
        ("503", Unreachable),
        ("500", Unreachable),
        ("429", Unreachable),
        ("drop", Unreachable),
        ("truncate", ReadIncomplete),
        ("not_json", ReadIncomplete),
        ("wrong_type", ReadIncomplete),
    ],
)
def test_a_read_gives_up_after_four_attempts(fault: str, error: type[ClusterError]) -> None:
    one, client = cluster()
    one.faults.add(fault, method="GET", path="redis_acls", times=100)
    with pytest.raises(error, match="GET /v1/redis_acls: no node"):
        do(client, "GET")
    assert sent(one, "GET") == 4
    assert len(one.sleeps) == 3


@pytest.mark.parametrize(
    ("call", "code"),
    [
        (Call("POST", "/v1/redis_acls", {"name": "old", "acl": "+@all"}), "name_already_exists"),
        (Call("POST", "/v1/redis_acls", {"name": 7, "acl": "+@all"}), "invalid_schema"),
        (Call("PUT", "/v1/redis_acls/99", {"acl": "+@all"}), "redis_acl_not_exist"),
    ],
)
def test_a_refusal_is_not_repeated(call: Call, code: str) -> None:
    one, client = cluster()
    with pytest.raises(Rejected, match=f"dc1: {call.method} .* at https://10.20.0.11:9443: 4") as caught:
        client.send(call)
    assert sent(one, call.method) == 1
    assert caught.value.error_code == code


def test_deleting_what_is_gone_is_an_answer() -> None:
    _, client = cluster()
    assert client.send(Call("DELETE", "/v1/redis_acls/99")).status == 404


def test_a_missing_object_is_an_answer_where_it_is_asked_for() -> None:
    _, client = cluster()
    assert client.get("/v1/redis_acls/99", missing_ok=True).status == 404
    with pytest.raises(Rejected, match="404"):
        client.get("/v1/redis_acls/99")


def test_busy_is_waited_for_ten_minutes_and_no_longer() -> None:
    one, client = cluster()
    one.faults.add("409", method="PUT", times=100_000)
    start = one.clock()
    with pytest.raises(Busy) as caught:
        do(client, "PUT")
    assert 560 < one.clock() - start <= 600
    assert caught.value.status == 409
    assert caught.value.error_code == "db_busy"
    assert all(0.5 <= pause <= 15 for pause in one.sleeps)
