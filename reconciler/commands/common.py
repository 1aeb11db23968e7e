"""What the subcommands share: flags, where text goes, how a session is opened. Every subcommand uses it."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TextIO, cast

import click

from reconciler.cli import ReaderGone, say

if TYPE_CHECKING:
    from reconciler.manifests import Manifests
    from reconciler.model import Address
    from reconciler.plan import Options
    from reconciler.secrets import Redactor
    from reconciler.session import Session
    from reconciler.settings import Settings
    from reconciler.telemetry import Event

Decorator = Callable[[Callable[..., int]], Callable[..., int]]

WIDEST = 100


def agreed(context: click.Context, option: click.Parameter, values: Sequence[str]) -> frozenset[tuple[str, str]]:
    """Return (address, class of impact) of each consent; no wildcards, so that nobody agrees to what nobody saw."""
    from reconciler.kinds.vocabulary import CONSENT

    found = set()
    for value in values:
        address, _, impact = value.rpartition("=")
        if impact not in CONSENT or "/" not in address:
            text = f"{value!r} is not ADDRESS=CLASS, where CLASS is one of {', '.join(CONSENT)}"
            raise click.BadParameter(text, context, option)
        found.add((address, impact))
    return frozenset(found)


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
    click.option("--restored", is_flag=True, help="Believe a cluster that is older than what was seen of it before."),
)
CHOICE = (
    click.option("--target", "targets", multiple=True, metavar="ADDRESS", help="Only this resource (repeatable)."),
    click.option("--exclude", "excludes", multiple=True, metavar="ADDRESS", help="All but this (repeatable)."),
    click.option("--prune", is_flag=True, help="Delete what we own and no manifest declares any more."),
    click.option(
        "--previous",
        metavar="REV",
        help="With --prune: what the manifests declared at this commit counts as owned; no ledger is needed.",
    ),
    click.option(
        "--allow-destroy",
        "allow_destroy",
        multiple=True,
        metavar="ADDRESS",
        help="Consent to delete or replace this protected resource (repeatable).",
    ),
    click.option(
        "--allow-impact",
        "allow_impact",
        multiple=True,
        callback=agreed,
        metavar="ADDRESS=CLASS",
        help="Consent to what changing this resource does, such as Database/a=may-lose-data (repeatable).",
    ),
    click.option(
        "--ignore-freeze",
        "ignore_freeze",
        multiple=True,
        metavar="ADDRESS",
        help="Change this resource although its manifest forbids it at this time (repeatable).",
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
        try:
            sys.stdout.write(text if text.endswith("\n") or not text else f"{text}\n")
            sys.stdout.flush()
        except BrokenPipeError as error:
            raise ReaderGone from error
        except OSError as error:
            error.filename = "standard output"
            raise

    def note(self, text: str) -> None:
        if not self.quiet:
            say(text)

    def warn(self, text: str) -> None:
        say(f"warning: {text}")

    def observe(self, event: Event) -> None:
        """Tell each event of the engine to who asked for it, and to others what explains a delay."""
        about = event.attributes
        if not self.verbose:
            if event.name == "call.done" and about["outcome"] == "not a member":
                self.note(f"{about['node']} is no member of the cluster ({about['status']}); asking another node")
            elif event.name == "call.retried":
                self.note(f"trying again in {about['delay']:.1f} s: {about['request']}: {about['why']}")
        else:
            say(" ".join([event.name, *(f"{name}={value}" for name, value in sorted(event.attributes.items()))]))


class Redacting:
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


def load_settings(flags: Mapping[str, Any], screen: Console) -> Settings:
    """Read the project file, the environment and the flags; from here on no secret reaches the terminal."""
    from reconciler import settings
    from reconciler.secrets import Redactor

    redactor = Redactor()
    sys.stdout = cast("TextIO", Redacting(sys.stdout, redactor))
    sys.stderr = cast("TextIO", Redacting(sys.stderr, redactor))
    project = Path(flags["project"]) if flags.get("project") else None
    loaded = settings.load(project, os.environ, flags, redactor=redactor, warn=screen.warn)
    for warning in loaded.warnings:
        screen.warn(warning)
    return loaded


def declared(settings: Settings, files: Sequence[str], screen: Console) -> Manifests:
    """Return what is declared for the selected clusters, and say what is odd in it; raises InputError."""
    from reconciler.kinds import load_kinds
    from reconciler.manifests import load

    _warn_of_unused_projects(settings, files, screen)
    manifests = load(files, load_kinds(), clusters=settings.targets, limits=settings.limits)
    for problem in manifests.warnings:
        screen.warn(str(problem))
    if len(settings.selected) == len(settings.targets):
        return manifests
    return manifests.only({target.name for target in settings.selected})


def _warn_of_unused_projects(settings: Settings, files: Sequence[str], screen: Console) -> None:
    """Say how to use the project file of a folder that is named as a folder of manifests."""
    from reconciler.settings import PROJECT_FILE

    for name in files:
        project = Path(name) / PROJECT_FILE
        if name != "-" and project.is_file() and (settings.project is None or not project.samefile(settings.project)):
            screen.warn(f"-f {name} reads that folder as one layer; for its clusters and layers: --project {project}")


@contextmanager
def opening(flags: Mapping[str, Any], screen: Console) -> Iterator[Session]:
    """Open a session on the chosen clusters; raises InputError where there is none."""
    from reconciler.commands.signals import leaving
    from reconciler.runtime import Runtime
    from reconciler.session import Session

    loaded = load_settings(flags, screen)
    with leaving(), Session(loaded, loaded.reachable(), runtime=Runtime(observe=screen.observe)) as session:
        if flags["restored"]:
            session.believe()
        yield session


def choice(flags: Mapping[str, Any], settings: Settings, files: Sequence[str] | None = None) -> Options:
    """Return what the flags say about a plan; of *files* (None: of a saved plan)."""
    from reconciler.plan import Options

    revision = flags["previous"]
    if revision is not None and (files is None or not flags["prune"]):
        why = "a saved plan has its deletes already" if files is None else "it says what --prune may take; add --prune"
        raise click.UsageError(f"--previous: {why}")
    previous = _declared_before(settings, files, revision) if revision is not None and files is not None else ()

    limits = settings.limits
    if flags["max_update_percent"] is not None:
        limits = limits._replace(update_percent=flags["max_update_percent"])
    return Options(
        prune=flags["prune"],
        allow_destroy=frozenset(flags["allow_destroy"]),
        allow_impact=flags["allow_impact"],
        ignore_freeze=frozenset(flags["ignore_freeze"]),
        targets=tuple(flags["targets"]),
        excludes=tuple(flags["excludes"]),
        limits=limits,
        previous=frozenset(previous),
        resend_secrets=frozenset(flags["resend"]),
    )


def _declared_before(settings: Settings, files: Sequence[str], revision: str) -> Iterator[Address]:
    """Yield what the same files and folders declared at *revision*, for the clusters of this run as they are now."""
    from dataclasses import replace

    from reconciler.kinds import load_kinds
    from reconciler.manifests import load
    from reconciler.source import previous

    paths = list(map(Path, files)) or [folder for target in settings.targets for folder in target.manifests]
    if "-" in files or not paths:
        raise click.UsageError("--previous looks into git, so the manifests have to be files: name them with -f")
    found = previous.manifests_at(revision, paths, settings.limits, settings.sources.environ.get("PATH", os.defpath))
    targets = [
        replace(target, manifests=tuple(found.names[folder] for folder in target.manifests) if not files else ())
        for target in settings.targets
    ]
    names = [found.names[Path(file)] for file in files]
    selected = {target.name for target in settings.selected}
    before = load(names, load_kinds(), clusters=targets, limits=settings.limits, tree=found.tree)
    yield from (one.address for one in before.resources if not one.absent and one.address.cluster in selected)
