"""The values of every source: a revision, and a rejected one. Used by the sources, `agent` and `web`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple


class Revision(NamedTuple):
    """One complete state of the manifests."""

    id: str  # a commit id, or "sha256:…" of the contents of a folder
    files: Mapping[str, bytes]  # the YAML files in *path* and below, by their name in the source
    path: str = ""  # the folder in the source that layers are relative to
    subject: str = ""  # first line of the commit's message, cleaned
    author: str = ""  # name alone, cleaned
    time: float = 0.0  # seconds since the epoch, as its author says
    name: str = ""  # of the branch or tag

    @property
    def short(self) -> str:
        """The abbreviated id."""
        return self.id[:12] if ":" not in self.id else self.id[:19]


class Rejection(NamedTuple):
    """A rejected revision and the reason."""

    id: str
    why: str
