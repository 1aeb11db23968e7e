"""Runs a program to completion: limited in time, output, memory and disk space, and cancellable at any moment.

The only place that starts processes; used by `git`, `previous` and `signatures`. Must not know repositories. Each
program gets its own process group, which no longer exists when this returns, including any background processes.
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
_GRACE = 1.0  # seconds between SIGTERM and SIGKILL
_MEMORY = 2 * 1024**3
_MAX_STDERR = 64 * 1024
_CHUNK = 65536


class ProcessResult(NamedTuple):
    """The exit code and the output of a program."""

    exit_code: int  # negative: terminated by this signal
    stdout: bytes
    stderr: str


class Command(NamedTuple):
    """A program with its arguments, environment and input."""

    argv: Sequence[str]
    env: Mapping[str, str]
    stdin: bytes = b""
    pass_fds: Sequence[int] = ()  # file descriptors that stay open in it


class Deadline(NamedTuple):
    """When to cancel: at a time of the monotonic clock, or once *stop* is set."""

    at: float  # seconds of the monotonic clock
    stop: threading.Event

    @classmethod
    def after(cls, seconds: float, stop: threading.Event | None = None) -> Deadline:
        """Return the deadline *seconds* from now."""
        return cls(time.monotonic() + seconds, stop or threading.Event())

    def check(self, what: str) -> None:
        """Raise Interrupted or SourceStale where *what* must not continue."""
        if self.stop.is_set():
            raise Interrupted(f"interrupted while {what}")
        if time.monotonic() >= self.at:
            raise SourceStale(f"{what} timed out; try again, or increase source.timeout")


class ProcessLimits(NamedTuple):
    """The resource limits of one program."""

    stdout: int = 1024 * 1024  # bytes
    disk: int = 0  # bytes, per file and in total; 0 = unlimited
    disk_usage: Callable[[], int] | None = None  # returns the bytes that its files use in total


DEFAULT_LIMITS = ProcessLimits()


def run(command: Command, deadline: Deadline, *, what: str, limits: ProcessLimits = DEFAULT_LIMITS) -> ProcessResult:
    """Run *command* to completion. *what* describes it in messages, such as "listing the tags".

    Raises Interrupted, SourceStale (timeout), SourceUnsafe (over a limit) and SourceError (it cannot be started).
    """
    deadline.check(what)
    try:
        process = subprocess.Popen(  # noqa: S603  # a list of arguments, no shell
            command.argv,
            env=dict(command.env),
            cwd="/",
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
            restore_signals=False,  # a file over the limit is then an error with a message instead of SIGXFSZ
            pass_fds=command.pass_fds,
        )
    except OSError as error:
        raise SourceError(
            f"{command.argv[0]} cannot be started: {error.strerror}; install it, or correct PATH"
        ) from error
    try:
        _set_limits(process.pid, limits)
        stdout, stderr = _communicate(process, command.stdin, deadline, what, limits)
        _await(process, deadline, what)
    finally:
        exit_code = _end(process)
    return ProcessResult(exit_code, stdout, stderr.decode("utf-8", "replace"))


def _set_limits(pid: int, limits: ProcessLimits) -> None:
    """Limit memory and file size of a program that has just started, where the system supports it."""
    values = {resource.RLIMIT_CORE: 0, resource.RLIMIT_AS: _MEMORY}
    if limits.disk:
        values[resource.RLIMIT_FSIZE] = limits.disk
    for name, value in values.items() if hasattr(resource, "prlimit") else ():
        with contextlib.suppress(OSError, ValueError):  # it may have ended already
            resource.prlimit(pid, name, (value, value))


def _communicate(
    process: subprocess.Popen[bytes], stdin: bytes, deadline: Deadline, what: str, limits: ProcessLimits
) -> tuple[bytes, bytes]:
    """Write *stdin* and read both outputs to their end; return stdout and stderr."""
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
                    data = os.read(pipe.fileno(), _CHUNK)
                    if pipe is process.stdout or len(err) < _MAX_STDERR:
                        pipes[pipe] += data
                    ended = not data
                if ended:
                    selector.unregister(pipe)
                    pipe.close()
            if len(out) > limits.stdout:
                raise SourceUnsafe(f"{what}: more than {limits.stdout:,} bytes of output")
            _check_disk_usage(limits, what)
            deadline.check(what)
    return bytes(out), bytes(err)


def _write(pipe: IO[bytes], left: memoryview) -> memoryview:
    try:
        return left[os.write(pipe.fileno(), left[:_CHUNK]) :] if left else left
    except BrokenPipeError:  # it closed its input
        return left[:0]


def _check_disk_usage(limits: ProcessLimits, what: str) -> None:
    if limits.disk and limits.disk_usage is not None and limits.disk_usage() > limits.disk:
        raise SourceUnsafe(
            f"{what}: over the limit of {limits.disk:,} bytes; increase source.limits.size if that is intended"
        )


def _has_ended(process: subprocess.Popen[bytes]) -> bool:
    """Return whether it ended, without reaping it: its pid must not be reused while it may still be signalled."""
    if not hasattr(os, "waitid"):  # macOS before Python 3.13
        return process.poll() is not None
    return os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def _await(process: subprocess.Popen[bytes], deadline: Deadline, what: str) -> None:
    pause = threading.Event()
    while not _has_ended(process):
        deadline.check(what)
        pause.wait(0.002)


def _end(process: subprocess.Popen[bytes]) -> int:
    """Terminate the process group; return the exit code of its leader."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        if not _has_ended(process):
            os.killpg(process.pid, signal.SIGTERM)  # lets git remove its lock files
            with contextlib.suppress(SourceStale):
                _await(process, Deadline.after(_GRACE), "terminating")
        os.killpg(process.pid, signal.SIGKILL)
    for pipe in (process.stdin, process.stdout, process.stderr):
        if pipe is not None:
            pipe.close()
    exit_code = process.wait()
    _reap_orphans(process.pid)
    return exit_code


def _reap_orphans(group: int) -> None:
    """Wait for orphans of the leader: the init process of a container inherits them, and nothing else reaps them."""
    deadline = Deadline.after(_GRACE)
    with contextlib.suppress(ChildProcessError, SourceStale):
        while True:
            if os.waitpid(-group, os.WNOHANG) == (0, 0):
                deadline.check("terminating")
                time.sleep(0.002)
