"""Where manifests come from: a git repository or a folder, as revisions that are accepted or rejected as a whole.

The agent opens one, fetches, plans, and accepts or rejects what it got. `previous` reads an earlier commit of the
repository that a command works in. Nothing of a repository ever becomes a file, a path or a program here: its names and
bytes stay values. Home of `subprocess`; knows nothing of kinds and clusters.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

from reconciler.secrets import resolve
from reconciler.settings import FolderSource, GitSource, Settings
from reconciler.source.folder import ManifestFolder
from reconciler.source.git_repository import GitRepository, SourceContext
from reconciler.source.revision import Source


def open_source(where: GitSource | FolderSource, settings: Settings, *, now: Callable[[], float] = time.time) -> Source:
    """Return the source that *where* describes; nothing is read or fetched yet."""
    state = Path(os.path.abspath(settings.state_dir))  # programs are started in another folder
    if isinstance(where, FolderSource):
        return ManifestFolder(where, state, settings.limits)
    logins = settings.login_sources
    return GitRepository(
        where,
        SourceContext(
            state,
            settings.limits,
            lambda value_from: resolve(value_from, logins, where="source.https.password"),
            settings.redactor.redact,
            logins.environ.get("PATH", os.defpath),
            now,
        ),
    )
