"""The console of a command: data goes to standard output, everything else to standard error.

Every subcommand creates one from its flags. It must not know what is printed.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from reconciler.cli import OutputClosed, say

if TYPE_CHECKING:
    from reconciler.secrets import Redactor
    from reconciler.telemetry import Event

WIDEST = 100


class Console(NamedTuple):
    """Where text goes, and how it looks."""

    color: bool
    width: int
    quiet: bool
    verbose: bool

    def out(self, text: str) -> None:
        try:
            sys.stdout.write(text if text.endswith("\n") or not text else f"{text}\n")
            sys.stdout.flush()
        except BrokenPipeError as error:
            raise OutputClosed from error
        except OSError as error:
            error.filename = "standard output"
            raise

    def note(self, text: str) -> None:
        if not self.quiet:
            say(text)

    def warn(self, text: str) -> None:
        say(f"warning: {text}")

    def observe(self, event: Event) -> None:
        """Print each event with --verbose; otherwise only those that explain a delay."""
        about = event.attributes
        if self.verbose:
            say(" ".join([event.name, *(f"{name}={value}" for name, value in sorted(about.items()))]))
        elif event.name == "call.done" and about["outcome"] == "not a member":
            where = f"{_where(about)}{about['node']}"
            self.note(f"{where} is not a cluster member ({about['status']}); failing over to another node")
        elif event.name == "call.retried":
            self.note(retry_text(about))


def retry_text(about: Mapping[str, Any]) -> str:
    """Return the attributes of an event `call.retried` as text."""
    return f"retrying in {about['delay']:.1f} s: {_where(about)}{about['request']}: {about['why']}"


def _where(about: Mapping[str, Any]) -> str:
    return f"{about['cluster']}: " if about.get("cluster") else ""


def console_of(flags: Mapping[str, Any]) -> Console:
    """Return the console for the flags and the terminal."""
    plain = flags.get("no_color") or os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
    return Console(
        color=bool(not plain and sys.stdout.isatty()),
        width=min(WIDEST, shutil.get_terminal_size((WIDEST, 24)).columns) if sys.stdout.isatty() else WIDEST,
        quiet=bool(flags.get("quiet")),
        verbose=bool(flags.get("verbose")),
    )


class RedactedStream:
    """A text stream that masks every known secret."""

    def __init__(self, stream: Any, redactor: Redactor) -> None:
        self._stream = stream
        self._redactor = redactor

    def write(self, text: str) -> int:
        self._stream.write(self._redactor.redact(text))
        return len(text)

    def writelines(self, lines: Sequence[str]) -> None:
        self.write("".join(lines))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)
