"""What every source offers, and `open_source`, which opens the one that the project file configures.

Used by `agent` and the commands that run it. Must not know kinds or clusters.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from reconciler.secrets import resolve
from reconciler.settings import FolderSource, GitSource, Settings
from reconciler.source.folder import ManifestFolder
from reconciler.source.git_repository import GitRepository, SourceContext
from reconciler.source.revision import Rejection, Revision


class Source(Protocol):
    """A source of manifests. One thread at a time fetches; the other methods may be called from other threads."""

    def fetch(self, stop: threading.Event | None = None) -> Revision:
        """Return the newest revision. Raises SourceError where none can be accepted, and Interrupted."""

    def accepted(self) -> Revision | None:
        """Return the last accepted revision, as recorded; None where there is none."""

    def rejected(self) -> Rejection | None:
        """Return the revision that was rejected after the last accepted one, with the reason."""

    def accept(self, revision: Revision) -> None:
        """Record *revision* as the last accepted one, durably and atomically."""

    def reject(self, revision: Revision, why: str) -> None:
        """Record that *revision* was rejected, and *why*; the last accepted one remains in use."""


def open_source(
    configured: GitSource | FolderSource, settings: Settings, *, now: Callable[[], float] = time.time
) -> Source:
    """Return the *configured* source; nothing is read or fetched yet. Raises InputError for an unusable URL."""
    state_dir = Path(os.path.abspath(settings.state_dir))  # programs are started in another folder
    if isinstance(configured, FolderSource):
        return ManifestFolder(configured, state_dir, settings.limits)
    logins = settings.login_sources
    context = SourceContext(
        state_dir=state_dir,
        limits=settings.limits,
        reveal=lambda value_from: resolve(value_from, logins, where="source.https.password"),
        redact=settings.redactor.redact,
        path=logins.environ.get("PATH", os.defpath),
        now=now,
    )
    return GitRepository(configured, context)
