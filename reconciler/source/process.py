"""Runs one program to its end: bounded in time, output, memory and disk, and stoppable at any moment.

The only place that starts processes, for git and what git starts. It knows nothing of repositories. What is started
gets a process group of its own, which is gone when this returns, whatever the program left behind.
"""

from __future__ import annotations

import contextlib
import os
import resource
import selectors
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import IO, NamedTuple

from reconciler.errors import Interrupted, SourceError, SourceStale, SourceUnsafe

_TICK = 0.05
_GRACE = 1.0  # seconds between asking a program to end and ending it
_MEMORY = 2 * 1024**3
_MOST_ERRORS = 64 * 1024
_PIECE = 65536


class ProcessResult(NamedTuple):
    """How a program ended and what it wrote."""

    code: int  # negative: ended by this signal
    out: bytes
    err: str


class Deadline(NamedTuple):
    """When to give up: at a moment of the monotonic clock, or when somebody says stop."""

    deadline: float
    stop: threading.Event

    @classmethod
    def after(cls, seconds: float, stop: threading.Event | None = None) -> Deadline:
        """Return a deadline that gives up *seconds* from now."""
        return cls(time.monotonic() + seconds, stop or threading.Event())

    def check(self, what: str) -> None:
        """Raise Interrupted or SourceStale where *what* may go on no longer."""
        if self.stop.is_set():
            raise Interrupted(f"stopped while {what}")
        if time.monotonic() >= self.deadline:
            raise SourceStale(f"{what} took too long and was given up; try again, or raise source.timeout")


class ProcessLimits(NamedTuple):
    """What one program may use."""

    out: int = 1024 * 1024  # bytes on its standard output
    disk: int = 0  # bytes in one file; 0 = any
    size: Callable[[], int] | None = None  # what all of it takes on the disk by now


DEFAULT_LIMITS = ProcessLimits()


def run(
    words: Sequence[str],
    env: Mapping[str, str],
    deadline: Deadline,
    *,
    what: str,
    stdin: bytes = b"",
    bounds: ProcessLimits = DEFAULT_LIMITS,
    fds: Sequence[int] = (),
) -> ProcessResult:
    """Run *words* to the end. *what* says for people what it is doing; *fds* stay open in it.

    Raises Interrupted, SourceStale (time) and SourceUnsafe (more output or disk than allowed).
    """
    deadline.check(what)
    try:
        process = subprocess.Popen(  # noqa: S603  # a list of words, no shell
            words,
            env=dict(env),
            cwd="/",
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
            restore_signals=False,  # a file that grows too large is an error with words then, not a silent death
            pass_fds=fds,
        )
    except OSError as error:
        raise SourceError(f"{words[0]} cannot be started: {error.strerror}; install it, or mend PATH") from error
    try:
        _restrict(process.pid, bounds)
        out, err = _talk(process, stdin, deadline, what, bounds)
        _await(process, deadline, what)
    finally:
        code = _end(process)
    return ProcessResult(code, out, err.decode("utf-8", "replace"))


def _restrict(pid: int, bounds: ProcessLimits) -> None:
    """Bound memory and files of a program that has just begun; where the system cannot, the deadline has to do."""
    limits = {resource.RLIMIT_CORE: 0, resource.RLIMIT_AS: _MEMORY}
    if bounds.disk:
        limits[resource.RLIMIT_FSIZE] = bounds.disk
    for what, most in limits.items() if hasattr(resource, "prlimit") else ():
        with contextlib.suppress(OSError, ValueError):  # it may have ended already
            resource.prlimit(pid, what, (most, most))


def _talk(
    process: subprocess.Popen[bytes], stdin: bytes, deadline: Deadline, what: str, bounds: ProcessLimits
) -> tuple[bytes, bytes]:
    """Write *stdin* and read both outputs until they end."""
    assert process.stdin is not None  # noqa: S101  # for the type checker
    assert process.stdout is not None  # noqa: S101
    assert process.stderr is not None  # noqa: S101
    out, err, left = bytearray(), bytearray(), memoryview(stdin)
    pipes: dict[IO[bytes], bytearray] = {process.stdout: out, process.stderr: err}
    with selectors.DefaultSelector() as selector:
        for pipe in (*pipes, process.stdin):
            os.set_blocking(pipe.fileno(), False)
            selector.register(pipe, selectors.EVENT_WRITE if pipe is process.stdin else selectors.EVENT_READ)
        while selector.get_map():
            for key, _ in selector.select(_TICK):
                pipe = key.fileobj  # type: ignore[assignment]
                if pipe is process.stdin:
                    left = _write(pipe, left)
                    ended = not left
                else:
                    data = os.read(pipe.fileno(), _PIECE)
                    if pipe is process.stdout or len(err) < _MOST_ERRORS:
                        pipes[pipe] += data
                    ended = not data
                if ended:
                    selector.unregister(pipe)
                    pipe.close()
            if len(out) > bounds.out:
                raise SourceUnsafe(f"{what}: more than {bounds.out:,} bytes came out of it")
            _check_size(bounds, what)
            deadline.check(what)
    return bytes(out), bytes(err)


def _write(pipe: IO[bytes], left: memoryview) -> memoryview:
    try:
        return left[os.write(pipe.fileno(), left[:_PIECE]) :] if left else left
    except BrokenPipeError:  # it wants no more
        return left[:0]


def _check_size(bounds: ProcessLimits, what: str) -> None:
    if bounds.disk and bounds.size is not None and bounds.size() > bounds.disk:
        raise SourceUnsafe(
            f"{what}: over the limit of {bounds.disk:,} bytes; raise source.limits.size if that is meant"
        )


def _has_ended(process: subprocess.Popen[bytes]) -> bool:
    """Tell whether it ended, and leave it unreaped: its number must not be given away while we may signal it."""
    if not hasattr(os, "waitid"):  # macOS before Python 3.13
        return process.poll() is not None
    return os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def _await(process: subprocess.Popen[bytes], deadline: Deadline, what: str) -> None:
    pause = threading.Event()
    while not _has_ended(process):
        deadline.check(what)
        pause.wait(0.002)


def _end(process: subprocess.Popen[bytes]) -> int:
    """Make sure that nothing of the group is left; return how its leader ended."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        if not _has_ended(process):
            os.killpg(process.pid, signal.SIGTERM)  # git removes its lock files then
            with contextlib.suppress(SourceStale):
                _await(process, Deadline.after(_GRACE), "ending")
        os.killpg(process.pid, signal.SIGKILL)
    for pipe in (process.stdin, process.stdout, process.stderr):
        if pipe is not None:
            pipe.close()
    code = process.wait()
    _reap_adopted(process.pid)
    return code


def _reap_adopted(group: int) -> None:
    """Wait for what the leader left behind: the first process of a container inherits it, and nobody else would."""
    deadline = Deadline.after(_GRACE)
    with contextlib.suppress(ChildProcessError, SourceStale):
        while True:
            if os.waitpid(-group, os.WNOHANG) == (0, 0):
                deadline.check("ending")
                time.sleep(0.002)
