"""Runs git in isolation: without the user's configuration, hooks or prompts, and with one allowed protocol.

Used by the other modules of the git source and by `previous`. It translates failures of git to SourceError and decides
nothing.
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
from reconciler.source.process import DEFAULT_LIMITS, Command, Deadline, ProcessLimits, ProcessResult, run

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
    "fetch.fsck.zeroPaddedFilemode": "ignore",  # trees of old tools; the modes themselves are checked later
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
    (
        r"Authentication failed|could not read (Username|Password)|Permission denied|error: 40[13]",
        "check the credentials",
    ),
    (r"couldn't find remote ref", "check the name of the branch or tag"),
    (r"redirect|error: 30[1278]", "redirects are not followed; set source.url to the target of the redirect"),
    (
        r"not found|does not appear to be a git repository|does not exist",
        "check the URL and the permissions of the account",
    ),
    (r"dubious ownership", "the repository belongs to another user; run as its owner"),
    (r"transport '.*' not allowed", "only the protocol of source.url is allowed"),
)
_DISCONNECTED = re.compile(r"early EOF|RPC failed|unexpected disconnect|hung up|Connection (?:reset|closed|timed out)")
_MALFORMED = re.compile(
    r"fsck error|error: object [0-9a-f]{40}:|did not send all necessary objects|File too large|[Oo]ut of memory|"
    r"unknown object type|inflate returned|unresolved delta|pack is corrupt|pack has (?:bad|junk)|died of signal|"
    r"is not a (?:commit|tree|blob)|unable to read tree|bad tree"
)


@dataclass(frozen=True, slots=True)
class GitRunner:
    """git on one repository; immutable, so that variants are made with `dataclasses.replace`."""

    directory: Path  # the bare repository
    path: str  # PATH
    protocol: str = "none"  # the only one allowed
    config: Mapping[str, str] = field(default_factory=dict)
    env: Mapping[str, str] = field(default_factory=dict)
    pass_fds: tuple[int, ...] = ()  # stay open in every process, such as the lock
    redact: Callable[[str], str] = str

    def run(
        self,
        *args: str,
        deadline: Deadline,
        what: str,
        stdin: bytes = b"",
        limits: ProcessLimits = DEFAULT_LIMITS,
        credentials: bytes = b"",
    ) -> ProcessResult:
        """Run `git *args*` and return its result. *credentials*: the output of a credential helper, if git asks for it.

        *what* describes the command in messages. Raises as `process.run` does; the exit code is not checked.
        """
        with _credential_helper(credentials) as (fds, helper):
            config = [*{**_CONFIG, **self.config}.items(), *helper]
            argv = ["git", *(word for pair in config for word in ("-c", "=".join(pair)))]
            argv += [
                "--no-replace-objects",
                "--no-optional-locks",
                "--literal-pathspecs",
                f"--git-dir={self.directory}",
            ]
            command = Command([*argv, *args], self.environment(), stdin, (*self.pass_fds, *fds))
            return run(command, deadline, what=what, limits=limits)

    def read(self, *args: str, deadline: Deadline, what: str, **more: object) -> bytes:
        """Run `git *args*` as `run` does and return its standard output; raises SourceError where it failed."""
        result = self.run(*args, deadline=deadline, what=what, **more)  # type: ignore[arg-type]
        if result.exit_code:
            raise self.failure(result, what)
        return result.stdout

    def environment(self) -> dict[str, str]:
        """Return the environment variables of git; nothing is inherited."""
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

    def failure(self, result: ProcessResult, what: str) -> ReconcilerError:
        """Return the error for a failed *result*, from the messages of git."""
        message = self.redact(_message(result.stderr))
        if result.exit_code < 0:
            return SourceUnsafe(
                f"{what}: git was terminated by signal {-result.exit_code}; the repository may exceed the limits"
            )
        if _MALFORMED.search(result.stderr) and not _DISCONNECTED.search(result.stderr):
            return SourceUnsafe(f"{what}: git rejects the contents of the repository: {message}")
        hint = next((hint for pattern, hint in _HINTS if re.search(pattern, result.stderr)), "")
        return SourceStale(f"{what}: {message}{f' ({hint})' if hint else ''}")


def _message(text: str) -> str:
    """Return the relevant lines of git's messages, as one line."""
    lines = [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("hint:")]
    errors = [line for line in lines if re.match(r"(fatal|error|ssh|remote|ERROR|Permission|Host)\b", line)] or lines
    return shorten(clean("; ".join(dict.fromkeys(errors[-4:]))), 400) or "git failed without a message"


@contextmanager
def _credential_helper(credentials: bytes) -> Iterator[tuple[Sequence[int], list[tuple[str, str]]]]:
    """Yield file descriptors and configuration that pass *credentials* to git through a pipe.

    So they are in no argument, environment variable or file, and can be read only once.
    """
    if not credentials:
        yield (), []
        return
    reading, writing = os.pipe()
    try:
        with os.fdopen(writing, "wb") as pipe:
            pipe.write(credentials)
        yield (reading,), [("credential.helper", f'!f() {{ test "$1" != get || cat /dev/fd/{reading}; }}; f')]
    finally:
        os.close(reading)


def version_of(git: GitRunner, deadline: Deadline) -> tuple[int, ...]:
    """Return the version of git: major and minor."""
    output = git.read("version", deadline=deadline, what="reading the version of git").decode("ascii", "replace")
    match = re.search(r"(\d+)\.(\d+)", output)
    return tuple(map(int, match.groups())) if match else (0, 0)
