"""git as we call it: nothing of the user's configuration, no hooks, no prompts, only the protocol that is meant.

Called by the mirror, the tree reader and the verifier. It turns what git says into our errors; it decides nothing.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from reconciler.errors import ReconcilerError, SourceStale, SourceUnsafe
from reconciler.render.escape import clean, shorten
from reconciler.source.process import DEFAULT_LIMITS, Deadline, ProcessLimits, ProcessResult, run

_CONFIG = {
    "advice.graftFileDeprecated": "false",
    "core.hooksPath": "/dev/null",
    "core.attributesFile": "/dev/null",
    "core.fsmonitor": "false",
    "core.logAllRefUpdates": "false",
    "core.bigFileThreshold": "8m",
    "core.packedGitLimit": "512m",
    "core.packedGitWindowSize": "32m",
    "credential.helper": "",
    "credential.interactive": "never",
    "fetch.fsckObjects": "true",
    "fetch.fsck.zeroPaddedFilemode": "ignore",  # trees of old tools; the modes themselves are looked at later
    "fetch.recurseSubmodules": "false",
    "fetch.unpackLimit": "1",
    "gc.auto": "0",
    "gc.autoDetach": "false",
    "gpg.openpgp.program": "/bin/false",
    "gpg.ssh.program": "/bin/false",
    "gpg.x509.program": "/bin/false",
    "http.delegation": "none",
    "http.followRedirects": "false",
    "http.lowSpeedLimit": "10",
    "http.lowSpeedTime": "60",
    "http.saveCookies": "false",
    "http.sslVersion": "tlsv1.2",
    "http.sslVerify": "true",
    "i18n.logOutputEncoding": "UTF-8",
    "maintenance.auto": "false",
    "submodule.recurse": "false",
}

_HINTS = (
    (r"Host key verification failed|REMOTE HOST IDENTIFICATION", "compare the server's key with ssh.knownHosts"),
    (r"certificate|SSL|TLS", "check https.caCert and the host name; certificates are always verified"),
    (r"Authentication failed|could not read (Username|Password)|Permission denied|error: 40[13]", "check the login"),
    (r"couldn't find remote ref", "check the name of the branch or tag"),
    (r"redirect|error: 30[1278]", "redirects are not followed; write the url that it leads to"),
    (r"not found|does not appear to be a git repository|does not exist", "check the url, and the login's rights"),
    (r"dubious ownership", "the repository belongs to another user; run as its owner"),
    (r"transport '.*' not allowed", "only the protocol of source.url is spoken"),
)
_CUT_OFF = re.compile(r"early EOF|RPC failed|unexpected disconnect|hung up|Connection (?:reset|closed|timed out)")
_REFUSED = re.compile(
    r"fsck error|error: object [0-9a-f]{40}:|did not send all necessary objects|File too large|[Oo]ut of memory|"
    r"unknown object type|inflate returned|unresolved delta|pack is corrupt|pack has (?:bad|junk)|died of signal|"
    r"is not a (?:commit|tree|blob)|unable to read tree|bad tree"
)


@dataclass(frozen=True, slots=True)
class GitRunner:
    """git on one repository."""

    directory: Path  # the bare repository
    path: str  # where programs are looked for
    protocol: str = "none"
    config: Mapping[str, str] = field(default_factory=dict)
    env: Mapping[str, str] = field(default_factory=dict)
    fds: tuple[int, ...] = ()  # kept open in all that is started, such as the lock
    redact: Callable[[str], str] = str

    def run(
        self,
        *words: str,
        deadline: Deadline,
        what: str,
        stdin: bytes = b"",
        bounds: ProcessLimits = DEFAULT_LIMITS,
        config: Mapping[str, str] | None = None,
        secret: bytes = b"",
    ) -> ProcessResult:
        """Run git and return how it ended. *secret* answers git's question for a login, if it asks."""
        settings = {**_CONFIG, **self.config, **(config or {})}
        with _handed_over(secret) as (fds, helper):
            pairs = [*settings.items(), *helper]
            line = ["git", *(word for pair in pairs for word in ("-c", "=".join(pair)))]
            line += [
                "--no-replace-objects",
                "--no-optional-locks",
                "--literal-pathspecs",
                f"--git-dir={self.directory}",
            ]
            return run(
                [*line, *words],
                self.environment(),
                deadline,
                what=what,
                stdin=stdin,
                bounds=bounds,
                fds=(*self.fds, *fds),
            )

    def read(self, *words: str, deadline: Deadline, what: str, **more: object) -> bytes:
        """Run git and return what it wrote; raises SourceError where it failed."""
        answer = self.run(*words, deadline=deadline, what=what, **more)  # type: ignore[arg-type]
        if answer.code:
            raise self.failure(answer, what)
        return answer.out

    def environment(self) -> dict[str, str]:
        """Return all that git may know of its surroundings."""
        return {
            "PATH": self.path,
            "HOME": str(self.directory),
            "XDG_CONFIG_HOME": str(self.directory),
            "LC_ALL": "C",
            "TZ": "UTC",
            "GIT_ALLOW_PROTOCOL": self.protocol,
            "GIT_ASKPASS": "/bin/false",
            "GIT_ATTR_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": "/dev/null",
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_SYSTEM": "/dev/null",
            "GIT_GRAFT_FILE": "/dev/null",
            "GIT_NO_LAZY_FETCH": "1",
            "GIT_NO_REPLACE_OBJECTS": "1",
            "GIT_PROTOCOL_FROM_USER": "0",
            "GIT_SSH_VARIANT": "ssh",
            "GIT_TERMINAL_PROMPT": "0",
            "SSH_ASKPASS": "/bin/false",
            **self.env,
        }

    def failure(self, answer: ProcessResult, what: str) -> ReconcilerError:
        """Return the error that git's own words mean."""
        said = self.redact(_said(answer.err))
        if answer.code < 0:
            return SourceUnsafe(
                f"{what}: git was ended by signal {-answer.code}; the repository is more than it can take"
            )
        if _REFUSED.search(answer.err) and not _CUT_OFF.search(answer.err):
            return SourceUnsafe(f"{what}: git refuses what the repository holds: {said}")
        hint = next((hint for pattern, hint in _HINTS if re.search(pattern, answer.err)), "")
        return SourceStale(f"{what}: {said}{f' ({hint})' if hint else ''}")


def _said(text: str) -> str:
    """Return what matters of git's messages, on one line."""
    lines = [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("hint:")]
    telling = [line for line in lines if re.match(r"(fatal|error|ssh|remote|ERROR|Permission|Host)\b", line)] or lines
    return shorten(clean("; ".join(dict.fromkeys(telling[-4:]))), 400) or "git failed and said nothing"


@contextmanager
def _handed_over(secret: bytes) -> Iterator[tuple[Sequence[int], list[tuple[str, str]]]]:
    """Give a login to git through a pipe: it is in no argument, no variable and no file, and can be read once."""
    if not secret:
        yield (), []
        return
    reading, writing = os.pipe()
    try:
        with os.fdopen(writing, "wb") as pipe:
            pipe.write(secret)
        yield (reading,), [("credential.helper", f'!f() {{ test "$1" != get || cat /dev/fd/{reading}; }}; f')]
    finally:
        os.close(reading)


def version_of(git: GitRunner, deadline: Deadline) -> tuple[int, ...]:
    """Return git's own version."""
    said = git.read("version", deadline=deadline, what="asking git for its version").decode("ascii", "replace")
    match = re.search(r"(\d+)\.(\d+)", said)
    return tuple(map(int, match.groups())) if match else (0, 0)
