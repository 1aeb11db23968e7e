"""What the subcommands share: flags, where text goes, how a session is opened. Every subcommand uses it."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from reconciler.cli import say

if TYPE_CHECKING:
    from reconciler.secrets import Redactor
    from reconciler.settings import Settings

Decorator = Callable[[Callable[..., int]], Callable[..., int]]

WIDEST = 100


def options(*each: Callable[[Any], Any]) -> Decorator:
    """Return one decorator for several options, shown by `--help` in this order."""

    def decorate(function: Callable[..., int]) -> Callable[..., int]:
        for option in reversed(each):
            function = option(function)
        return function

    return decorate


WHERE = (
    click.option("--project", metavar="FILE", help="Project file; else reconciler.yaml here or in a folder above."),
    click.option("--state-dir", metavar="DIR", help="Folder of the ledger."),
    click.option("--no-color", is_flag=True, help="No colours; so does NO_COLOR in the environment."),
    click.option("-q", "--quiet", is_flag=True, help="Only results and errors."),
    click.option("-v", "--verbose", is_flag=True, help="Tell each step on standard error."),
    click.option("--debug", is_flag=True, help="Add tracebacks to errors; secrets are masked."),
)
FILES = (
    click.option("-f", "--file", "files", multiple=True, metavar="PATH", help="Manifest, folder, or - (repeatable)."),
    click.option("--cluster", "clusters", multiple=True, metavar="NAME", help="Only this cluster (repeatable)."),
)
REACH = (
    click.option("--url", "urls", multiple=True, metavar="URL", help="Node of the cluster (repeatable)."),
    click.option("--ca-cert", metavar="FILE", help="CA certificate of the cluster, PEM."),
    click.option("--pin", metavar="SHA256", help="SHA-256 fingerprint of the cluster's certificate."),
    click.option("--insecure", is_flag=True, help="Do not check the certificate: anybody can listen and answer."),
)
CHOICE = (
    click.option("--target", "targets", multiple=True, metavar="ADDRESS", help="Only this resource (repeatable)."),
    click.option("--exclude", "excludes", multiple=True, metavar="ADDRESS", help="All but this (repeatable)."),
    click.option("--prune", is_flag=True, help="Delete what we own and no manifest declares any more."),
    click.option(
        "--allow-destroy",
        "allow_destroy",
        multiple=True,
        metavar="ADDRESS",
        help="Consent to delete or replace this protected resource (repeatable).",
    ),
    click.option("--max-update-percent", type=click.IntRange(0, 100), help="Allow to update this share at once."),
    click.option(
        "--resend-secret", "resend", multiple=True, metavar="ADDRESS", help="Send its secrets, changed or not."
    ),
)


def format_option(*formats: str) -> Callable[[Any], Any]:
    """Return the option -o with *formats*, the first one being the default."""
    return click.option(
        "-o", "--output", "output", type=click.Choice(formats), default=formats[0], show_default=True, help="Format."
    )


class Console(NamedTuple):
    """Where text goes: data to standard output, everything else to standard error."""

    color: bool
    width: int
    quiet: bool
    verbose: bool

    def out(self, text: str) -> None:
        sys.stdout.write(text if text.endswith("\n") or not text else f"{text}\n")
        sys.stdout.flush()

    def note(self, text: str) -> None:
        if not self.quiet:
            say(text)

    def warn(self, text: str) -> None:
        say(f"warning: {text}")


class _Redacting:
    """A text stream that masks every known secret on its way out."""

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


def console(flags: Mapping[str, Any]) -> Console:
    """Return the console that the flags and the terminal ask for."""
    plain = flags.get("no_color") or os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
    return Console(
        color=bool(not plain and sys.stdout.isatty()),
        width=min(WIDEST, shutil.get_terminal_size((WIDEST, 24)).columns) if sys.stdout.isatty() else WIDEST,
        quiet=bool(flags.get("quiet")),
        verbose=bool(flags.get("verbose")),
    )


def load_settings(flags: Mapping[str, Any]) -> Settings:
    """Read the project file, the environment and the flags; from here on no secret reaches the terminal."""
    from reconciler import settings
    from reconciler.secrets import Redactor

    redactor = Redactor()
    sys.stdout = _Redacting(sys.stdout, redactor)  # type: ignore[assignment]
    sys.stderr = _Redacting(sys.stderr, redactor)  # type: ignore[assignment]
    project = flags.get("project")
    return settings.load(Path(project) if project else None, os.environ, flags)
