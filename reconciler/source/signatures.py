"""Signature verification of commits by git, against signers that the operator keeps outside the repository.

Used by `git_repository` for all commits between the last accepted revision and a new one, merges included. Only the
result of git's verification is read, nothing else of a commit.
"""

from __future__ import annotations

import calendar
import hashlib
import re
import shutil
import signal
import time
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from reconciler.errors import SourceStale, SourceUnverified
from reconciler.settings.source import Verify
from reconciler.source.git import GitRunner
from reconciler.source.mirror import write_private
from reconciler.source.process import Command, Deadline, ProcessLimits, ProcessResult, run

_MAX_SIGNERS = 1024 * 1024
_MAX_LISTED = 10
_ATTEMPTS = 3  # git occasionally fails with SIGPIPE, when ssh-keygen ends before git has written everything to it
_BEFORE = re.compile(rb'valid-before="?(\d{8})(\d{4})?(\d{2})?(Z?)"?', re.IGNORECASE)
_GPG_CONF = (
    "batch\nno-tty\nno-autostart\nno-auto-key-retrieve\nno-auto-key-locate\ntrust-model always\nweak-digest SHA1\n"
)
_STATES = {
    "B": "has an invalid signature",
    "E": "has a signature that cannot be verified: its key is not among the signers",
    "N": "is not signed",
    "R": "is signed with a key that was revoked",
    "U": "is signed with a key that is not among the signers",
    "X": "has a signature that has expired",
    "Y": "is signed with a key that has expired",
}


class CommitRange(NamedTuple):
    """The commits to verify."""

    tip: str
    since: str  # the commit before the first one; "" = from the first commit of the repository
    max_commits: int


def check(git: GitRunner, verify: Verify, private: Path, commits: CommitRange, deadline: Deadline, now: float) -> None:
    """Raise SourceUnverified unless each of *commits* is signed by one of the signers, and SourceStale without signers.

    *private* is the folder for the files that git needs about the signers; *now* is in seconds since the epoch.
    """
    tip, since, most = commits
    signers = _signers(verify)
    git = _for_ssh(git, signers, private, now) if verify.mode == "ssh" else _for_gpg(git, signers, private, deadline)
    args = [tip, *([f"^{since}"] if since else [])]
    what = "verifying signatures"
    result = ProcessResult(-signal.SIGPIPE, b"", "")
    for _ in range(_ATTEMPTS):
        if result.exit_code == -signal.SIGPIPE:
            result = git.run(
                "log", "--no-patch", "--no-notes", "--no-decorate",
                "--no-color",  # unlike rev-list, it takes notice of gpg.*
                f"--max-count={most + 1}", "--format=%H %G? %GF", "--end-of-options", *args,
                deadline=deadline, what=what, limits=ProcessLimits(stdout=64 * 1024 * 1024),
            )  # fmt: skip
    if result.exit_code:  # it reads only the local mirror, so it failed on an invalid signature
        raise SourceUnverified(str(git.failure(result, what)))
    listed = result.stdout
    lines = [line.split(" ") for line in listed.decode("utf-8", "replace").splitlines()]
    if len(lines) > most:
        raise SourceUnverified(
            f"more than {most:,} new commits; set verify.since to a known good commit, "
            "or increase source.limits.commits"
        )
    bad = [
        f"{commit[:12]} {_STATES.get(state, 'cannot be verified')}"
        for commit, state, key in lines
        if not _good(state, key)
    ]
    if bad:
        more = [f"… and {len(bad) - _MAX_LISTED} more"] if len(bad) > _MAX_LISTED else []
        text = "; ".join([*bad[:_MAX_LISTED], *more])
        raise SourceUnverified(f"some commits are not signed by one of {verify.signers}: {text}")


def _good(state: str, key: str) -> bool:
    return state == "G" and bool(key)


def _signers(verify: Verify) -> bytes:
    """Return the file of signers; read at each check, because it may have changed."""
    try:
        with verify.signers.open("rb") as file:
            data = file.read(_MAX_SIGNERS + 1)
    except OSError as error:
        raise SourceStale(
            f"the signers {verify.signers} cannot be read: {error.strerror}; check verify.signers"
        ) from error
    if not data.strip() or len(data) > _MAX_SIGNERS:
        raise SourceUnverified(
            f"{verify.signers} is empty or larger than {_MAX_SIGNERS:,} bytes; there would be no valid signer"
        )
    return data


def _for_ssh(git: GitRunner, signers: bytes, private: Path, now: float) -> GitRunner:
    """Return a git that verifies ssh signatures.

    git validates a key at the date of the commit, which its author chooses: keys that have expired by *now* are
    removed, so that they cannot sign commits with a date in the past.
    """
    kept = [line for line in signers.splitlines() if not any(_expiry(match) <= now for match in _BEFORE.finditer(line))]
    path = private / "signers"
    write_private(path, b"\n".join(kept) + b"\n")
    config = {"gpg.ssh.program": "ssh-keygen", "gpg.ssh.allowedSignersFile": str(path)}
    return replace(git, config={**git.config, **config})


def _expiry(match: re.Match[bytes]) -> float:
    """Return when a key expires, in seconds since the epoch; 0 for an invalid time."""
    day, minutes, seconds, zone = (part.decode() if part else "" for part in match.groups())
    try:
        moment = time.strptime(f"{day}{minutes or '0000'}{seconds or '00'}", "%Y%m%d%H%M%S")
        return time.mktime(moment) if not zone else float(calendar.timegm(moment))
    except (ValueError, OverflowError):
        return 0.0


def _for_gpg(git: GitRunner, signers: bytes, private: Path, deadline: Deadline) -> GitRunner:
    """Return a git that verifies gpg signatures, with a keyring that contains only *signers*."""
    home = private / f"gpg-{hashlib.sha256(signers).hexdigest()[:16]}"
    if not home.is_dir():
        for old in private.glob("gpg-*"):
            shutil.rmtree(old, ignore_errors=True)
        temporary = private / "gpg-new"
        temporary.mkdir(mode=0o700)
        (temporary / "gpg.conf").write_text(_GPG_CONF, encoding="ascii")
        argv = ["gpg", "--homedir", str(temporary), "--status-fd", "1", "--import"]
        env = {"PATH": git.path, "HOME": str(temporary), "LC_ALL": "C"}
        result = run(Command(argv, env, signers), deadline, what="reading the public keys of the signers")
        if b"[GNUPG:] IMPORT_OK " not in result.stdout:  # its exit code also reports unreachable agents
            shutil.rmtree(temporary, ignore_errors=True)
            raise SourceUnverified(
                "gpg finds no usable public key in verify.signers; export them with gpg --armor --export"
            )
        temporary.rename(home)
    return replace(git, config={**git.config, "gpg.openpgp.program": "gpg"}, env={**git.env, "GNUPGHOME": str(home)})
