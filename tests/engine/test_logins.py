"""Rejected logins: the simulator counts them and really locks the account, so it decides whether too many were sent."""

from __future__ import annotations

import contextlib
import hashlib
import random
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from reconciler.client import Client
from reconciler.errors import LedgerUnwritable, ReconcilerError, Unauthorized
from reconciler.ledger import Ledger, Logins
from reconciler.secrets import Secret
from reconciler.simulator.state.records import digest
from tests.support.cluster import SimulatedCluster

WINDOW = 900.0  # in which five failed logins lock an account


class Shared:
    """A cluster, and the state folder that several processes share, each with a ledger of its own."""

    def __init__(self, folder: Path) -> None:
        self.cluster = SimulatedCluster(nodes=2)
        self.folder = folder
        self.ledgers: list[Ledger] = []

    def process(self) -> Ledger:
        """Return the ledger of a new process."""
        self.ledgers.append(Ledger.open(self.folder, now=self.cluster.clock))
        return self.ledgers[-1]

    def client(self, logins: Logins, password: str) -> Client:
        settings = self.cluster.core.settings
        login = logins.of(self.cluster.endpoints().urls, settings.username, Secret(password))
        return self.cluster.client(password=password, login=login)

    def rotate(self, password: str) -> None:
        """Change the password on the cluster, as another administrator does."""
        (user,) = self.cluster.core.state.users.values()
        user.hidden["password"] = digest(password)
        self.cluster.core.state.changed(self.cluster.core.state.users)

    @property
    def rejected(self) -> list[float]:
        """When logins were rejected."""
        return [entry.time for entry in self.cluster.log if entry.status == 401]

    @property
    def locked(self) -> bool:
        (user,) = self.cluster.core.state.users.values()
        return "locked_until" in user.hidden

    def most_rejected(self) -> int:
        """Return how many logins were rejected within the time in which the cluster counts."""
        return max((sum(at <= one < at + WINDOW for one in self.rejected) for at in self.rejected), default=0)


@pytest.fixture
def shared(tmp_path: Path) -> Iterator[Shared]:
    shared = Shared(tmp_path / "state")
    yield shared
    for ledger in shared.ledgers:
        ledger.disconnect()


def reads(client: Client, count: int = 8) -> list[BaseException | None]:
    """Send as many GETs at the same time; return how each failed."""
    barrier = threading.Barrier(count)

    def one(path: str) -> None:
        barrier.wait()
        client.get(path)

    with ThreadPoolExecutor(count) as pool:
        return [done.exception() for done in [pool.submit(one, "/v1/bdbs") for _ in range(count)]]


def test_processes_that_start_together_send_a_wrong_password_once(shared: Shared) -> None:
    clients = [shared.client(shared.process().logins, "wrong") for _ in range(6)]
    barrier = threading.Barrier(6)

    def start(client: Client) -> None:
        barrier.wait()
        client.open()

    with ThreadPoolExecutor(6) as pool:
        failures = [one.exception() for one in [pool.submit(start, client) for client in clients]]
    assert {type(one) for one in failures} == {Unauthorized}
    assert len(shared.rejected) == 1


@pytest.mark.parametrize("before", [1, 3])
def test_a_password_that_is_changed_during_a_run_is_rejected_at_most_twice(shared: Shared, before: int) -> None:
    clients = [shared.client(shared.process().logins, "simulator") for _ in range(before)]
    for client in clients:
        client.open()
    shared.rotate("another")
    failures = [one for client in clients for one in reads(client)]
    assert {type(one) for one in failures} == {Unauthorized}
    assert len(shared.rejected) <= 2
    assert not shared.locked


def test_a_single_rejection_of_a_password_that_worked_does_not_end_the_run(shared: Shared) -> None:
    logins = shared.process().logins
    client = shared.client(logins, "simulator")
    client.open()
    shared.cluster.faults.add("401", path="/v1/bdbs")
    assert reads(client) == [None] * 8
    assert len(shared.rejected) == 1
    assert shared.client(shared.process().logins, "simulator").open().status == 200  # and it is not remembered


def test_another_password_is_sent_at_once_but_never_a_fourth(shared: Shared) -> None:
    for password in ("one", "two", "three", "four", "five", "six"):
        with pytest.raises(Unauthorized):
            shared.client(shared.process().logins, password).open()
    assert len(shared.rejected) == 3
    shared.cluster.clock.sleep(1201)
    assert shared.client(shared.process().logins, "simulator").open().status == 200


