"""The inputs of a command: settings, manifests, and a session on the selected clusters. Every subcommand uses it.

Where one of several clusters fails, the command continues with the others; the error is printed, and the exit code
says so.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO, cast

from reconciler.cli import say
from reconciler.commands.console import Console, RedactedStream
from reconciler.errors import ClusterError, InputError

if TYPE_CHECKING:
    from reconciler.errors import ReconcilerError
    from reconciler.manifests import Manifests
    from reconciler.model import Address
    from reconciler.plan import Options
    from reconciler.session import Session
    from reconciler.settings import Settings


def load_settings(flags: Mapping[str, Any], console: Console) -> Settings:
    """Read the project file, the environment and the flags; from here on, secrets are masked on the terminal."""
    from reconciler import settings
    from reconciler.secrets import Redactor

    redactor = Redactor()
    sys.stdout = cast("TextIO", RedactedStream(sys.stdout, redactor))
    sys.stderr = cast("TextIO", RedactedStream(sys.stderr, redactor))
    project = Path(flags["project"]) if flags.get("project") else None
    loaded = settings.load(project, os.environ, flags, redactor=redactor, warn=console.warn)
    for warning in loaded.warnings:
        console.warn(warning)
    return loaded


def load_manifests(settings: Settings, files: Sequence[str], console: Console) -> Manifests:
    """Return the manifests of the selected clusters, and print warnings about them; raises InputError."""
    from reconciler.kinds import load_kinds
    from reconciler.manifests import load

    _warn_of_unused_projects(settings, files, console)
    manifests = load(files, load_kinds(), clusters=settings.targets, limits=settings.limits)
    for problem in manifests.warnings:
        console.warn(str(problem))
    if len(settings.selected) == len(settings.targets):
        return manifests
    return manifests.only({target.name for target in settings.selected})


def _warn_of_unused_projects(settings: Settings, files: Sequence[str], console: Console) -> None:
    """Warn where -f names the folder of another project file, which is not used."""
    from reconciler.settings import PROJECT_FILE

    for name in files:
        project = Path(name) / PROJECT_FILE
        if name != "-" and project.is_file() and (settings.project is None or not project.samefile(settings.project)):
            console.warn(f"-f {name} reads that folder as one layer; for its clusters and layers: --project {project}")


@contextmanager
def open_session(flags: Mapping[str, Any], console: Console) -> Iterator[Session]:
    """Open a session on the selected clusters; raises InputError where there is none.

    At its end, an error is printed for each cluster that failed.
    """
    from reconciler.commands.signals import exiting
    from reconciler.runtime import Runtime
    from reconciler.session import Session

    loaded = load_settings(flags, console)
    with exiting(), Session(loaded, loaded.reachable(), runtime=Runtime(observe=console.observe)) as session:
        if flags["restored"]:
            session.accept_restored()
        if flags["retry_login"]:
            session.retry_logins()
        try:
            yield session
        finally:
            report_failures(session)


def check_names(options: Options, known: Collection[Address], console: Console) -> None:
    """Note where an option names an object on several clusters; raises InputError where one names nothing *known*."""
    from reconciler.plan.selection import on_several_clusters, unknown_names

    if problems := unknown_names(options, known):
        raise InputError(problems)
    for option, name, found in on_several_clusters(options, known):
        clusters = ", ".join(dict.fromkeys(address.cluster for address in found))
        console.note(f"{option} {name} has no cluster and applies to {clusters}")


def known_names(session: Session, manifests: Manifests, options: Options) -> set[Address]:
    """Return what options of a run may name: everything declared or owned, now or at the previous revision."""
    if session.known_ledger() is not None:  # what is owned depends on which cluster is behind a name
        session.identify(manifests.resources)
    return {*(resource.address for resource in manifests.resources), *session.owned(), *options.previous}


def report_failures(session: Session) -> None:
    """Print an error for each cluster that was left out since the last call; each line names the cluster."""
    for name, error in session.unreported_failures().items():
        for line in failure_lines(name, error):
            say(f"error: {line}")


def failure_lines(cluster: str, error: ReconcilerError) -> list[str]:
    """Return the text of *error*, a line for each problem, with the name of *cluster*."""
    texts = [str(problem) for problem in error.problems] if isinstance(error, InputError) else [str(error)]
    named = re.compile(rf"(?:^|[\s(]){re.escape(cluster)}:|\bcluster {re.escape(cluster)}\b")
    return [text if named.search(text) else f"{cluster}: {text}" for text in texts]


def exit_code(session: Session, code: int) -> int:
    """Return the exit code of a command that would end with *code*: 4 where a cluster failed, unless it is worse."""
    return max(code, ClusterError.exit_code) if session.failures else code
