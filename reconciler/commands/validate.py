"""`reconciler validate`: checks manifests and the project file without network access."""

from __future__ import annotations

import json
from typing import Any

import click

from reconciler.commands.console import console_of
from reconciler.commands.flags import CLUSTERS, FILES, GLOBAL, format_option, with_flags
from reconciler.commands.inputs import load_manifests, load_settings
from reconciler.errors import InputError, Problem


@click.command("validate")
@with_flags(*FILES[:1], *CLUSTERS)
@click.option("--strict", is_flag=True, help="Treat references to undeclared objects as errors.")
@format_option("text", "json")
@with_flags(*GLOBAL)
def command(files: tuple[str, ...], strict: bool, output: str, **flags: Any) -> int:
    """Check manifests and the project file: syntax, schemas, names, references. No network access."""
    console = console_of(flags)
    try:
        settings = load_settings(flags, console)
        manifests = load_manifests(settings, files, console)
        if strict and manifests.unresolved:
            raise InputError(manifests.unresolved)
    except InputError as error:
        if output == "json":
            console.out(json.dumps({"valid": False, "problems": [_plain(p) for p in error.problems]}, indent=2))
            return error.exit_code
        raise
    count = len(manifests.resources)
    if output == "json":
        warnings = [_plain(problem) for problem in manifests.unresolved]
        console.out(json.dumps({"valid": True, "resources": count, "warnings": warnings}, indent=2))
        return 0
    for problem in manifests.unresolved:
        console.warn(str(problem))
    clusters = sorted({resource.address.cluster for resource in manifests.resources} - {""})
    where = f" for {', '.join(clusters)}" if clusters else ""
    console.out(f"Valid: {count} resource{'' if count == 1 else 's'}{where}.")
    return 0


def _plain(problem: Problem) -> dict[str, Any]:
    return problem._asdict()
