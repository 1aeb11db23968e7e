"""Rotation, circuit breakers, retry budget, throttling and reconnects of the client, in virtual time."""

from __future__ import annotations

import random

import pytest

from reconciler.api.protocol import Call
from reconciler.client import RetryPolicy
from reconciler.client.node_pool import CircuitBreaker, NodePool, RetryBudget
from reconciler.client.retry import RequestOutcome, retry_after
from reconciler.errors import Interrupted, ReadIncomplete, Unauthorized, Unreachable
from tests.support.cluster import SimulatedCluster
from tests.support.inprocess import Moving

ACL = {"name": "app", "acl": "+@read ~*"}


def nodes_asked(cluster: SimulatedCluster) -> list[int]:
    return [entry.node for entry in cluster.log]


def test_a_node_that_refuses_costs_no_time_when_another_serves() -> None:
    cluster = SimulatedCluster(nodes=3)
    cluster.core.set_node(1, up=False)
    cluster.client().open()
    assert nodes_asked(cluster) == [1, 2]
    assert cluster.sleeps == []


def test_the_client_stays_with_the_node_that_served() -> None:
    cluster = SimulatedCluster(nodes=3)
    cluster.faults.add("refuse", node=1)
    client = cluster.client()
    client.open()
    for _ in range(3):
        client.get("/v1/bdbs")
    assert nodes_asked(cluster) == [1, 2, 2, 2, 2]


def test_a_node_outside_the_cluster_is_out_of_rotation_for_five_minutes() -> None:
    cluster = SimulatedCluster(nodes=1, outside=1)
    client = cluster.client(first=2)
    client.open()
    assert nodes_asked(cluster) == [2, 1]
    cluster.faults.add("500", node=1)  # even then: the retry goes to the member
    cluster.clock.sleep(290)
    client.get("/v1/bdbs")
    assert nodes_asked(cluster)[2:] == [1, 1]


def test_a_node_outside_is_used_again_when_no_other_is_left() -> None:
    cluster = SimulatedCluster(nodes=1)
    client = cluster.client()
    cluster.faults.add("503_member", times=2)
    client.open()
    assert nodes_asked(cluster) == [1, 1, 1]


def test_a_write_goes_past_a_node_outside_the_cluster_at_once() -> None:
    cluster = SimulatedCluster(nodes=1, outside=1)
    client = cluster.client(first=2)
    client.send(Call("POST", "/v1/redis_acls", ACL))
    assert [(entry.node, entry.effect) for entry in cluster.log] == [(2, False), (1, True)]
    assert cluster.sleeps == []


def test_retry_after_is_the_least_that_is_waited() -> None:
    cluster = SimulatedCluster(nodes=1)
    client = cluster.client()
    client.open()
    cluster.faults.add("429", method="POST", retry_after=30)
    client.send(Call("POST", "/v1/redis_acls", ACL))
    assert 30 <= cluster.sleeps[0] <= 33


def test_a_wait_that_passes_the_deadline_is_not_begun() -> None:
    cluster = SimulatedCluster(nodes=1)
    client = cluster.client()
    client.open()
    cluster.faults.add("429", method="POST", retry_after=200)
    with pytest.raises(Unreachable, match="slow down"):
        client.send(Call("POST", "/v1/redis_acls", ACL))
    assert cluster.sleeps == []


def test_throttling_holds_every_call_to_the_cluster() -> None:
    cluster = SimulatedCluster(nodes=2)
    client = cluster.client()
    client.open()
    cluster.faults.add("429", method="POST", retry_after=200)
    with pytest.raises(Unreachable):
        client.send(Call("POST", "/v1/redis_acls", ACL))
    before = len(cluster.log)
    with pytest.raises(Unreachable):
        client.get("/v1/bdbs")
    assert len(cluster.log) == before


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, 0),
        ({"retry-after": "7"}, 7),
        ({"retry-after": " 7 "}, 7),
        ({"retry-after": "-7"}, 0),
        ({"retry-after": "99999"}, 300),
        ({"retry-after": "9" * 5000}, 300),
        ({"retry-after": "٣"}, 0),
        ({"retry-after": "soon"}, 0),
        ({"retry-after": "Wed, 21 Oct 2026 07:28:10 GMT", "date": "Wed, 21 Oct 2026 07:28:00 GMT"}, 10),
        ({"retry-after": "Wed, 21 Oct 2026 07:28:00 GMT", "date": "Wed, 21 Oct 2026 07:28:10 GMT"}, 0),
        ({"retry-after": "Wed, 21 Oct 2026 07:28:10 GMT"}, 0),
        ({"retry-after": "Wed, 21 Oct 2026 07:28:10 -0000", "date": "Wed, 21 Oct 2026 07:28:00 GMT"}, 0),
    ],
)
def test_retry_after_in_all_its_forms(headers: dict[str, str], seconds: float) -> None:
    assert retry_after(headers, 300) == seconds


