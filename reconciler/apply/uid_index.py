"""Which name has which uid on one cluster, while an execution creates and deletes objects there."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping

from reconciler.api.codec import Uid, natural_key, uid_of_unnamed
from reconciler.api.driver import Reader, drive
from reconciler.api.read import listing
from reconciler.errors import Conflict
from reconciler.kinds import Kind
from reconciler.model import Address, LiveState


class UidIndex:
    """Names and uids of one cluster; lists a kind once, unless the plan has read it. Thread-safe."""

    def __init__(self, kinds: Mapping[str, Kind], client: Reader, live: LiveState | None) -> None:
        self._kinds = kinds
        self._client = client
        self._lock = threading.RLock()
        self._names: dict[str, dict[Uid, str]] = {}
        self._uids: dict[str, dict[str, set[Uid]]] = {}
        self._before: dict[str, dict[Uid, str]] = {}  # renamed or deleted by this run, with the first name
        for kind, objects in (live.objects if live else {}).items():
            self._fill(kind, ((one.uid, one.name) for one in objects))

    @property
    def names(self) -> Mapping[str, Mapping[Uid, str]]:
        """By kind: uid → name; kinds are listed when they are first asked for."""
        return _NamesView(self, self.of)

    @property
    def names_before(self) -> Mapping[str, Mapping[Uid, str]]:
        """The same with the names from before this run renamed anything: a plan uses those."""
        return _NamesView(self, self._of_before)

    @property
    def kinds(self) -> Mapping[str, Kind]:
        return self._kinds

    def of(self, kind: str) -> Mapping[Uid, str]:
        """Return uid → name of one kind."""
        with self._lock:
            if kind not in self._names:
                self._fill(kind, self._list(kind))
            return self._names[kind]

    def _of_before(self, kind: str) -> Mapping[Uid, str]:
        with self._lock:
            names = self.of(kind)
            return {**names, **self._before[kind]} if kind in self._before else names

    def uid(self, kind: str, name: str) -> Uid:
        """Return the uid of what a manifest refers to by *name*."""
        with self._lock:
            self.of(kind)
            known = sorted(self._uids[kind].get(name, ()), key=str)
        if len(known) == 1:
            return known[0]
        unnamed = uid_of_unnamed(name)
        if not known and unnamed is not None:
            return unnamed
        raise Conflict(f"it refers to {kind}/{name}, and the cluster has {len(known) or 'none'} of that name")

    def learn(self, address: Address, uid: Uid) -> None:
        """Remember what was just created or renamed."""
        with self._lock:
            if self.of(address.kind).get(uid) == address.name:
                return
            self.drop(address.kind, uid)
            self._names[address.kind][uid] = address.name
            self._uids[address.kind].setdefault(address.name, set()).add(uid)

    def drop(self, kind: str, uid: Uid) -> None:
        """Forget what was just deleted."""
        with self._lock:
            self.of(kind)
            name = self._names[kind].pop(uid, None)
            if name is not None:
                self._uids[kind][name].discard(uid)
                self._before.setdefault(kind, {}).setdefault(uid, name)

    def _fill(self, kind: str, pairs: Iterable[tuple[Uid, str]]) -> None:
        names = dict(pairs)
        uids: dict[str, set[Uid]] = {}
        for uid, name in names.items():
            uids.setdefault(name, set()).add(uid)
        self._names[kind], self._uids[kind] = names, uids

    def _list(self, name: str) -> Iterator[tuple[Uid, str]]:
        kind = self._kinds[name]
        for wire in drive(listing(kind), self._client):
            try:
                yield wire[kind.rest.id], natural_key(kind, wire)
            except (AttributeError, KeyError, TypeError, ValueError):
                continue  # an object without a name cannot be referred to by name


class _NamesView(Mapping[str, Mapping[Uid, str]]):
    """A view of an index in the form that decoding takes."""

    def __init__(self, index: UidIndex, of: Callable[[str], Mapping[Uid, str]]) -> None:
        self._index = index
        self._of = of

    def __getitem__(self, kind: str) -> Mapping[Uid, str]:
        return self._of(kind)

    def __iter__(self) -> Iterator[str]:
        return iter(self._index.kinds)

    def __len__(self) -> int:
        return len(self._index.kinds)
