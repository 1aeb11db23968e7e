"""The git source: one look at a repository, from the address in the project file to a revision that may be accepted.

Opened by `source` itself. What is refused, in this order: what cannot be fetched, what rewinds history, what is not
signed, what cannot be read whole, what is empty. Until something is accepted, nothing changes for anybody.
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
from reconciler.source import tree, verify
from reconciler.source.git import Git, version_of
from reconciler.source.mirror import ACCEPTED, INCOMING, REJECTED, Mark, Mirror, key
from reconciler.source.process import Bounds, Watch
from reconciler.source.revision import Rejection, Revision
from reconciler.yaml12 import shown

_OLDEST_GIT = (2, 35)
_TAGS = 16 * 1024 * 1024  # bytes that the list of tags may take
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
class Means:
    """What a git source needs of the outside."""

    state: Path  # the folder of our own records
    limits: ProjectLimits  # of manifests
    reveal: Callable[[Mapping[str, Any]], Secret]  # {"valueFrom": …} to a value, at each fetch anew
    redact: Callable[[str], str]
    path: str  # where programs are looked for
    now: Callable[[], float]


class GitRepository:
    """A `Source` that follows a branch, a tag or the highest version of a repository."""

    def __init__(self, source: GitSource, means: Means) -> None:
        if not source.protocol:
            raise InputError([Problem("source", 0, 0, "url", f"{shown(source.url)} is not accepted", "see source.url")])
        self._source, self._means = source, means
        followed = (source.url, source.branch, source.tag, source.semver)
        git = Git(means.state, means.path, source.protocol, self._config(), self._env(), redact=means.redact)
        self._mirror = Mirror(means.state / "source" / key(*followed), git)
        self._gate = threading.RLock()
        self._known: dict[str, Revision] = {}  # what was read of the accepted and the incoming commit
        self._checked_git = False

    # --- Source ----------------------------------------------------------------------------------------------------

    def fetch(self, stop: threading.Event | None = None) -> Revision:
        """Return the newest revision; raises SourceError where there is none that could be accepted, Interrupted."""
        watch = Watch.of(self._source.timeout, stop)
        with self._gate, self._mirror.held(watch) as git:
            self._check_git(git, watch)
            before = self._mirror.mark(git, ACCEPTED, watch)
            if before is not None and not self._trusts(before):
                before = None
            name = self._download(git, watch)
            words = ("rev-parse", "--verify", "--end-of-options", f"{INCOMING}^{{commit}}")
            tip = git.read(*words, watch=watch, what="looking at what was fetched").decode("ascii").strip()
            self._check_history(git, before, Mark(tip, name), watch)
            self._check_signatures(git, before, tip, watch)
            return self._revision(git, tip, name, watch)

    def accepted(self) -> Revision | None:
        """Return the last accepted revision, from our own record; None where none was."""
        with self._gate:
            if not self._mirror.exists:
                return None
            watch = Watch.of(self._source.timeout)
            with self._mirror.held(watch) as git:
                mark = self._mirror.mark(git, ACCEPTED, watch)
                return self._revision(git, mark.id, mark.name, watch) if mark and self._trusts(mark) else None

    def rejected(self) -> Rejection | None:
        """Return what was rejected after the last accepted revision."""
        with self._gate:
            if not self._mirror.exists:
                return None
            watch = Watch.of(self._source.timeout)
            with self._mirror.held(watch) as git:
                mark = self._mirror.mark(git, REJECTED, watch)
                return Rejection(mark.id, mark.why) if mark else None

    def accept(self, revision: Revision) -> None:
        """Make *revision* the last good one, durable, in one step."""
        watch = Watch.of(self._source.timeout)
        with self._gate, self._mirror.held(watch) as git:
            verified = self._source.verify.mode if self._source.verify else ""
            mark = Mark(revision.id, revision.name, verified)
            self._mirror.decide(git, ACCEPTED, mark, self._means.now(), watch)
            self._mirror.forget(git, REJECTED, watch)
            self._known = {revision.id: revision}
            self._mirror.compact(git, watch)

    def reject(self, revision: Revision, why: str) -> None:
        """Remember that *revision* cannot be used; the last accepted one stays."""
        watch = Watch.of(self._source.timeout)
        with self._gate, self._mirror.held(watch) as git:
            mark = Mark(revision.id, revision.name, why=why)
            self._mirror.decide(git, REJECTED, mark, self._means.now(), watch)

    # --- fetching --------------------------------------------------------------------------------------------------

    def _check_git(self, git: Git, watch: Watch) -> None:
        if not self._checked_git and version_of(git, watch) < _OLDEST_GIT:
            raise SourceError(f"git is older than {'.'.join(map(str, _OLDEST_GIT))}; install a newer one")
        self._checked_git = True

    def _download(self, git: Git, watch: Watch) -> str:
        """Fetch what is wanted into the incoming reference; return the name of the branch or tag."""
        source = self._source
        self._look_at_files()
        name, ref = (
            source.branch or source.tag,
            f"refs/{'heads' if source.branch else 'tags'}/{source.branch or source.tag}",
        )
        if source.semver:
            name = self._highest(git, watch)
            ref = f"refs/tags/{name}"
        first = self._mirror.mark(git, ACCEPTED, watch) is None
        words = [
            *("fetch", "--quiet", "--force", "--no-tags", "--no-write-fetch-head", "--no-auto-maintenance"),
            *("--no-recurse-submodules", "--refmap=", *([f"--depth={source.depth}"] if source.depth and first else [])),
            *("--end-of-options", source.url, f"+{ref}:{INCOMING}"),
        ]
        before = self._mirror.size()
        bounds = Bounds(disk=source.limits.size, size=lambda: self._mirror.size() - before)
        git.read(*words, watch=watch, what=f"fetching {source.wanted}", bounds=bounds, secret=self._login())
        return name

    def _highest(self, git: Git, watch: Watch) -> str:
        """Return the tag with the highest version that is wanted."""
        words = ("ls-remote", "--quiet", "--refs", "--tags", "--end-of-options", self._source.url)
        what = "listing the tags"
        listed = git.read(*words, watch=watch, what=what, bounds=Bounds(out=_TAGS), secret=self._login())
        names = [line.partition("\t")[2] for line in listed.decode("utf-8", "replace").splitlines()]
        tags = [name.removeprefix("refs/tags/") for name in names]
        found = highest(tags, ranges(self._source.semver))
        if found is None:
            raise SourceStale(f"no tag of the repository is a version in {self._source.semver}; check source.semver")
        return found

    def _look_at_files(self) -> None:
        """Complain of missing files in our words: ssh and curl would be vague."""
        named = {"ssh.key": self._source.ssh_key, "ssh.knownHosts": self._source.known_hosts}
        named["https.caCert"] = self._source.ca_cert
        for what, path in named.items():
            if path is not None and not os.access(path, os.R_OK):
                raise SourceStale(f"source.{what}: {path} cannot be read; check the path and its permissions")

    def _login(self) -> bytes:
        """Return what answers git's question for a login, in the form of its credential helpers."""
        if self._source.password is None:
            return b""
        secret = self._means.reveal(self._source.password).reveal()
        if any(char in secret for char in "\n\r\0") or len(secret) > 8192:
            raise SourceStale("source.https.password: the value has several lines or is very long; it is no password")
        return f"username={self._source.username}\npassword={secret}\n".encode()

    def _config(self) -> dict[str, str]:
        return {"http.sslCAInfo": str(self._source.ca_cert)} if self._source.ca_cert else {}

    def _env(self) -> dict[str, str]:
        source = self._source
        if source.protocol != "ssh":
            return {"GIT_SSH_COMMAND": "false"}
        files = [f'IdentityFile="{source.ssh_key}"', f'UserKnownHostsFile="{source.known_hosts}"']
        words = [word for option in (*_SSH_OPTIONS, *files) for word in ("-o", option)]
        return {"GIT_SSH_COMMAND": shlex.join(["ssh", "-F", "/dev/null", *words])}

    # --- what is refused -------------------------------------------------------------------------------------------

    def _trusts(self, mark: Mark) -> bool:
        """Tell whether an earlier decision still counts: what was accepted unverified is not taken for verified."""
        return self._source.verify is None or mark.verified == self._source.verify.mode

    def _check_history(self, git: Git, before: Mark | None, now: Mark, watch: Watch) -> None:
        if before is None or before.id == now.id or self._source.allow_rewind in (True, now.id):
            return
        old, new = version(before.name), version(now.name)
        if self._source.semver and old is not None and new is not None:
            if new > old:
                return  # a later version may come from another branch
            what = f"the tag {now.name} was moved" if new == old else f"the version went back to {now.name}"
        else:
            words = ("merge-base", "--is-ancestor", "--end-of-options", before.id, now.id)
            answer = git.run(*words, watch=watch, what="comparing histories")
            if answer.code == 0:
                return
            what = f"{self._source.wanted} was rewritten"
        raise SourceRewound(
            f"{what}: {now.id[:12]} does not descend from {before.id[:12]}, which stays in force; "
            f"if that is meant, set source.allowRewind to {now.id}",
            old=before.id,
            new=now.id,
        )

    def _check_signatures(self, git: Git, before: Mark | None, tip: str, watch: Watch) -> None:
        asked = self._source.verify
        if asked is None or (before is not None and before.id == tip):
            return
        if (git.directory / "shallow").exists():
            raise SourceUnverified(
                f"the mirror holds only a part of the history; remove {self._mirror.folder}, and it is fetched whole"
            )
        since = before.id if before is not None else asked.since
        verify.check(git, asked, self._mirror.folder, tip, since, self._source.limits.commits, watch, self._means.now)

    def _revision(self, git: Git, commit: str, name: str, watch: Watch) -> Revision:
        """Return what *commit* holds."""
        if commit not in self._known:
            files = tree.read(git, commit, self._source.path, self._means.limits, watch)
            found = describe(git, commit, watch)._replace(path=self._source.path, files=files)
            self._known = {**dict(list(self._known.items())[-1:]), commit: found}
        return self._known[commit]._replace(name=name)


def describe(git: Git, commit: str, watch: Watch) -> Revision:
    """Return what people want to know of *commit*, without its files."""
    words = ("rev-list", "--no-commit-header", "--max-count=1", "--format=%an%x00%s%x00%ct", "--end-of-options", commit)
    said = git.read(*words, watch=watch, what="reading the commit").decode("utf-8", "replace")
    author, subject, moment = (*said.rstrip("\n").rsplit("\0", 2), "", "", "")[:3]
    seconds = min(float(moment), _LATEST_TIME) if moment.isdecimal() else 0.0
    return Revision(commit, {}, subject=shorten(clean(subject), 200), author=shorten(clean(author), 100), time=seconds)