def test_a_retry_on_request_sends_the_same_password_once_and_never_the_fifth(shared: Shared) -> None:
    for _ in range(8):
        logins = shared.process().logins
        logins.retry()
        for _ in range(2):
            with pytest.raises(Unauthorized):
                shared.client(logins, "wrong").open()
        shared.cluster.clock.sleep(1)
    assert len(shared.rejected) == 4
    assert not shared.locked


def test_other_nodes_of_the_same_cluster_are_not_tried_with_a_rejected_password(shared: Shared) -> None:
    urls = shared.cluster.endpoints().urls
    with pytest.raises(Unauthorized):
        shared.client(shared.process().logins, "wrong").open()
    for some in (urls[1:], urls[::-1]):
        login = shared.process().logins.of(some, shared.cluster.core.settings.username, Secret("wrong"))
        with pytest.raises(Unauthorized, match="were rejected before"):
            shared.cluster.client(password="wrong", login=login).open()
    assert len(shared.rejected) == 1


def test_without_a_place_to_write_a_rejection_is_remembered_by_the_process_and_the_message_says_so(
    shared: Shared,
) -> None:
    def create() -> None:
        raise LedgerUnwritable("the disk is full")

    logins = Logins(now=shared.cluster.clock, create=create)
    with pytest.raises(Unauthorized, match=r"could not be recorded, so do not run this again before then \(the disk"):
        shared.client(logins, "wrong").open()
    with pytest.raises(Unauthorized, match="were rejected before"):
        shared.client(logins, "wrong").open()
    assert len(shared.rejected) == 1


def test_a_clock_that_is_set_back_blocks_no_longer_than_twenty_minutes(shared: Shared) -> None:
    with pytest.raises(Unauthorized):
        shared.client(shared.process().logins, "simulato").open()
    shared.cluster.clock.now -= 86_400
    shared.rotate("simulato")
    login = shared.process().logins.of(shared.cluster.endpoints().urls, "admin@example.com", Secret("simulato"))
    assert login.blocked_until() <= shared.cluster.clock() + 1200


def test_the_ledger_has_no_password_and_no_digest_without_its_key(shared: Shared) -> None:
    with pytest.raises(Unauthorized):
        shared.client(shared.process().logins, "canary-Wr0ng-Pa55").open()
    for ledger in shared.ledgers:
        ledger.disconnect()
    data = b"".join(path.read_bytes() for path in shared.folder.iterdir() if path.is_file() and path.name != "key")
    assert b"canary-Wr0ng-Pa55" not in data
    assert hashlib.sha256(b"canary-Wr0ng-Pa55").hexdigest().encode() not in data
    assert b"admin@example.com" not in data


@pytest.mark.parametrize("seed", range(40))
def test_no_schedule_of_commands_threads_and_rotations_locks_the_account(tmp_path: Path, seed: int) -> None:
    chance, shared = random.Random(seed), Shared(tmp_path / "state")
    passwords = ["simulator", "p2", "p3"]
    running = [shared.client(shared.process().logins, chance.choice(passwords))]
    for _ in range(30):
        event = chance.choice(("start", "start", "read", "rotate", "retry", "wait", "incident"))
        if event == "start":
            running = [*running[-2:], shared.client(shared.process().logins, chance.choice(passwords))]
            attempt(running[-1].open)
        elif event == "read":
            reads(chance.choice(running), chance.choice((1, 4, 8)))
        elif event == "rotate":
            shared.rotate(chance.choice(passwords))
        elif event == "retry" and chance.random() < 0.3:
            ledger = shared.process()
            ledger.logins.retry()
            attempt(shared.client(ledger.logins, chance.choice(passwords)).open)
        elif event == "incident":
            shared.cluster.faults.add(chance.choice(("401", "lost", "503")))
        shared.cluster.clock.sleep(chance.choice((0.1, 5, 60, 600)) if event == "wait" else 0.1)
        assert not shared.locked, f"seed={seed}"
    assert shared.most_rejected() <= 4
    for ledger in shared.ledgers:
        ledger.disconnect()


def attempt(work: Callable[[], Any]) -> None:
    """Do *work*, whatever becomes of it."""
    with contextlib.suppress(ReconcilerError):
        work()
