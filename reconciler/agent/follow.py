"""Follows the source: fetches, reads the manifests, and accepts or rejects a revision as a whole.

The loop calls `follow` in a thread of its own. A revision that cannot be used changes nothing: the last good one stays
enforced, also after a restart, and the board says which one is refused and why.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

from reconciler import telemetry
from reconciler.agent.status import Board, Failure, SourceStatus
from reconciler.errors import InputError, ReconcilerError
from reconciler.kinds import Kind
from reconciler.manifests import FileTree, Manifests, load
from reconciler.settings import FolderSource, GitSource

if TYPE_CHECKING:
    from reconciler.settings import Settings
    from reconciler.source import Revision, Source


class Followed(NamedTuple):
    """What following came to: new manifests with their revision, or none, or a failure."""

    revision: str = ""
    manifests: Manifests | None = None  # None: as they were
    failure: ReconcilerError | None = None


def shown(where: GitSource | FolderSource) -> dict[str, Any]:
    """Return what the board says of a source: its kind and its place, without a login."""
    if isinstance(where, FolderSource):
        return {"kind": "folder", "place": str(where.folder)}
    return {"kind": "git", "place": where.url}


class Follower:
    """The source, and the revision that is enforced."""

    def __init__(
        self,
        source: Source,
        settings: Settings,
        kinds: Mapping[str, Kind],
        board: Board,
        *,
        now: Callable[[], float],
        observe: telemetry.Observer = telemetry.ignore,
        reopen: Callable[[Settings], Source] | None = None,
    ) -> None:
        self._source = source
        self._where = settings.source  # that *source* was opened from
        self._reopen = reopen
        self._settings = settings
        self._kinds = kinds
        self._board = board
        self._now = now
        self._observe = observe
        self._known = ""  # id of the revision that the manifests in force are from
        self._fresh = True  # settings are new: read it again, whatever its id
        self.failure: ReconcilerError | None = None  # of the last look
        self._bad = ""  # id that was rejected under these settings

    @property
    def status(self) -> SourceStatus:
        """What the board says of the source."""
        return self._board.status.source

    @property
    def interval(self) -> float:
        """Seconds between two looks at the source."""
        source = self._settings.source
        return source.interval if source is not None else 10.0

    def take(self, settings: Settings) -> None:
        """Read with *settings* from the next time on."""
        self._settings, self._fresh, self._bad = settings, True, ""

    def follow(self, stop: threading.Event) -> Followed:
        """Fetch, and return what is new."""
        followed = self._follow(stop)
        self.failure = followed.failure
        return followed

    def _follow(self, stop: threading.Event) -> Followed:
        kept = self._move(stop)
        followed = self._look(stop)
        if kept is not None:
            self._board.update(source=replace(self.status, failure=kept))
        return followed

    def _move(self, stop: threading.Event) -> Failure | None:
        """Follow another source where the settings name one by now; return why the old one is kept, if it is.

        One that cannot be fetched from is no replacement for one that can: it is tried again at each look.
        """
        where = self._settings.source
        if self._reopen is None or where is None or where == self._where:
            return None
        try:
            source = self._reopen(self._settings)
            source.fetch(stop)
        except ReconcilerError as error:
            text = f"the source of the new settings cannot be followed, so the old one is: {self._clean(error)}"
            self._tell("source.kept", why=text)
            return Failure(type(error).__name__, text, self._now(), self._count())
        self._source, self._where, self._known, self._bad, self._fresh = source, where, "", "", True
        self._board.update(source=replace(self.status, **shown(where), rejected="", failure=None))
        self._tell("source.changed", place=self.status.place)
        return None

    def _look(self, stop: threading.Event) -> Followed:
        fresh, self._fresh = self._fresh, False
        try:
            revision = self._source.fetch(stop)
        except ReconcilerError as error:
            followed = Followed(failure=error)
            if fresh:
                followed = self._resumed(followed)
                self._fresh = followed.manifests is None
            self._failed(error)
            return followed
        self._board.update(source=replace(self.status, fetched=self._now()))
        if revision.id == self._bad and not fresh:
            return Followed()  # nothing new; what the board says of it stays
        if revision.id == self._known and not fresh:
            self._board.update(source=replace(self.status, failure=None, rejected=""))
            return Followed()
        try:
            manifests = self._read(revision)
        except InputError as error:
            return self._rejected(revision, error, fresh)
        self._source.accept(revision)
        self._enforce(revision)
        self._board.update(source=replace(self.status, rejected="", failure=None))
        return Followed(revision.id, manifests)

    def _read(self, revision: Revision) -> Manifests:
        settings = self._settings
        tree = FileTree(revision.files, base=revision.path, root=settings.root)
        return load([], self._kinds, clusters=settings.targets, limits=settings.limits, tree=tree)

    def _rejected(self, revision: Revision, error: InputError, fresh: bool) -> Followed:
        """Refuse a revision whole; go on with the last good one, taken up from the record after a start."""
        self._bad = revision.id
        self._source.reject(revision, str(error))
        followed = Followed(failure=error)
        if fresh:
            followed = self._resumed(followed)
        failure = Failure(type(error).__name__, self._clean(error), self._now(), self._count())
        self._board.update(source=replace(self.status, rejected=revision.id, failure=failure))
        self._tell("source.rejected", revision=revision.id, why=self._clean(error), enforced=self._known)
        return followed

    def _resumed(self, followed: Followed) -> Followed:
        """Return *followed* with the last accepted revision, where that is not in force (any more, or yet)."""
        before = self._source.accepted()
        if before is None:
            return followed
        try:
            manifests = self._read(before)
        except InputError as error:  # good under other settings than these
            self._tell("source.unusable", revision=before.id, why=self._clean(error))
            return followed
        self._enforce(before)
        return followed._replace(revision=before.id, manifests=manifests)

    def _enforce(self, revision: Revision) -> None:
        self._known = revision.id
        self._board.update(source=replace(self.status, revision=revision.id))
        self._tell("source.accepted", revision=revision.id)

    def _failed(self, error: ReconcilerError) -> None:
        failure = Failure(type(error).__name__, self._clean(error), self._now(), self._count())
        self._board.update(source=replace(self.status, failure=failure))
        self._tell("source.failed", failure=type(error).__name__, why=self._clean(error), enforced=self._known)

    def _count(self) -> int:
        return self.status.failure.count + 1 if self.status.failure else 1

    def _clean(self, error: Exception) -> str:
        return self._settings.redactor.redact(str(error))

    def _tell(self, name: str, **attributes: object) -> None:
        self._observe(telemetry.Event(name, attributes))