def test_backoff_is_full_jitter_up_to_a_cap() -> None:
    policy, chance = RetryPolicy(), random.Random(1)
    for attempt, most in enumerate([0.5, 1, 2, 4, 8, 16, 20, 20]):
        pauses = [policy.backoff(attempt, chance) for _ in range(300)]
        assert 0 <= min(pauses) < most * 0.1
        assert most * 0.9 < max(pauses) <= most


def test_retries_stop_when_the_budget_is_used_up() -> None:
    budget = RetryBudget()
    assert [budget.spend(RequestOutcome.SERVER_ERROR) for _ in range(11)] == [True] * 10 + [False]
    for _ in range(5):
        budget.earn()
    assert budget.spend(RequestOutcome.SERVER_ERROR)
    assert not budget.spend(RequestOutcome.SERVER_ERROR)


def test_a_timeout_costs_twice_the_budget() -> None:
    budget = RetryBudget()
    assert [budget.spend(RequestOutcome.NO_RESPONSE) for _ in range(6)] == [True] * 5 + [False]


def test_a_failing_cluster_gets_fewer_and_fewer_retries() -> None:
    cluster = SimulatedCluster(nodes=1)
    client = cluster.client()
    client.open()
    cluster.faults.add("429", times=10_000, retry_after=0)
    for _ in range(30):
        with pytest.raises(Unreachable):
            client.get("/v1/bdbs")
    retries = len(cluster.log) - 1 - 30
    assert retries == 10  # 50 tokens at 5 each


def test_the_breaker_opens_after_five_failures_and_tries_one_get_later() -> None:
    cluster = SimulatedCluster(nodes=1)
    client = cluster.client()
    client.open()
    cluster.faults.add("500", times=5)
    for _ in range(2):
        with pytest.raises(Unreachable):
            client.get("/v1/bdbs")
    assert len(cluster.log) == 6
    assert [event.name for event in cluster.events].count("breaker.opened") == 1
    with pytest.raises(Unreachable, match="500"):
        client.send(Call("POST", "/v1/redis_acls", ACL))
    assert len(cluster.log) == 6
    cluster.clock.sleep(40)
    client.send(Call("POST", "/v1/redis_acls", ACL))
    assert [(entry.method, entry.path) for entry in cluster.log[6:]] == [
        ("GET", "/v1/nodes"),
        ("POST", "/v1/redis_acls"),
    ]


def test_a_failed_trial_keeps_the_breaker_open() -> None:
    breaker = CircuitBreaker()
    for _ in range(5):
        opened = breaker.record(RequestOutcome.SERVER_ERROR, 0, 30)
    assert opened
    assert breaker.state(29) == "open"
    assert breaker.state(30) == "half-open"
    breaker.probing = True
    assert breaker.state(31) == "open"
    assert breaker.record(RequestOutcome.NO_RESPONSE, 31, 30)
    assert breaker.state(60) == "open"
    assert breaker.state(61) == "half-open"
    breaker.record(RequestOutcome.SUCCESS, 61, 30)
    assert breaker.state(61) == "closed"


def test_the_breaker_opens_when_half_of_twenty_fail() -> None:
    breaker = CircuitBreaker()
    opened = [
        breaker.record([RequestOutcome.SERVER_ERROR, RequestOutcome.SUCCESS][n % 2], float(n), 30) for n in range(21)
    ]
    assert opened.index(True) == 20


def test_a_refusal_of_the_server_is_no_failure_of_its_node() -> None:
    breaker = CircuitBreaker()
    for _ in range(30):
        breaker.record(RequestOutcome.REJECTED, 0, 30)
    assert breaker.state(0) == "closed"


