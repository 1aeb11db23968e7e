"""`python -m reconciler.kinds.reference_page > schemas/README.md`: the reference of every kind and field, in Markdown.

Everything comes from the kind files; `make schemas` writes the file and a test says when it is out of date.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from reconciler.kinds.describe import (
    Schema,
    impacts,
    is_reference,
    marks,
    range_text,
    reference_of,
    type_text,
    value_text,
)
from reconciler.kinds.kind_files import kind_source, load_kinds
from reconciler.kinds.quantities import EXAMPLES
from reconciler.kinds.traits import traits_of
from reconciler.kinds.vocabulary import CONSENT

HEAD = """\
# Kinds

Every kind that can be declared, and every field of its `spec`. Generated from the kind files in this folder by
`make schemas`; edit those instead. `reconciler explain KIND.field` shows the same in a terminal, with an example;
[manifests/README.md](../manifests/README.md) describes manifests and their `metadata`.

- A **name** is `metadata.name`: the natural key that pairs a manifest with the object in the cluster. A kind that
  exists once in each cluster is always called `cluster`.
- **Since** and **until** are the first and the last server version that has the kind or the field; empty means every
  supported version.
- A field in bytes takes {bytes}; in seconds {seconds}; in milliseconds {milliseconds}. A plain number works as well.
- A **secret** is written as `{{valueFrom: {{env: NAME}}}}` or `{{valueFrom: {{file: PATH}}}}`; it is masked everywhere
  and compared by keyed digest.
- **Impact** is what a change of the field can do. These need consent (`metadata.allow` or `--allow-impact`):
  {consent}.
- `a.b` is field `b` of the object `a`; `a[].b` is field `b` of each item of the list `a`.

