"""The loop: fetches the source, gives each cluster its passes when they are due, and puts on the board what came of it.

`commands.run` starts it. One thread turns it and decides; passes and fetches happen in others, so that nothing that is
slow holds up anything else. It knows when, in `backoff` and `lanes`, and who, and nothing of what a pass does.
"""

from __future__ import annotations

import queue
import random as random_module
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, NamedTuple

from reconciler import telemetry
from reconciler.agent import backoff, lanes
from reconciler.agent.follow import Followed, Follower
from reconciler.agent.logins import Logins
from reconciler.agent.orders import Ended, Job, Office
from reconciler.agent.passes import make_pass
from reconciler.agent.roster import Cluster, Roster, refused_by
from reconciler.agent.status import ClusterStatus, Failure, Phase
from reconciler.agent.topics import APPROVED
from reconciler.errors import InputError, Interrupted, LedgerError, ReconcilerError, Unauthorized
from reconciler.kinds import load_kinds

if TYPE_CHECKING:
    from reconciler.settings import Settings

GLANCE: Final = 5.0  # seconds between two looks at approvals and secrets
GRACE: Final = 30.0  # seconds that calls in flight get to end
_TRIM: Final = 3600.0

Submit = Callable[[Callable[[], None]], object]


@dataclass(frozen=True, slots=True)
class Means:
    """The outside of the loop, all of it replaceable."""

    submit: Submit  # runs something in another thread
    submit_fetch: Submit
    clock: Callable[[], float] = time.monotonic
    wait: Callable[[threading.Event, float], object] = lambda event, seconds: event.wait(seconds)
    chance: Callable[[], float] = random_module.random
    make_pass: Callable[[Office, Job], Ended] = make_pass
    glance: float = GLANCE
    reload: Callable[[], Settings | None] = lambda: None  # None: they are bad, and that was told


class _Fetched(NamedTuple):
    followed: Followed


class _Passed(NamedTuple):
    name: str
    ended: Ended
    revision: str


