"""One change from intent to record: the ledger first, then the calls, then the ledger again."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from reconciler.api import reconnect, write
from reconciler.api.codec import Reveal, Uid, encode
from reconciler.api.create import create
from reconciler.api.protocol import Body, Flow
from reconciler.api.task import Ended, Task
from reconciler.api.write import Expected
from reconciler.apply.driver import Connection, Means
from reconciler.apply.uid_index import Directory
from reconciler.diff.normalize import hidden_values
from reconciler.errors import ChangedUnderneath, Conflict, LedgerError, ReconcilerError
from reconciler.kinds import MISSING, Kind
from reconciler.kinds.vocabulary import is_value_from
from reconciler.ledger import Intent, Ledger, Record
from reconciler.model import Address, Owned
from reconciler.plan import Action, Change

if TYPE_CHECKING:
    from reconciler.secrets import Secret


@dataclass(slots=True)
class Done:
    """What performing a change left: the uid and the op id, as far as they are known."""

    uid: Uid | None = None
    operation: str = ""


@dataclass(frozen=True, slots=True)
class Site:
    """One cluster while one apply works on it."""

    name: str
    clients: Mapping[str, Connection]  # of every cluster of the run
    directories: Mapping[str, Directory]
    kinds: Mapping[str, Kind]
    ledger: Ledger
    owned: Mapping[Any, Owned]  # by address, as of the start
    unfinished: Mapping[Any, Intent]  # by address: creates whose outcome an earlier run did not learn
    reveal: Reveal
    new_id: Callable[[], str]
    window: float
    run: str
    means: Means

    @property
    def directory(self) -> Directory:
        return self.directories[self.name]

    def client_of(self, cluster: str) -> Connection:
        """Return the client of *cluster*, or our own for ""; raises Conflict for one that this run does not know."""
        found = self.clients.get(cluster or self.name)
        if found is None:
            raise Conflict(f"cluster {cluster} takes no part in this run; leave out --cluster, or add it there")
        return found

    def uid_of(self, address: Address) -> Uid:
        """Return the uid of what a manifest refers to, on whichever cluster."""
        directory = self.directories.get(address.cluster)
        if directory is None:
            raise Conflict(f"it refers to {address}, and that cluster takes no part in this run")
        return directory.uid(address.kind, address.name)


def perform(site: Site, change: Change, done: Done) -> None:
    """Do *change*; *done* says how far it came even if this raises. Raises ReconcilerError."""
    if change.action is Action.CREATE:
        _create(site, change, done, site.unfinished.get(change.address))
    elif change.action is Action.UPDATE:
        _update(site, change, done)
    elif change.action is Action.DELETE:
        _delete(site, change, done)
    elif change.action is Action.REPLACE:
        _delete(site, change, Done())
        _create(site, change, done, None)
    else:
        site.ledger.forget(change.address)


def _create(site: Site, change: Change, done: Done, before: Intent | None) -> None:
    """Create the object; *before* is what an earlier run began and did not learn the outcome of."""
    kind = site.kinds[change.address.kind]
    done.operation = before.op_id if before else site.new_id()
    secrets = _Secrets(site, change)
    wire = encode(kind, change.body, site.directory.uid, secrets.reveal)
    if not kind.singleton:
        wire.setdefault(kind.rest.key[0], change.address.name)
    task = _task(site, change, wire, done.operation)
    if task.hook.stamp is not None:
        task.wire = Body(task.hook.stamp(wire, done.operation))
    if before is not None:
        task.earlier = (before.body,)
    site.ledger.intend(_intent(site, change, done.operation, "create", None, secrets.digests))
    ended = _drive(site, change, task, create(task, sent_before=before is not None))
    _conclude(site, change, ended, done, secrets.digests)


def _update(site: Site, change: Change, done: Done) -> None:
    kind = site.kinds[change.address.kind]
    expected = _expected(site, change, done)
    done.operation = site.new_id()
    secrets = _Secrets(site, change)
    wire = encode(kind, change.body, site.directory.uid, secrets.reveal)
    if change.renamed_from:
        wire[kind.rest.key[0]] = change.address.name
    task = _task(site, change, wire, done.operation)
    site.ledger.intend(_intent(site, change, done.operation, "update", expected.uid, secrets.digests))
    ended = _drive(site, change, task, write.update(task, expected))
    _conclude(site, change, ended, done, secrets.digests)


def _delete(site: Site, change: Change, done: Done) -> None:
    expected = _expected(site, change, done)._replace(broken_too=True)
    done.operation = site.new_id()
    task = _task(site, change, Body(), done.operation)
    task.body = {}
    site.ledger.intend(_intent(site, change, done.operation, "delete", expected.uid, {}))
    ended = _drive(site, change, task, write.delete(task, expected))
    if ended.problem is not None:
        raise ended.problem
    site.directory.drop(change.address.kind, expected.uid)
    site.ledger.close(done.operation, "done", forget=change.address)
    _close_earlier(site, change, done)


def _expected(site: Site, change: Change, done: Done) -> Expected:
    """Return the identity that the plan was about; what this apply created is looked up by name."""
    address, mine = change.address, site.owned.get(change.address)
    uid = change.uid if change.uid is not None else site.directory.uid(address.kind, address.name)
    created = change.created
    if not created and mine is not None and mine.uid == uid:
        created = mine.created
    done.uid = uid
    return Expected(uid, change.renamed_from or address.name, created, change.rests_on)


def _task(site: Site, change: Change, wire: Body, operation: str) -> Task:
    kind = site.kinds[change.address.kind]
    return Task(
        kind=kind,
        address=change.address,
        body=change.body,
        wire=wire,
        names=site.directory.names,
        names_before=site.directory.names_before,
        operation=operation,
        window=site.window,
        asked=frozenset({*change.body, *(change.rests_on or ())}),
        changed={one.path: one.before is MISSING for one in change.fields},
        uid_of=site.uid_of,
    )


def _intent(site: Site, change: Change, op_id: str, action: str, uid: Uid | None, digests: Mapping[str, str]) -> Intent:
    body = {} if action == "delete" else change.body
    return Intent(op_id, action, change.address, body, uid, digests, run=site.run)


def _drive(site: Site, change: Change, task: Task, flow: Flow[Ended]) -> Ended:
    """Run *flow*; close the intent at once where nothing can have taken effect, and leave it open otherwise."""

    def waiting(status: str) -> None:
        about = {"number": change.number, "address": str(change.address), "status": status}
        site.means.tell("change.waiting", about)

    if change.cuts_off:
        flow = reconnect.regaining(task, flow)
    try:
        return site.means.drive(site.client_of, flow, waiting)
    except ReconcilerError as error:
        if not (task.accepted or task.unclear):
            outcome = "refused" if isinstance(error, ChangedUnderneath | Conflict) else "failed"
            site.ledger.close(task.operation, f"{outcome}: {type(error).__name__}")
        raise


def _conclude(site: Site, change: Change, ended: Ended, done: Done, digests: Mapping[str, str]) -> None:
    """Write down what is there now; then say so where it is not what was asked for.

    A create that went wrong has made an object all the same. An update that went wrong has applied nobody knows what,
    so what was last applied stays what it was.
    """
    assert ended.found is not None  # noqa: S101 - a create or an update ends with an object
    live = ended.found.object
    done.uid = live.uid
    site.directory.learn(change.address, live.uid)
    old = change.address._replace(name=change.renamed_from) if change.renamed_from else None
    mine = site.owned.get(old or change.address)
    updated = change.action is Action.UPDATE
    before = mine.fields if mine is not None and mine.uid == live.uid and updated else {}
    record = Record(change.address, live.uid, live.created, {**before, **change.body}, digests)
    try:
        if ended.problem is not None and updated:
            site.ledger.close(done.operation, "failed")
        else:
            site.ledger.close(done.operation, "failed" if ended.problem else "done", record=record, forget=old)
    except LedgerError as error:
        raise type(error)(f"the change took effect, and its record could not be written: {error}") from error
    _close_earlier(site, change, done)
    if ended.problem is not None:
        raise ended.problem


def _close_earlier(site: Site, change: Change, done: Done) -> None:
    """Close a create that an earlier run left open, now that something else settled what becomes of its address."""
    before = site.unfinished.get(change.address)
    if before is not None and before.op_id != done.operation:
        site.ledger.close(before.op_id, "superseded")


class _Secrets:
    """The secrets of one change, each looked up once, with the digests that tell later whether they changed."""

    def __init__(self, site: Site, change: Change) -> None:
        self._reveal = site.reveal
        self._known: dict[str, Secret] = {}
        self.digests: dict[str, str] = {}
        kind = site.kinds[change.address.kind]
        sets: dict[str, list[Secret]] = {}
        for path, value in hidden_values(kind, change.body):
            if is_value_from(value):
                secret = self.reveal(value["valueFrom"])
                name = path.partition("[")[0]
                if name in kind.fields and kind.fields[name].lists_secrets:
                    sets.setdefault(name, []).append(secret)
                else:
                    self.digests[path] = site.ledger.digest(change.address, path, secret)
        for name, secrets in sets.items():
            self.digests[f"{name}[]"] = site.ledger.set_digest(change.address, name, secrets)

    def reveal(self, value_from: Mapping[str, Any]) -> Secret:
        place = repr(sorted(value_from.items()))
        if place not in self._known:
            self._known[place] = self._reveal(value_from)
        return self._known[place]