"""


def markdown() -> str:
    """Return the whole reference."""
    sources = sorted((kind_source(name) for name in load_kinds()), key=lambda source: source["title"].lower())
    head = HEAD.format(**EXAMPLES, consent=", ".join(f"`{name}`" for name in CONSENT))
    return head + "\n".join([*_overview(sources), *(line for source in sources for line in _kind(source))]) + "\n"


def _overview(sources: list[dict[str, Any]]) -> Iterator[str]:
    yield "| kind | description | name | since |"
    yield "|---|---|---|---|"
    for source in sources:
        title, rest = source["title"], source["x-rest"]
        cells = (f"[`{title}`](#{title.lower()})", source["description"], called(rest), rest.get("since", ""))
        yield _row(cells)


def called(rest: Mapping[str, Any]) -> str:
    """Return what `metadata.name` is for a kind, given its `x-rest`."""
    if rest.get("singleton"):
        return "`cluster`"
    return {("uid",): "number", ("@name",): "NAME@VERSION"}.get(tuple(rest["key"]), "name")


def _kind(source: Mapping[str, Any]) -> Iterator[str]:
    yield from ("", f"## {source['title']}", "", source["description"], "")
    yield from (f"- {text}" for text in _properties(source))
    yield from ("", "| field | type | default | since | until | description |", "|---|---|---|---|---|---|")
    for path, schema, required in _fields(source, ""):
        cells = (
            f"`{path}`",
            _type(schema),
            f"`{value_text(schema['default'])}`" if "default" in schema else "",
            schema.get("x-since", ""),
            schema.get("x-until", ""),
            " ".join(_description(schema, required)),
        )
        yield _row(cells)


def _properties(source: Mapping[str, Any]) -> Iterator[str]:
    """Yield what holds for the kind as a whole."""
    rest = source["x-rest"]
    verbs = ", ".join(rest["verbs"]) or "read only"
    singleton = "; exists once in each cluster" if rest.get("singleton") else ""
    adopt_only = "; adopt-only" if not singleton and "create" not in rest["verbs"] else ""
    yield f"API: `{rest['path']}`: {verbs}{singleton}{adopt_only}; [documentation]({rest['doc']})"
    yield f"Name: {called(rest)}"
    versions = [f"{word} {rest[word]}" for word in ("since", "until") if word in rest]
    if versions:
        yield f"Server versions: {', '.join(versions)}"
    needed = [" or ".join(f"`{rule[word]}`" for word in ("field", "or") if word in rule) for rule in _needs(source)]
    if needed:
        yield f"Required for a create: {', '.join(needed)}"
    if rest.get("protect"):
        yield "Holds data: delete and replace need consent (`metadata.protect`)"
    if traits_of(rest.get("hook")).multi_cluster:
        yield "One object spans several clusters"


def _needs(source: Mapping[str, Any]) -> list[Mapping[str, str]]:
    needs: list[Mapping[str, str]] = source.get("x-required-on-create", [])
    return needs


def _fields(schema: Schema, above: str) -> Iterator[tuple[str, Schema, str]]:
    """Yield path, schema and requirement of every field: of an object, of list items, of each shape of an object."""
    required = schema.get("required", ())
    for name, child in schema.get("properties", {}).items():
        yield f"{above}{name}", child, "required" if above and name in required else ""
        if not is_reference(child):
            yield from _fields(child, f"{above}{name}.")
    if isinstance(schema.get("items"), Mapping):
        yield from _fields(schema["items"], f"{above.removesuffix('.')}[].")
    yield from _shapes([option for option in schema.get("oneOf", ()) if "title" in option], above)


def _shapes(options: list[Schema], above: str) -> Iterator[tuple[str, Schema, str]]:
    """Yield the fields of all shapes, each once, with the values of `type` that have it."""
    found: dict[str, dict[str, Any]] = {}
    titles: dict[str, list[str]] = {}
    for option in options:
        for path, child, _ in _fields(option, above):
            field = found.setdefault(path, dict(child))
            if "const" in child:
                field["enum"] = [*field.get("enum", ()), child["const"]]
            titles.setdefault(path, []).append(option["title"])
    for path, child in found.items():
        names = ", ".join(f"`{title}`" for title in titles[path])
        yield path, child, "" if len(titles[path]) == len(options) else f"with `type` {names}"


def _type(schema: Schema) -> str:
    """Return type, unit and range; of a list with the type of its items, of an enum with its values."""
    if schema.get("x-secret") is True:
        return "secret"
    if isinstance(schema.get("items"), Mapping):
        return f"list of {_type(schema['items'])}"
    values = schema.get("enum")
    text = "one of " + ", ".join(f"`{value_text(value)}`" for value in values) if values else type_text(schema)
    unit = f", {schema['x-unit']}" if "x-unit" in schema else ""
    limits = f", {range_text(schema)}" if range_text(schema) else ""
    return f"{text}{unit}{limits}"


def _description(schema: Schema, required: str) -> Iterator[str]:
    """Yield the description, then what else a reader must know, each as a short sentence."""
    if schema.get("description"):
        yield schema["description"]
    if required:
        yield f"{required[0].upper()}{required[1:]}."
    reference = reference_of(schema)
    if reference:
        yield f"Refers to a [`{reference['kind']}`](#{reference['kind'].lower()}) by name."
    if schema.get("x-secret") == "embedded":
        yield "May hold a secret: text, or `valueFrom`."
    if schema.get("x-from-file"):
        yield "Text, or `valueFrom`."
    notes = [text for text in marks(schema) if text != "deprecated"]
    if notes:
        yield f"{', '.join(notes).capitalize()}."
    if "x-option-of" in schema:
        fields = ", ".join(f"`{name}`" for name in schema["x-option-of"])
        yield f"Not stored: an option for changes of {fields or 'the object'}."
    if schema.get("deprecated"):
        since = f" since {schema['x-deprecated-in']}" if "x-deprecated-in" in schema else ""
        instead = f": use `{schema['x-instead']}`" if "x-instead" in schema else ""
        yield f"Deprecated{since}{instead}."
    found = [text for text in impacts(schema) if text != "none"]
    if found:
        yield f"Impact: {'; '.join(found)}."


def _row(cells: tuple[str, ...]) -> str:
    return "| " + " | ".join(re.sub(r"\s+", " ", cell).replace("|", "\\|") for cell in cells) + " |"


if __name__ == "__main__":
    print(markdown(), end="")
