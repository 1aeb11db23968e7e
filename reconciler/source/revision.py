"""What every source gives: a revision, and what was decided of it. Values only."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import NamedTuple, Protocol


class Revision(NamedTuple):
    """One state of the manifests, whole."""

    id: str  # a commit, or "sha256:…" of a folder's contents
    files: Mapping[str, bytes]  # the YAML files in *path* and below, by their name in the source
    path: str = ""  # the folder in the source that layers are relative to
    subject: str = ""  # first line of the commit's message, cleaned
    author: str = ""  # name alone, cleaned
    time: float = 0.0  # when it was made, seconds since the epoch, as its maker says
    name: str = ""  # the branch or tag that led to it

    @property
    def short(self) -> str:
        """The id for people."""
        return self.id[:12] if ":" not in self.id else self.id[:19]


class Rejection(NamedTuple):
    """A revision that is refused as a whole, and why."""

    id: str
    why: str


class Source(Protocol):
    """Where manifests come from. One thread at a time fetches; the rest may be called from others."""

    def fetch(self, stop: threading.Event | None = None) -> Revision:
        """Return the newest revision; raises SourceError where there is none that could be accepted, Interrupted."""

    def accepted(self) -> Revision | None:
        """Return the last accepted revision, from our own record; None where none was."""

    def rejected(self) -> Rejection | None:
        """Return what was rejected after the last accepted revision."""

    def accept(self, revision: Revision) -> None:
        """Make *revision* the last good one, durable, in one step."""

    def reject(self, revision: Revision, why: str) -> None:
        """Remember that *revision* cannot be used; the last accepted one stays."""
