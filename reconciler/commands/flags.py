"""Flags that several subcommands share, and the options of a plan that they mean."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from reconciler.model import Address
    from reconciler.plan import Options
    from reconciler.settings import Settings

Decorator = Callable[[Callable[..., int]], Callable[..., int]]


def parse_consents(
    context: click.Context, option: click.Parameter, values: Sequence[str]
) -> frozenset[tuple[str, str]]:
    """Return (address, class of impact) of each consent. No wildcards: consent names each object."""
    from reconciler.kinds.vocabulary import CONSENT

    found = set()
    for value in values:
        address, _, impact = value.rpartition("=")
        if impact not in CONSENT or "/" not in address:
            text = f"{value!r} is not ADDRESS=CLASS, where CLASS is one of {', '.join(CONSENT)}"
            raise click.BadParameter(text, context, option)
        found.add((address, impact))
    return frozenset(found)


def only_clusters(context: click.Context, option: click.Parameter, values: Sequence[str]) -> Sequence[str]:
    """Refuse addresses of resources, which this command cannot leave out."""
    from reconciler.settings.cluster_selector import is_address

    for value in filter(is_address, values):
        raise click.BadParameter(f"{value!r} is a resource; this command excludes clusters only", context, option)
    return values


def parse_digest(context: click.Context, option: click.Parameter, value: str | None) -> str:
    """Return a digest of a plan, or its beginning, in lower case; "" for none."""
    digest = (value or "").strip().lower()
    if value is not None and not (12 <= len(digest) <= 64 and set(digest) <= set("0123456789abcdef")):
        raise click.BadParameter(f"{value!r} is not 12 to 64 hexadecimal digits", context, option)
    return digest


def with_flags(*each: Callable[[Any], Any]) -> Decorator:
    """Return one decorator for several options, shown by `--help` in this order."""

    def decorate(function: Callable[..., int]) -> Callable[..., int]:
        for option in reversed(each):
            function = option(function)
        return function

    return decorate


GLOBAL = (
    click.option(
        "--project", metavar="FILE", help="Project file; default: reconciler.yaml in this or a parent folder."
    ),
    click.option("--state-dir", metavar="DIR", help="Folder of the ledger."),
    click.option("--no-color", is_flag=True, help="Disable colors (also: NO_COLOR in the environment)."),
    click.option("-q", "--quiet", is_flag=True, help="Print only results and errors."),
    click.option("-v", "--verbose", is_flag=True, help="Report each step on standard error."),
    click.option("--debug", is_flag=True, help="Print tracebacks of errors; secrets are masked."),
)
FILES = (
    click.option("-f", "--file", "files", multiple=True, metavar="PATH", help="Manifest, folder, or - (repeatable)."),
    click.option(
        "--cluster",
        "clusters",
        multiple=True,
        metavar="SELECTOR",
        help="Only these clusters: a name, a pattern ('prod-*') or labels (env=prod,region=eu); repeatable.",
    ),
)
CLUSTERS = (
    *FILES[1:],
    click.option(
        "--exclude",
        "excludes",
        multiple=True,
        metavar="SELECTOR",
        callback=only_clusters,
        help="All but these clusters, named as with --cluster (repeatable).",
    ),
)
CONNECTION = (
    click.option("--url", "urls", multiple=True, metavar="URL", help="URL of a node of the cluster (repeatable)."),
    click.option("--ca-cert", metavar="FILE", help="CA certificate of the cluster, PEM."),
    click.option("--pin", metavar="SHA256", help="SHA-256 fingerprint of the cluster's certificate."),
    click.option("--insecure", is_flag=True, help="Disable TLS verification; traffic can be intercepted."),
    click.option("--restored", is_flag=True, help="Accept a restored, rebuilt or other cluster behind a known name."),
    click.option("--retry-login", is_flag=True, help="Send a login again that was rejected in the last 20 minutes."),
)
PLANNING = (
    click.option("--target", "targets", multiple=True, metavar="ADDRESS", help="Only this resource (repeatable)."),
    click.option(
        "--exclude",
        "excludes",
        multiple=True,
        metavar="ADDRESS|SELECTOR",
        help="All but this resource, or these clusters, named as with --cluster (repeatable).",
    ),
    click.option("--prune", is_flag=True, help="Delete owned objects that are no longer declared."),
    click.option(
        "--previous",
        metavar="REV",
        help="With --prune: treat what the manifests declared at this commit as owned; requires no ledger.",
    ),
    click.option(
        "--allow-destroy",
        "allow_destroy",
        multiple=True,
        metavar="ADDRESS",
        help="Consent to delete or replace this resource, with the data that it holds (repeatable).",
    ),
    click.option(
        "--allow-impact",
        "allow_impact",
        multiple=True,
        callback=parse_consents,
        metavar="ADDRESS=CLASS",
        help="Consent to an impact on this resource, such as Database/a=may-lose-data (repeatable).",
    ),
    click.option(
        "--ignore-freeze",
        "ignore_freeze",
        multiple=True,
        metavar="ADDRESS|CLUSTER",
        help="Despite freeze windows, change this resource (those of its manifest) or cluster (those of the project).",
    ),
    click.option(
        "--max-update-percent",
        type=click.IntRange(0, 100),
        help="Maximum share of the declared objects of a cluster that is updated at once.",
    ),
    click.option(
        "--replace",
        "replace",
        multiple=True,
        metavar="ADDRESS",
        help="Delete and create this resource again (repeatable).",
    ),
    click.option(
        "--adopt",
        "adopt",
        multiple=True,
        metavar="ADDRESS",
        help="Take over an object that was deleted and created again outside this tool (repeatable).",
    ),
    click.option(
        "--resend-secret",
        "resend",
        multiple=True,
        metavar="ADDRESS",
        help="Send the secrets of this resource even if unchanged (repeatable).",
    ),
)


def format_option(*formats: str) -> Callable[[Any], Any]:
    """Return the option -o with *formats*, the first one being the default."""
    return click.option(
        "-o",
        "--output",
        "output",
        type=click.Choice(formats),
        default=formats[0],
        show_default=True,
        help="Output format.",
    )


def plan_options(flags: Mapping[str, Any], settings: Settings, files: Sequence[str] | None = None) -> Options:
    """Return the options of a plan of *files*; None means a saved plan."""
    from reconciler.plan import Options

    revision = flags["previous"]
    if revision is not None and (files is None or not flags["prune"]):
        why = "a saved plan has its deletes already" if files is None else "it limits what --prune deletes; add --prune"
        raise click.UsageError(f"--previous: {why}")
    previous = _declared_before(settings, files, revision) if revision is not None and files is not None else ()

    from reconciler.settings.cluster_selector import is_address

    limits = settings.limits
    if flags["max_update_percent"] is not None:
        limits = limits._replace(update_percent=flags["max_update_percent"])
    return Options(
        prune=flags["prune"],
        allow_destroy=frozenset(flags["allow_destroy"]),
        allow_impact=flags["allow_impact"],
        allowed_impacts=settings.allowed_impacts,
        ignore_freeze=frozenset(name for name in flags["ignore_freeze"] if "/" in name),
        ignored_freezes=_clusters(flags["ignore_freeze"], settings),
        targets=tuple(flags["targets"]),
        excludes=tuple(filter(is_address, flags["excludes"])),
        limits=limits,
        previous=frozenset(previous),
        adopt=frozenset(flags["adopt"]),
        replace=frozenset(flags["replace"]),
        resend_secrets=frozenset(flags["resend"]),
    )


def _clusters(names: Sequence[str], settings: Settings) -> frozenset[str]:
    """Return the clusters among the values of --ignore-freeze; raises InputError for an unknown one."""
    from reconciler.errors import InputError, Problem

    clusters = frozenset(name for name in names if "/" not in name)
    known = [target.name for target in settings.targets]
    hint = f"give an address such as Database/a, or one of the clusters: {', '.join(filter(None, known)) or 'none'}"
    if unknown := sorted(clusters.difference(known)):
        raise InputError([Problem("--ignore-freeze", 0, 0, "", f"unknown cluster {name!r}", hint) for name in unknown])
    return clusters


def _declared_before(settings: Settings, files: Sequence[str], revision: str) -> Iterator[Address]:
    """Yield what the same files and folders declared at *revision*, for the current clusters of this run."""
    from dataclasses import replace

    from reconciler.kinds import load_kinds
    from reconciler.manifests import load
    from reconciler.source import previous

    paths = list(map(Path, files)) or [folder for target in settings.targets for folder in target.manifests]
    if "-" in files or not paths:
        raise click.UsageError("--previous reads manifests from git, so they must be files: name them with -f")
    found = previous.manifests_at(revision, paths, settings.limits, settings.sources.environ.get("PATH", os.defpath))
    targets = [
        replace(target, manifests=tuple(found.names[folder] for folder in target.manifests) if not files else ())
        for target in settings.targets
    ]
    names = [found.names[Path(file)] for file in files]
    selected = {target.name for target in settings.selected}
    before = load(names, load_kinds(), clusters=targets, limits=settings.limits, tree=found.tree)
    yield from (one.address for one in before.resources if not one.absent and one.address.cluster in selected)