class Loop:
    """The agent. `run` returns when it is told to stop, or after one pass over all."""

    def __init__(self, office: Office, follower: Follower, means: Means) -> None:
        self.office = office
        self.follower = follower
        self.means = means
        self.logins = Logins(office.ledger, office.now)
        self.news: queue.SimpleQueue[_Fetched | _Passed] = queue.SimpleQueue()
        self.wake = threading.Event()
        self.roster = Roster(load_kinds())
        self.revision = ""
        self.abandoned = False  # calls were still under way when we had to leave
        self._codes: set[int] = set()  # of failures
        self.last_turn = means.clock()
        self._fetch = backoff.State(due=self.last_turn)
        self._fetching = False
        self._wanted_reload = False
        self._once = False  # only one pass over each
        self._glanced = self._trimmed = self.last_turn
        self._take(office.settings)

    # --- what others may call, from any thread ------------------------------------------------------------------------

    def fetch_now(self) -> None:
        """Look at the source as soon as can be."""
        self._fetch = backoff.woken(self._fetch, self.means.clock())
        self.wake.set()

    def reload(self) -> None:
        """Read the settings again; safe in a signal handler."""
        self._wanted_reload = True
        self.wake.set()

    def stop(self) -> None:
        """Begin nothing more; safe in a signal handler."""
        self.office.stop.set()
        self.wake.set()

    def since_turn(self) -> float:
        """Return for how long the loop has not turned, in seconds."""
        return self.means.clock() - self.last_turn

    @property
    def code(self) -> int:
        """The exit code of a round: 130 if it was stopped, else the worst that happened, else 0."""
        if self.office.stop.is_set():
            return Interrupted.exit_code
        source = self.follower.failure
        codes = self._codes | ({source.exit_code} if source is not None else set())
        codes |= {Unauthorized.exit_code for _, one in self.roster if one.state.barred > self.means.clock()}
        return max(codes, default=0)

    # --- the loop ---------------------------------------------------------------------------------------

    def run(self, *, once: bool = False) -> None:
        """Turn until told to stop; with *once* until each cluster had a pass. Raises what the source raised then."""
        stop, self._once = self.office.stop, once
        self.resume()
        while not stop.is_set():
            self.turn()
            if once and self._all_done():
                break
            self.means.wait(self.wake, self.pause())
        self._leave()

    def turn(self) -> None:
        """Do what is to be done now."""
        self.wake.clear()
        self.last_turn = self.means.clock()
        self._collect()
        if self._wanted_reload:
            self._wanted_reload = False
            settings = self.means.reload()
            if settings is not None:
                self._take(settings)
        self._glance()
        self._start_fetch()
        self._start_passes()
        self._trim()

    def _all_done(self) -> bool:
        if self.follower.failure and not self.revision and not self._fetching:
            return True
        return bool(self.revision) and self.roster.all_seen(self.means.clock())

    def pause(self) -> float:
        """Return how long nothing is to be done."""
        now = self.means.clock()
        times = [self._glanced + self.means.glance]
        if not self._fetching and self._fetch.next is not None:
            times.append(self._fetch.next)
        if self.revision:
            times += self.roster.times(now)
        later = [at for at in times if at > now]
        return max(0.0, min(later, default=now + self.means.glance) - now)

    # --- settings ---------------------------------------------------------------------------------------

    def _take(self, settings: Settings) -> None:
        """Work with *settings* from here on: clusters come, go, or are treated in another way."""
        first = not self.roster.clusters
        self.office = replace(self.office, settings=settings)
        self.roster.take(settings.selected, self.means.clock())
        board = self.office.board
        before, shown = board.status.clusters, {}
        for name, one in self.roster:
            mode = one.target.agent_policy.mode
            shown[name] = replace(before.get(name) or ClusterStatus(name, mode), mode=mode)
            if one.state.suspended:
                shown[name] = replace(shown[name], phase=Phase.SUSPENDED, next_pass=None)
        board.update(clusters=MappingProxyType(shown))
        self.follower.take(settings)
        if not first:
            self.fetch_now()

    def resume(self) -> None:
        """Go on where an agent before us was: nobody's login is tried sooner than it would have."""
        now = self.means.clock()
        for name, one in self.roster:
            left = self.logins.barred(self.office.settings, one.target)
            if left > 0:
                one.state = replace(one.state, barred=now + left, fault=backoff.Fault.UNAUTHORIZED, failures=1)
                one.away = True
                self._show_barred(name, left)

    def _show_barred(self, name: str, left: float) -> None:
        text = f"the login was refused; it is not tried again for {left:.0f} s, or until it is another one"
        failure = Failure("Unauthorized", text, self.office.now())
        self.office.board.update_cluster(name, phase=Phase.FAILING, failure=failure)

    # --- the source ---------------------------------------------------------------------------------------

    def _start_fetch(self) -> None:
        due = self._fetch.next
        if self._fetching or due is None or due > self.means.clock():
            return
        self._fetching = True

        def work() -> None:
            self.tell("fetch.started")
            followed = self.follower.follow(self.office.stop)
            error = type(followed.failure).__name__ if followed.failure else ""
            self.tell("fetch.failed" if error else "fetch.done", revision=followed.revision, failure=error)
            self.news.put(_Fetched(followed))
            self.wake.set()

        self.means.submit_fetch(work)

    def _fetched(self, followed: Followed) -> None:
        self._fetching = False
        now, pace = self.means.clock(), backoff.Pace(self.follower.interval, 30.0, 600.0)
        if followed.failure is None or isinstance(followed.failure, InputError):  # it could be fetched
            self._fetch = backoff.succeeded(self._fetch, now, pace, self.means.chance())
        else:
            fault = backoff.fault_of(followed.failure)
            fault = backoff.Fault.FAILED if fault is backoff.Fault.UNAUTHORIZED else fault
            self._fetch = backoff.failed(self._fetch, now, fault, pace, self.means.chance())
        if followed.manifests is None:
            return
        self.revision = followed.revision
        self.roster.assign(followed.manifests.resources, now)

    # --- passes ---------------------------------------------------------------------------------------

    def _start_passes(self) -> None:
        if not self.revision:
            return
        now, agent = self.means.clock(), self.office.settings.agent
        room = lanes.Room(agent.parallelism, agent.max_failing)
        for name in self.roster.chosen(room, now, once=self._once):
            self._start(name, self.roster.clusters[name], now)

    def _start(self, name: str, one: Cluster, now: float) -> None:
        one.running = lanes.Running(now, one.state.failures > 0)
        one.again = False
        self.office.doors.open(name)
        office, job, make = self.office, self.roster.job(name, self.revision, now), self.means.make_pass

        def work() -> None:
            ended = Ended(ReconcilerError("the pass ended without a result; please report it"))
            try:
                ended = make(office, job)
            finally:
                self.news.put(_Passed(name, ended, job.revision))
                self.wake.set()

        self.means.submit(work)

    def _collect(self) -> None:
        """Take in what other threads have to say."""
        while True:
            try:
                news = self.news.get_nowait()
            except queue.Empty:
                return
            if isinstance(news, _Fetched):
                self._fetched(news.followed)
            else:
                self._passed(news)

    def _passed(self, news: _Passed) -> None:
        one = self.roster.get(news.name)
        if one is None:  # it left the settings meanwhile
            return
        ended = news.ended
        left = ended.again_at - self.office.now() if ended.again_at is not None else None
        self.roster.ended(news.name, ended, self.means.clock(), left=left, chance=self.means.chance())
        if ended.failure is None:
            self.logins.accepted(one.target)
        else:
            self._codes.add(ended.failure.exit_code)
        for name in sorted(refused_by(news.name, ended)):
            other = self.roster.get(name)
            if other is not None:
                self.logins.refused(self.office.settings, other.target)
                if other is not one:
                    self._show_barred(name, backoff.CREDENTIAL)
        self._show(one, news)

    def _show(self, one: Cluster, news: _Passed) -> None:
        """Put on the board how a pass ended, and tell who listens."""
        board, failure, name = self.office.board, news.ended.failure, news.name
        before = board.status.clusters[name]
        due = one.state.next
        at = self.office.now() + max(0.0, due - self.means.clock()) if due is not None else None
        now = self.office.now()
        changes: dict[str, object] = {
            "next_pass": at,
            "last_pass": now,
            "seconds": news.ended.seconds,
            "progress": None,
        }
        if failure is None:
            changes.update(failure=None, last_success=now, revision=news.revision)
        else:
            count = before.failure.count + 1 if before.failure else 1
            told = Failure(type(failure).__name__, self._clean(str(failure)), now, count)
            changes.update(failure=told, phase=Phase.FAILING)
        if one.state.suspended:
            changes["phase"] = Phase.SUSPENDED
        board.update_cluster(name, **changes)
        after = board.status.clusters[name]
        about = {
            "cluster": name,
            "mode": after.mode,
            "revision": news.revision,
            "phase": after.phase.value,
            "changes": news.ended.changes,
            "differences": news.ended.differences,
            "plan": after.plan_digest if after.phase is Phase.APPROVAL else "",
            "seconds": round(after.seconds, 3),
        }
        if failure is not None:
            about |= {"failure": type(failure).__name__, "why": self._clean(str(failure))}
        self.tell("pass.failed" if failure is not None else "pass.done", **about)

    def _clean(self, text: str) -> str:
        return self.office.settings.redactor.redact(text)

    def tell(self, name: str, **attributes: object) -> None:
        """Tell who listens."""
        self.office.observe(telemetry.Event(name, attributes))

    # --- now and then ---------------------------------------------------------------------------------------

    def _glance(self) -> None:
        """See whether somebody approved a plan, or exchanged a secret that was refused."""
        now = self.means.clock()
        if now - self._glanced < self.means.glance:
            return
        self._glanced = now
        try:
            for cluster in self._approved():
                one = self.roster.get(cluster)
                if one is not None:
                    one.state = backoff.woken(one.state, now)
            for _, one in self.roster:
                if one.state.barred > now and self.logins.changed(self.office.settings, one.target):
                    one.state = backoff.trusted_again(one.state, now)
        except LedgerError as error:  # a full disk must not end the agent: it looks again
            self.tell("ledger.unusable", why=str(error))

    def _approved(self) -> Iterable[str]:
        """Return the clusters with an approved plan that was not looked at since."""
        facts: Mapping[tuple[str, str], float] = {
            place: fact.at for place, fact in self.office.ledger.memory.everywhere(APPROVED).items()
        }
        for (cluster, _), at in facts.items():
            status = self.office.board.status.clusters.get(cluster)
            if status is not None and (status.last_pass is None or status.last_pass <= at):
                yield cluster

    def _trim(self) -> None:
        """Keep the ledger's files flat."""
        now, agent = self.means.clock(), self.office.settings.agent
        if now - self._trimmed >= _TRIM:
            self._trimmed = now
            try:
                self.office.ledger.trim(keep_runs=agent.keep_runs, keep_seconds=agent.keep_days * 86_400.0)
            except ReconcilerError as error:
                self.tell("ledger.untrimmed", why=str(error))

    def _leave(self) -> None:
        """Wait for what is under way, for as long as is granted."""
        self.office.board.update(stopping=True)
        deadline = self.means.clock() + GRACE
        while self.roster.busy or self._fetching:
            left = deadline - self.means.clock()
            if left <= 0:
                self.abandoned = True
                self.tell("agent.abandoned", why="calls in flight did not end in time; the next start looks at them")
                return
            self.wake.clear()
            self._collect()
            if self.roster.busy or self._fetching:
                self.means.wait(self.wake, min(left, 1.0))