def test_a_stale_read_is_taken_to_other_nodes_three_times() -> None:
    cluster = SimulatedCluster(nodes=3)
    client = cluster.client(state_id=1_000_000)
    with pytest.raises(ReadIncomplete, match="older than 1000000"):
        client.get("/v1/bdbs")
    assert sorted(nodes_asked(cluster)) == [1, 2, 3]


def test_a_read_as_new_as_the_last_state_id_is_accepted() -> None:
    cluster = SimulatedCluster(nodes=1)
    client = cluster.client()
    client.send(Call("POST", "/v1/bdbs", {"name": "a", "memory_size": 1 << 30}))
    seen = client.state_id
    assert seen > 0
    client.get("/v1/bdbs")
    assert cluster.client(state_id=seen).get("/v1/bdbs").status == 200


def test_a_sleep_that_is_cut_short_ends_the_call() -> None:
    cluster = SimulatedCluster(nodes=1)
    cluster.faults.add("500", times=100)
    with pytest.raises(Interrupted, match="stopped before GET /v1/nodes was retried"):
        cluster.client(sleep=lambda seconds: True).open()
    assert len(cluster.log) == 1


def test_a_wrong_password_is_sent_once_and_not_again_for_twenty_minutes() -> None:
    cluster = SimulatedCluster(nodes=3)
    client = cluster.client(password="wrong")
    for _ in range(5):
        with pytest.raises(Unauthorized, match="not sent again before 2026-01-15T09:20:00Z"):
            client.open()
    assert len(cluster.log) == 1
    cluster.clock.sleep(1201)
    with pytest.raises(Unauthorized):
        client.get("/v1/bdbs")
    assert len(cluster.log) == 2


def test_an_untrusted_node_is_never_asked_again() -> None:
    nodes = NodePool(["a", "b"], RetryPolicy(), random.Random(1))
    chosen = nodes.choose((), 0.0)
    assert chosen is not None
    nodes.record(chosen[0], RequestOutcome.UNTRUSTED, 0.0, "expired")
    for now in (0.0, 1e9):
        found = nodes.choose((), now)
        assert found is not None
        assert found[0].url == "b"


# --- reconnecting -----------------------------------------------------------------------------------------------------


def test_the_nodes_are_asked_at_the_port_that_the_api_has_now() -> None:
    cluster = SimulatedCluster(nodes=2)
    transport = Moving(cluster.core, cluster.clock)
    client = cluster.client(transport=transport)
    client.open()
    transport.port = 8443
    with pytest.raises(Unreachable):
        client.get("/v1/bdbs")
    client.reconnect(8443)
    assert client.get("/v1/bdbs").body == []
    transport.port = 9443
    client.reconnect(8444)  # it should have moved, and did not
    assert client.get("/v1/bdbs").body == []


def test_a_reconnect_is_retried_as_long_as_services_may_need() -> None:
    cluster = SimulatedCluster(nodes=2)
    client = cluster.client()
    client.open()
    for uid in (1, 2):
        cluster.core.set_node(uid, up=False)
    began = cluster.clock()
    with pytest.raises(Unreachable):
        client.reconnect()
    policy = RetryPolicy()
    assert (
        policy.reconnect_timeout - policy.backoff_max
        <= cluster.clock() - began
        <= policy.reconnect_timeout + policy.call_timeout
    )
    cluster.core.set_node(2, up=True)
    client.reconnect()
    assert nodes_asked(cluster)[-1] == 2


def test_rejected_credentials_are_sent_once_during_a_reconnect() -> None:
    cluster = SimulatedCluster(nodes=2)
    client = cluster.client()
    client.open()
    cluster.faults.add("401", path="^/v1/nodes$", times=9)
    before = len(cluster.log)
    for _ in range(2):
        with pytest.raises(Unauthorized):
            client.reconnect()
    assert len(cluster.log) == before + 1


def test_a_reconnect_ends_on_a_request_to_stop() -> None:
    cluster = SimulatedCluster(nodes=1)
    stopping = [False]

    def sleep(seconds: float) -> bool:
        cluster.sleep(seconds)
        return stopping[0]

    client = cluster.client(sleep=sleep)
    client.open()
    cluster.core.set_node(1, up=False)
    stopping[0] = True
    with pytest.raises(Interrupted):
        client.reconnect()
