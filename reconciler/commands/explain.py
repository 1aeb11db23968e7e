"""`reconciler explain TOPIC`: a kind, `metadata`, the project file, or a field of one of these, with an example."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from textwrap import indent, wrap
from typing import Any

import click

from reconciler.commands.console import console_of
from reconciler.commands.flags import GLOBAL, format_option, with_flags
from reconciler.commands.schema_docs import completions, explained, topics
from reconciler.kinds.describe import impact_text, range_text, value_text
from reconciler.kinds.quantities import EXAMPLES

_STATES = {"writeOnly": "write only", "immutable": "fixed at creation", "onlyGrows": "only grows"}
_SECRETS = {True: "yes: written as valueFrom", "embedded": "where it holds one: text, or valueFrom"}


def _complete(_: click.Context, __: click.Parameter, start: str) -> list[str]:
    return completions(start)


@click.command("explain")
@click.argument("topic", required=False, metavar="[TOPIC]", shell_complete=_complete)
@format_option("text", "json")
@with_flags(*GLOBAL)
def command(topic: str | None, output: str, **flags: Any) -> int:
    """Explain a kind, metadata, the project file, or one of their fields.

    TOPIC is KIND[.field], metadata[.field] or project[.field]; without it, all topics are listed.

    \b
    reconciler explain Database
    reconciler explain Database.eviction_policy
    reconciler explain metadata.freeze
    reconciler explain project.limits
    """
    console = console_of(flags)
    about: Any = explained(topic) if topic else topics()
    if output == "json":
        console.out(json.dumps(about, indent=2))
    else:
        console.out(_text(about, console.width) if topic else "\n".join(_listed(about, console.width)))
    return 0


# --- words -----------------------------------------------------------------------------------------------------------


def _rows(about: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield what is known as pairs of a label and its text."""
    if "kind" in about:
        yield from _kind_rows(about)
    else:
        yield from _type_rows(about)
        yield from _field_rows(about)
    yield from ((word, about[word]) for word in ("since", "until", "documented") if word in about)
    if "fields" in about and "below" not in about:
        yield "fields", ", ".join(about["fields"])


def _kind_rows(about: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    yield "shape", about["shape"] + ("; called cluster" if about["shape"] == "singleton" else "")
    if about["key"]:
        yield "key", " or ".join(about["key"]) + ", which is metadata.name"
    yield "verbs", ", ".join(about["verbs"]) or "none"
    yield "API", about["path"]
    if about.get("protect"):
        yield "data", "deleting or replacing it loses the data that it holds, which needs consent"
    if "lasting" in about:
        yield "built-in", ", ".join(about["lasting"]) + ": never deleted"
    if "needs" in about:
        yield "required", ", ".join(about["needs"]) + "; for a create"


def _type_rows(about: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    unit = about.get("unit", "")
    quantity = f", or text such as {EXAMPLES[unit]}" if unit in EXAMPLES and about["type"] == "integer" else ""
    yield "type", about["type"] + (f" in {unit}{quantity}" if unit else "")
    if "required" in about:
        yield "required", "yes"
    if "enum" in about:
        yield "one of", ", ".join(map(str, about["enum"]))
    if range_text(about):
        yield "range", range_text(about)
    yield from ((word, value_text(about[word])) for word in ("pattern", "default", "usually") if word in about)


def _field_rows(about: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield what only fields of a kind have."""
    yield from (
        ("impact" if not place else "", impact_text(each)) for place, each in enumerate(about.get("impact", ()))
    )
    if "fromFile" in about:
        yield "written", "as text, or as valueFrom"
    if "secret" in about:
        yield "secret", _SECRETS[about["secret"]]
    if any(word in about for word in _STATES):
        yield "state", ", ".join(text for word, text in _STATES.items() if word in about)
    if "optionOf" in about:
        yield (
            "option",
            "not stored; sets how a change of " + (", ".join(about["optionOf"]) or "the object") + " is made",
        )
    if "refersTo" in about:
        yield "refers to", about["refersTo"]
    if "only" in about:
        yield "only", about["only"]
    if about.get("deprecated"):
        yield "deprecated", f"use {about['instead']}" if "instead" in about else "yes"
    if "wire" in about:
        yield "API", f"{about['path']} {about['wire']}"
    elif "path" in about:
        yield "API", f"not part of {about['path']}: has requests of its own"


def _below(lines: Mapping[str, Mapping[str, Any]], width: int) -> Iterator[str]:
    """Yield the fields of `metadata` or of a part of the project file: type, default and description of each."""
    yield "  fields"
    for name, line in lines.items():
        values = f"; one of {', '.join(map(str, line['enum']))}" if "enum" in line else ""
        default = f"; default {value_text(line['default'])}" if "default" in line else ""
        yield f"    {name}: {line['type']}{'; required' if 'required' in line else ''}{values}{default}"
        yield from (f"        {text}" for text in wrap(line["about"], width - 8, break_on_hyphens=False))


def _text(about: Mapping[str, Any], width: int) -> str:
    from reconciler.yaml12.writer import document

    rows = list(_rows(about))
    wide = max(len(word) for word, _ in rows)
    lines = [
        about.get("kind") or about["field"],
        *(f"  {line}" for line in wrap(about["about"], width - 2, break_on_hyphens=False)),
        "",
    ]
    for word, text in rows:
        first, *rest = wrap(text, width - wide - 4, break_long_words=False, break_on_hyphens=False) or [""]
        lines += [f"  {word:<{wide}}  {first}", *(f"  {'':<{wide}}  {line}" for line in rest)]
    lines += ["", *_below(about["below"], width)] if "below" in about else []
    return "\n".join([*lines, "", indent(document(about["example"]), "  ").rstrip()])


def _listed(known: Mapping[str, str], width: int) -> Iterator[str]:
    """Yield each topic with its line."""
    wide = max(map(len, known))
    for name, text in known.items():
        first, *rest = wrap(text, width - wide - 2)
        yield f"{name:<{wide}}  {first}"
        yield from (f"{'':<{wide}}  {line}" for line in rest)
