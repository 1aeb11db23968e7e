"""The driver of flows: what each policy carries out."""

from __future__ import annotations

from typing import Any

import pytest

from reconciler.api.driver import Connections, Host, NotSent, Policy, drive
from reconciler.api.protocol import (
    Call,
    Elapsed,
    Flow,
    Login,
    OwnCluster,
    OwnClusterInfo,
    ProjectCluster,
    ProjectClusters,
    ReadFile,
    Reconnect,
    Response,
    Wait,
)
from reconciler.errors import Ambiguous, Conflict, Interrupted, ReconcilerError
from reconciler.runtime import Runtime
from reconciler.simulator.testing import VirtualClock

WRITE = Call("POST", "/v1/roles", {"name": "app"})
READ = Call("GET", "/v1/roles", tolerant=True)


class Client:
    """Records what it is asked to do."""

    def __init__(self, error: ReconcilerError | None = None) -> None:
        self.done: list[Any] = []
        self.error = error

    def get(self, path: str, **options: Any) -> Response:
        self.done.append(("get", path, options["tolerant"]))
        return Response(200, [], {})

    def send(self, call: Call) -> Response:
        self.done.append(("send", call.path))
        if self.error is not None:
            raise self.error
        return Response(200, {"uid": 1}, {})

    def accepts(self, login: Login) -> bool:
        return login.password == "right"

    def reconnect(self, port: int = 0) -> None:
        self.done.append(("reconnect", port))

    def at(self, url: str) -> Client:
        self.done.append(("at", url))
        return self

    def home(self, *, reveal: bool = False) -> OwnClusterInfo:
        return OwnClusterInfo(("https://node:9443",), "me", "secret" if reveal else "")

    def close(self) -> None:
        self.done.append("close")


def host(**more: Any) -> Host:
    clock = VirtualClock()
    return Host(Runtime(clock=clock, sleep=clock.sleep), **more)


def flow_of(*effects: Any) -> Flow[list[Any]]:
    found = []
    for effect in effects:
        found.append((yield effect))
    return found


@pytest.mark.parametrize(
    "effect", [WRITE, Wait(1, 2), Reconnect(), ReadFile("a"), READ._replace(login=Login("a", "b"))]
)
def test_a_read_only_flow_that_does_anything_but_read_is_a_bug(effect: Any) -> None:
    client = Client()
    with pytest.raises(TypeError, match="must not yield"):
        drive(flow_of(effect), client, Policy.READ_ONLY, host=host())
    assert client.done == []


def test_a_read_only_flow_reads_and_gets_no_password() -> None:
    client, other = Client(), Client()
    around = {"west": ProjectCluster(("https://west:9443",), True)}
    connections = Connections({"west": other}, around)
    effects = (READ, READ._replace(cluster="west"), READ._replace(node="https://n"), OwnCluster(), ProjectClusters())
    found = drive(flow_of(*effects), client, connections=connections)
    assert client.done == [("get", READ.path, True), ("at", "https://n"), ("get", READ.path, True), "close"]
    assert other.done == [("get", READ.path, True)]
    assert (found[3].password, found[4]) == ("", around)


def test_a_dry_run_stops_before_the_first_write_and_hands_it_back() -> None:
    client = Client()
    with pytest.raises(NotSent) as reached:
        drive(flow_of(READ, WRITE, READ), client, Policy.DRY_RUN)
    assert reached.value.call == WRITE
    assert client.done == [("get", READ.path, True)]


def test_a_dry_run_stops_at_a_wait_too() -> None:
    with pytest.raises(NotSent) as reached:
        drive(flow_of(Wait(1, 2), WRITE), Client(), Policy.DRY_RUN)
    assert reached.value.call is None


def test_everything_is_carried_out_under_the_policy_all() -> None:
    client, waits = Client(), []
    effects = (
        READ,
        WRITE,
        Wait(2, 2, "busy"),
        Reconnect(9555),
        ReadFile("a"),
        READ._replace(login=Login("a", "right")),
        READ._replace(login=Login("a", "wrong")),
        OwnCluster(),
    )
    everything = host(read_file=lambda path: path.encode(), on_wait=waits.append)
    found = drive(flow_of(*effects), client, Policy.ALL, host=everything)
    assert client.done == [("get", READ.path, False), ("send", WRITE.path), ("reconnect", 9555)]
    assert isinstance(found[2], Elapsed)
    assert (found[2].slept, waits) == (2.0, ["busy"])
    assert [found[4], found[5].status, found[6].status, found[7].password] == [b"a", 200, 401, "secret"]


def test_an_error_of_a_call_is_raised_at_its_yield() -> None:
    def flow() -> Flow[str]:
        try:
            yield WRITE
        except Ambiguous:
            return "caught"
        return "sent"

    assert drive(flow(), Client(Ambiguous("lost")), Policy.ALL, host=host()) == "caught"


def test_a_wait_ends_after_a_request_to_stop() -> None:
    stopped = host()
    stopped.runtime.stop.set()
    with pytest.raises(Interrupted, match="checked again on the next run"):
        drive(flow_of(Wait(5, 5)), Client(), Policy.ALL, host=stopped)


def test_a_cluster_that_is_not_part_of_the_run_is_a_conflict() -> None:
    with pytest.raises(Conflict, match="west is not part of this run"):
        drive(flow_of(READ._replace(cluster="west")), Client())
