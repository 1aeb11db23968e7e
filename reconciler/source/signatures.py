"""Who signed each commit: git's own check, with signers that the operator keeps outside the repository.

Called by the mirror for every commit between the last accepted revision and a new one, merges included. Nothing that a
commit carries is read but what git makes of its fingerprint.
"""

from __future__ import annotations

import calendar
import hashlib
import re
import shutil
import signal
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from reconciler.errors import SourceStale, SourceUnverified
from reconciler.settings.source import Verify
from reconciler.source.git import GitRunner
from reconciler.source.mirror import write_private
from reconciler.source.process import Deadline, ProcessLimits, ProcessResult, run

_LARGEST = 1024 * 1024
_MAX_LISTED = 10
_TRIES = 3  # ssh-keygen may end before git has written all to it: that ends git, now and then
_BEFORE = re.compile(rb'valid-before="?(\d{8})(\d{4})?(\d{2})?(Z?)"?', re.IGNORECASE)
_GPG_CONF = (
    "batch\nno-tty\nno-autostart\nno-auto-key-retrieve\nno-auto-key-locate\ntrust-model always\nweak-digest SHA1\n"
)
_STATES = {
    "B": "has a signature that does not fit it",
    "E": "has a signature that cannot be checked: its key is not among the signers",
    "N": "is not signed",
    "R": "is signed with a key that was revoked",
    "U": "is signed with a key that is not among the signers",
    "X": "has a signature that has expired",
    "Y": "is signed with a key that has expired",
}


def check(
    git: GitRunner,
    verify: Verify,
    private: Path,
    tip: str,
    since: str,
    most: int,
    deadline: Deadline,
    now: Callable[[], float],
) -> None:
    """Raise SourceUnverified unless every commit from *since* (not included, "" = the first one) to *tip* is signed.

    *private* is a folder of ours for what git needs to know of the signers.
    """
    signers = _signers(verify)
    git = _for_ssh(git, signers, private, now()) if verify.mode == "ssh" else _for_gpg(git, signers, private, deadline)
    words = [tip, *([f"^{since}"] if since else [])]
    what = "verifying signatures"
    answer = ProcessResult(-signal.SIGPIPE, b"", "")
    for _ in range(_TRIES):
        if answer.code == -signal.SIGPIPE:
            answer = git.run(
                "log", "--no-patch", "--no-notes", "--no-decorate",
                "--no-color",  # unlike rev-list, it takes notice of gpg.*
                f"--max-count={most + 1}", "--format=%H %G? %GF", "--end-of-options", *words,
                deadline=deadline, what=what, bounds=ProcessLimits(out=64 * 1024 * 1024),
            )  # fmt: skip
    if answer.code:  # it reads nothing but our own copy, so it is a fingerprint that it cannot make sense of
        raise SourceUnverified(str(git.failure(answer, what)))
    listed = answer.out
    lines = [line.split(" ") for line in listed.decode("utf-8", "replace").splitlines()]
    if len(lines) > most:
        raise SourceUnverified(
            f"more than {most:,} commits are new; set verify.since to one that is known to be good, "
            "or raise source.limits.commits"
        )
    bad = [
        f"{commit[:12]} {_STATES.get(state, 'cannot be verified')}"
        for commit, state, key in lines
        if not _good(state, key)
    ]
    if bad:
        more = [f"… and {len(bad) - _MAX_LISTED} more"] if len(bad) > _MAX_LISTED else []
        text = "; ".join([*bad[:_MAX_LISTED], *more])
        raise SourceUnverified(f"not every commit is signed by one of {verify.signers}: {text}")


def _good(state: str, key: str) -> bool:
    return state == "G" and bool(key)


def _signers(verify: Verify) -> bytes:
    """Return the file of signers, read anew: somebody may have left, or joined."""
    try:
        with verify.signers.open("rb") as file:
            data = file.read(_LARGEST + 1)
    except OSError as error:
        raise SourceStale(
            f"the signers {verify.signers} cannot be read: {error.strerror}; check verify.signers"
        ) from error
    if not data.strip() or len(data) > _LARGEST:
        raise SourceUnverified(f"{verify.signers} is empty or over {_LARGEST:,} bytes; nobody would be a signer")
    return data


def _for_ssh(git: GitRunner, signers: bytes, private: Path, now: float) -> GitRunner:
    """Return a git that verifies ssh signatures.

    It checks a key at the time that the commit names, which its author chooses: a key that has expired by now is left
    out altogether, so that it cannot sign into the past.
    """
    kept = [line for line in signers.splitlines() if not any(_ends(match) <= now for match in _BEFORE.finditer(line))]
    path = private / "signers"
    write_private(path, b"\n".join(kept) + b"\n")
    context = {"gpg.ssh.program": "ssh-keygen", "gpg.ssh.allowedSignersFile": str(path)}
    return replace(git, config={**git.config, **context})


def _ends(match: re.Match[bytes]) -> float:
    """Return when a key expires; at once for a time that makes no sense."""
    day, minutes, seconds, zone = (part.decode() if part else "" for part in match.groups())
    try:
        moment = time.strptime(f"{day}{minutes or '0000'}{seconds or '00'}", "%Y%m%d%H%M%S")
        return time.mktime(moment) if not zone else float(calendar.timegm(moment))
    except (ValueError, OverflowError):
        return 0.0


def _for_gpg(git: GitRunner, signers: bytes, private: Path, deadline: Deadline) -> GitRunner:
    """Return a git that verifies gpg signatures, with a keyring of our own that is made from *signers* alone."""
    home = private / f"gpg-{hashlib.sha256(signers).hexdigest()[:16]}"
    if not home.is_dir():
        for old in private.glob("gpg-*"):
            shutil.rmtree(old, ignore_errors=True)
        making = private / "gpg-new"
        making.mkdir(mode=0o700)
        (making / "gpg.conf").write_text(_GPG_CONF, encoding="ascii")
        answer = run(
            ["gpg", "--homedir", str(making), "--status-fd", "1", "--import"],
            {"PATH": git.path, "HOME": str(making), "LC_ALL": "C"},
            deadline,
            what="reading the public keys of the signers",
            stdin=signers,
        )
        if b"[GNUPG:] IMPORT_OK " not in answer.out:  # its exit code also speaks of agents that it cannot reach
            shutil.rmtree(making, ignore_errors=True)
            raise SourceUnverified(
                "gpg finds no usable public key in verify.signers; export them with gpg --armor --export"
            )
        making.rename(home)
    return replace(git, config={**git.config, "gpg.openpgp.program": "gpg"}, env={**git.env, "GNUPGHOME": str(home)})
