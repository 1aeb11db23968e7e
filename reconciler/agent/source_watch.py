"""Watches the source: fetches, reads the manifests, and accepts or rejects a revision as a whole.

The loop calls `check` in a thread of its own. A rejected revision changes nothing: the last accepted one stays in
force, also after a restart, and the status says which one is rejected and why.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

from reconciler import telemetry
from reconciler.agent.status import Failure, SourceStatus, StatusStore
from reconciler.errors import InputError, ReconcilerError
from reconciler.kinds import Kind
from reconciler.manifests import FileTree, Manifests, load
from reconciler.runtime import Runtime
from reconciler.settings import FolderSource, GitSource

if TYPE_CHECKING:
    from reconciler.settings import Settings
    from reconciler.source import Revision, Source

_FOLDER_INTERVAL = 10.0  # seconds


class SourceUpdate(NamedTuple):
    """The result of a check: new manifests with their revision, or none, or a failure."""

    revision: str = ""
    manifests: Manifests | None = None  # None: unchanged
    failure: ReconcilerError | None = None


def describe(location: GitSource | FolderSource) -> dict[str, Any]:
    """Return what the status says of a source: its kind and its location, without a login."""
    if isinstance(location, FolderSource):
        return {"kind": "folder", "location": str(location.folder)}
    return {"kind": "git", "location": location.url}


class SourceWatch:
    """The source, and the revision in force."""

    def __init__(
        self,
        source: Source,
        settings: Settings,
        kinds: Mapping[str, Kind],
        status_store: StatusStore,
        runtime: Runtime,
        reopen: Callable[[Settings], Source] | None = None,
    ) -> None:
        self._source = source
        self._location = settings.source  # that *source* was opened from
        self._reopen = reopen
        self._settings = settings
        self._kinds = kinds
        self._status_store = status_store
        self._runtime = runtime
        self._in_force = ""  # revision of the current manifests
        self._reread = True  # the settings are new: read the manifests again, whatever the revision
        self.failure: ReconcilerError | None = None  # of the last check
        self._rejected_id = ""  # revision that was rejected under these settings

    @property
    def status(self) -> SourceStatus:
        """The status of the source."""
        return self._status_store.status.source

    @property
    def interval(self) -> float:
        """Seconds between two checks."""
        source = self._settings.source
        return source.interval if source is not None else _FOLDER_INTERVAL

    def configure(self, settings: Settings) -> None:
        """Use *settings* from the next check on."""
        self._settings, self._reread, self._rejected_id = settings, True, ""

    def check(self, stop: threading.Event) -> SourceUpdate:
        """Fetch, and return what is new."""
        kept = self._switch(stop)
        update = self._check(stop)
        if kept is not None:
            self._status_store.update(source=replace(self.status, failure=kept))
        self.failure = update.failure
        return update

    def _switch(self, stop: threading.Event) -> Failure | None:
        """Switch to another source where the settings now name one; return why the previous one is kept, if it is.

        A source that cannot be fetched does not replace one that can: it is attempted again at each check.
        """
        location = self._settings.source
        if self._reopen is None or location is None or location == self._location:
            return None
        try:
            source = self._reopen(self._settings)
            source.fetch(stop)
        except ReconcilerError as error:
            text = f"the source in the new settings cannot be fetched; the previous one is kept: {self._clean(error)}"
            self._emit("source.switch_failed", why=text)
            return Failure(type(error).__name__, text, self._runtime.now(), self._next_count())
        self._source, self._location, self._in_force, self._rejected_id, self._reread = source, location, "", "", True
        self._status_store.update(source=replace(self.status, **describe(location), rejected="", failure=None))
        self._emit("source.switched", location=self.status.location)
        return None

    def _check(self, stop: threading.Event) -> SourceUpdate:
        reread, self._reread = self._reread, False
        try:
            revision = self._source.fetch(stop)
        except ReconcilerError as error:
            update = SourceUpdate(failure=error)
            if reread:
                update = self._restored(update)
                self._reread = update.manifests is None
            self._fetch_failed(error)
            return update
        self._status_store.update(source=replace(self.status, fetched=self._runtime.now()))
        if revision.id == self._rejected_id and not reread:
            return SourceUpdate()  # nothing new; the status stays
        if revision.id == self._in_force and not reread:
            self._status_store.update(source=replace(self.status, failure=None, rejected=""))
            return SourceUpdate()
        try:
            manifests = self._read(revision)
        except InputError as error:
            return self._rejected(revision, error, reread)
        self._source.accept(revision)
        self._put_in_force(revision)
        self._status_store.update(source=replace(self.status, rejected="", failure=None))
        return SourceUpdate(revision.id, manifests)

    def _read(self, revision: Revision) -> Manifests:
        settings = self._settings
        tree = FileTree(revision.files, base=revision.path, root=settings.root)
        return load([], self._kinds, clusters=settings.targets, limits=settings.limits, tree=tree)

    def _rejected(self, revision: Revision, error: InputError, reread: bool) -> SourceUpdate:
        """Reject a revision as a whole; the last accepted one stays in force (after a start it is restored)."""
        self._rejected_id = revision.id
        self._source.reject(revision, str(error))
        update = SourceUpdate(failure=error)
        if reread:
            update = self._restored(update)
        self._status_store.update(source=replace(self.status, rejected=revision.id, failure=self._failure(error)))
        self._emit("source.rejected", revision=revision.id, why=self._clean(error), in_force=self._in_force)
        return update

    def _restored(self, update: SourceUpdate) -> SourceUpdate:
        """Return *update* with the last accepted revision, where that is not in force (any more, or yet)."""
        before = self._source.accepted()
        if before is None:
            return update
        try:
            manifests = self._read(before)
        except InputError as error:  # it was valid under other settings
            self._emit("source.unusable", revision=before.id, why=self._clean(error))
            return update
        self._put_in_force(before)
        return update._replace(revision=before.id, manifests=manifests)

    def _put_in_force(self, revision: Revision) -> None:
        self._in_force = revision.id
        self._status_store.update(source=replace(self.status, revision=revision.id))
        self._emit("source.accepted", revision=revision.id)

    def _fetch_failed(self, error: ReconcilerError) -> None:
        self._status_store.update(source=replace(self.status, failure=self._failure(error)))
        self._emit("source.failed", failure=type(error).__name__, why=self._clean(error), in_force=self._in_force)

    def _failure(self, error: ReconcilerError) -> Failure:
        return Failure(type(error).__name__, self._clean(error), self._runtime.now(), self._next_count())

    def _next_count(self) -> int:
        return self.status.failure.count + 1 if self.status.failure else 1

    def _clean(self, error: Exception) -> str:
        return self._settings.redactor.redact(str(error))

    def _emit(self, name: str, **attributes: object) -> None:
        self._runtime.observe(telemetry.Event(name, attributes))
