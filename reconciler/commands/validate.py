"""`reconciler validate`: what can be known to be wrong without any network."""

from __future__ import annotations

import json
from typing import Any

import click

from reconciler.commands.common import FILES, WHERE, console, declared, format_option, load_settings, options
from reconciler.errors import InputError, Problem


@click.command("validate")
@options(*FILES)
@click.option("--strict", is_flag=True, help="References to what no manifest declares are errors.")
@format_option("text", "json")
@options(*WHERE)
def command(files: tuple[str, ...], strict: bool, output: str, **flags: Any) -> int:
    """Check manifests and the project file, without any network: syntax, schemas, names, references."""
    screen = console(flags)
    try:
        settings = load_settings(flags, screen)
        manifests = declared(settings, files, screen)
        if strict and manifests.unresolved:
            raise InputError(manifests.unresolved)
    except InputError as error:
        if output == "json":
            screen.out(json.dumps({"valid": False, "problems": [_plain(p) for p in error.problems]}, indent=2))
            return error.exit_code
        raise
    count = len(manifests.resources)
    if output == "json":
        warnings = [_plain(problem) for problem in manifests.unresolved]
        screen.out(json.dumps({"valid": True, "resources": count, "warnings": warnings}, indent=2))
        return 0
    for problem in manifests.unresolved:
        screen.warn(str(problem))
    clusters = sorted({resource.address.cluster for resource in manifests.resources} - {""})
    where = f" for {', '.join(clusters)}" if clusters else ""
    screen.out(f"Valid: {count} resource{'' if count == 1 else 's'}{where}.")
    return 0


def _plain(problem: Problem) -> dict[str, Any]:
    return problem._asdict()
