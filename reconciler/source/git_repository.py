"""The git source: fetches a repository and returns revisions that may be accepted.

Opened by `sources`. A revision is refused, in this order, if it cannot be fetched, rewinds history, is not signed,
cannot be read completely, or is empty. Until a revision is accepted, the last accepted one remains in use.
"""

from __future__ import annotations

import os
import shlex
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reconciler.errors import InputError, Problem, SourceError, SourceRewound, SourceStale, SourceUnverified
from reconciler.render.escape import clean, shorten
from reconciler.secrets import Secret
from reconciler.settings import GitSource, ProjectLimits
from reconciler.settings.semver import highest, ranges, version
from reconciler.source import git_tree, signatures
from reconciler.source.git import GitRunner, version_of
from reconciler.source.mirror import ACCEPTED, INCOMING, REJECTED, CommitStatus, Mirror, source_id
from reconciler.source.process import Deadline, ProcessLimits
from reconciler.source.revision import Rejection, Revision
from reconciler.yaml12 import shown

_MIN_GIT = (2, 35)
_MAX_TAGS = 16 * 1024 * 1024  # bytes of the list of tags
_LATEST_TIME = 253402300799.0  # the end of the year 9999
_SSH_OPTIONS = (
    "BatchMode=yes",
    "StrictHostKeyChecking=yes",
    "GlobalKnownHostsFile=/dev/null",
    "UpdateHostKeys=no",
    "IdentitiesOnly=yes",
    "IdentityAgent=none",
    "PreferredAuthentications=publickey",
    "PasswordAuthentication=no",
    "ForwardAgent=no",
    "ForwardX11=no",
    "ClearAllForwardings=yes",
    "PermitLocalCommand=no",
    "ControlMaster=no",
    "ControlPath=none",
    "ConnectTimeout=15",
    "ServerAliveInterval=15",
    "ServerAliveCountMax=2",
)


@dataclass(frozen=True, slots=True)
class SourceContext:
    """The environment of a git source."""

    state_dir: Path  # absolute
    limits: ProjectLimits  # of manifests
    reveal: Callable[[Mapping[str, Any]], Secret]  # resolves {"valueFrom": …}, at each fetch
    redact: Callable[[str], str]  # removes secrets from messages of git
    path: str  # PATH
    now: Callable[[], float]  # seconds since the epoch


class GitRepository:
    """A `Source` that follows a branch, a tag or the highest version of a repository."""

    def __init__(self, source: GitSource, context: SourceContext) -> None:
        if not source.protocol:
            raise InputError([Problem("source", 0, 0, "url", f"{shown(source.url)} is not accepted", "see source.url")])
        self._source, self._context = source, context
        followed = (source.url, source.branch, source.tag, source.semver)
        git = GitRunner(
            context.state_dir, context.path, source.protocol, self._config(), self._env(), redact=context.redact
        )
        self._mirror = Mirror(context.state_dir / "source" / source_id(*followed), git)
        self._lock = threading.RLock()
        self._revisions: dict[str, Revision] = {}  # by id: the accepted and the incoming one
        self._checked_git = False

    # --- Source ----------------------------------------------------------------------------------------------------

    def fetch(self, stop: threading.Event | None = None) -> Revision:
        """Return the newest revision. Raises SourceError where none can be accepted, and Interrupted."""
        deadline = Deadline.after(self._source.timeout, stop)
        with self._lock, self._mirror.locked(deadline) as git:
            self._check_git(git, deadline)
            before = self._mirror.read_status(git, ACCEPTED, deadline)
            if before is not None and not self._trusts(before):
                before = None
            name = self._download(git, deadline)
            args = ("rev-parse", "--verify", "--end-of-options", f"{INCOMING}^{{commit}}")
            tip = git.read(*args, deadline=deadline, what="resolving the fetched commit").decode("ascii").strip()
            self._check_history(git, before, CommitStatus(tip, name), deadline)
            self._check_signatures(git, before, tip, deadline)
            return self._revision(git, tip, name, deadline)

    def accepted(self) -> Revision | None:
        """Return the last accepted revision, as recorded; None where there is none."""
        with self._lock:
            if not self._mirror.exists:
                return None
            deadline = Deadline.after(self._source.timeout)
            with self._mirror.locked(deadline) as git:
                status = self._mirror.read_status(git, ACCEPTED, deadline)
                return (
                    self._revision(git, status.id, status.name, deadline) if status and self._trusts(status) else None
                )

    def rejected(self) -> Rejection | None:
        """Return the revision that was rejected after the last accepted one, with the reason."""
        with self._lock:
            if not self._mirror.exists:
                return None
            deadline = Deadline.after(self._source.timeout)
            with self._mirror.locked(deadline) as git:
                status = self._mirror.read_status(git, REJECTED, deadline)
                return Rejection(status.id, status.why) if status else None

    def accept(self, revision: Revision) -> None:
        """Record *revision* as the last accepted one, durably and atomically."""
        deadline = Deadline.after(self._source.timeout)
        with self._lock, self._mirror.locked(deadline) as git:
            verified = self._source.verify.mode if self._source.verify else ""
            status = CommitStatus(revision.id, revision.name, verified)
            self._mirror.write_status(git, ACCEPTED, status, self._context.now(), deadline)
            self._mirror.clear_status(git, REJECTED, deadline)
            self._revisions = {revision.id: revision}
            self._mirror.compact(git, deadline)

    def reject(self, revision: Revision, why: str) -> None:
        """Record that *revision* was rejected, and *why*; the last accepted one remains in use."""
        deadline = Deadline.after(self._source.timeout)
        with self._lock, self._mirror.locked(deadline) as git:
            status = CommitStatus(revision.id, revision.name, why=why)
            self._mirror.write_status(git, REJECTED, status, self._context.now(), deadline)

    # --- fetching --------------------------------------------------------------------------------------------------

    def _check_git(self, git: GitRunner, deadline: Deadline) -> None:
        if not self._checked_git and version_of(git, deadline) < _MIN_GIT:
            raise SourceError(f"git {'.'.join(map(str, _MIN_GIT))} or later is required")
        self._checked_git = True

    def _download(self, git: GitRunner, deadline: Deadline) -> str:
        """Fetch the branch or tag into the incoming reference; return its name."""
        source = self._source
        self._check_files()
        name = source.branch or source.tag
        ref = f"refs/{'heads' if source.branch else 'tags'}/{name}"
        if source.semver:
            name = self._highest(git, deadline)
            ref = f"refs/tags/{name}"
        first = self._mirror.read_status(git, ACCEPTED, deadline) is None
        args = [
            *("fetch", "--quiet", "--force", "--no-tags", "--no-write-fetch-head", "--no-auto-maintenance"),
            *("--no-recurse-submodules", "--refmap=", *([f"--depth={source.depth}"] if source.depth and first else [])),
            *("--end-of-options", source.url, f"+{ref}:{INCOMING}"),
        ]
        before = self._mirror.size()
        limits = ProcessLimits(disk=source.limits.size, disk_usage=lambda: self._mirror.size() - before)
        git.read(
            *args, deadline=deadline, what=f"fetching {source.wanted}", limits=limits, credentials=self._credentials()
        )
        return name

    def _highest(self, git: GitRunner, deadline: Deadline) -> str:
        """Return the tag with the highest version in the range."""
        args = ("ls-remote", "--quiet", "--refs", "--tags", "--end-of-options", self._source.url)
        what = "listing the tags"
        listed = git.read(
            *args,
            deadline=deadline,
            what=what,
            limits=ProcessLimits(stdout=_MAX_TAGS),
            credentials=self._credentials(),
        )
        names = [line.partition("\t")[2] for line in listed.decode("utf-8", "replace").splitlines()]
        tags = [name.removeprefix("refs/tags/") for name in names]
        found = highest(tags, ranges(self._source.semver))
        if found is None:
            raise SourceStale(
                f"no tag of the repository matches the version range {self._source.semver}; check source.semver"
            )
        return found

    def _check_files(self) -> None:
        """Raise SourceStale for files that cannot be read: the messages of ssh and curl are vague."""
        named = {"ssh.key": self._source.ssh_key, "ssh.knownHosts": self._source.known_hosts}
        named["https.caCert"] = self._source.ca_cert
        for what, path in named.items():
            if path is not None and not os.access(path, os.R_OK):
                raise SourceStale(f"source.{what}: {path} cannot be read; check the path and its permissions")

    def _credentials(self) -> bytes:
        """Return the credentials in the format of a git credential helper; empty where none are configured."""
        if self._source.password is None:
            return b""
        secret = self._context.reveal(self._source.password).reveal()
        if any(char in secret for char in "\n\r\0") or len(secret) > 8192:
            raise SourceStale("source.https.password: the value must be a single line of at most 8192 characters")
        return f"username={self._source.username}\npassword={secret}\n".encode()

    def _config(self) -> dict[str, str]:
        return {"http.sslCAInfo": str(self._source.ca_cert)} if self._source.ca_cert else {}

    def _env(self) -> dict[str, str]:
        source = self._source
        if source.protocol != "ssh":
            return {"GIT_SSH_COMMAND": "false"}
        files = [f'IdentityFile="{source.ssh_key}"', f'UserKnownHostsFile="{source.known_hosts}"']
        args = [word for option in (*_SSH_OPTIONS, *files) for word in ("-o", option)]
        return {"GIT_SSH_COMMAND": shlex.join(["ssh", "-F", "/dev/null", *args])}

    # --- checks ----------------------------------------------------------------------------------------------------

    def _trusts(self, status: CommitStatus) -> bool:
        """Return whether an accepted status still counts: a commit accepted without verification is not verified."""
        return self._source.verify is None or status.verified == self._source.verify.mode

    def _check_history(
        self, git: GitRunner, before: CommitStatus | None, now: CommitStatus, deadline: Deadline
    ) -> None:
        if before is None or before.id == now.id or self._source.allow_rewind in (True, now.id):
            return
        old, new = version(before.name), version(now.name)
        if self._source.semver and old is not None and new is not None:
            if new > old:
                return  # a later version may come from another branch
            what = f"the tag {now.name} was moved" if new == old else f"the version went back to {now.name}"
        else:
            args = ("merge-base", "--is-ancestor", "--end-of-options", before.id, now.id)
            result = git.run(*args, deadline=deadline, what="comparing histories")
            if result.exit_code == 0:
                return
            what = f"{self._source.wanted} was rewritten"
        raise SourceRewound(
            f"{what}: {now.id[:12]} does not descend from {before.id[:12]}, which remains in use; "
            f"if that is intended, set source.allowRewind to {now.id}",
            old=before.id,
            new=now.id,
        )

    def _check_signatures(self, git: GitRunner, before: CommitStatus | None, tip: str, deadline: Deadline) -> None:
        verify = self._source.verify
        if verify is None or (before is not None and before.id == tip):
            return
        if (git.directory / "shallow").exists():
            raise SourceUnverified(
                f"the mirror is a shallow clone; remove {self._mirror.folder} to fetch the whole history"
            )
        since = before.id if before is not None else verify.since
        commits = signatures.CommitRange(tip, since, self._source.limits.commits)
        signatures.check(git, verify, self._mirror.folder, commits, deadline, self._context.now())

    def _revision(self, git: GitRunner, commit: str, name: str, deadline: Deadline) -> Revision:
        """Return the revision of *commit*."""
        if commit not in self._revisions:
            files = git_tree.read(git, commit, self._source.path, self._context.limits, deadline)
            found = describe(git, commit, deadline)._replace(path=self._source.path, files=files)
            self._revisions = {**dict(list(self._revisions.items())[-1:]), commit: found}
        return self._revisions[commit]._replace(name=name)


def describe(git: GitRunner, commit: str, deadline: Deadline) -> Revision:
    """Return the metadata of *commit*, without its files."""
    args = ("rev-list", "--no-commit-header", "--max-count=1", "--format=%an%x00%s%x00%ct", "--end-of-options", commit)
    output = git.read(*args, deadline=deadline, what="reading the commit").decode("utf-8", "replace")
    author, subject, moment = (*output.rstrip("\n").rsplit("\0", 2), "", "", "")[:3]
    seconds = min(float(moment), _LATEST_TIME) if moment.isdecimal() else 0.0
    return Revision(commit, {}, subject=shorten(clean(subject), 200), author=shorten(clean(author), 100), time=seconds)
