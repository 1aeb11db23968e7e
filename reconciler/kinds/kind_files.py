"""Reads `schemas/*.json` into `Kind` values, and composes the schema of manifests."""

from __future__ import annotations

import functools
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from reconciler.kinds import vocabulary
from reconciler.kinds.kind import (
    MISSING,
    SINGLETON,
    Access,
    ChangeRules,
    Field,
    Form,
    Impact,
    Kind,
    KindPolicy,
    Ratio,
    Reference,
    Rest,
    Support,
    Usual,
)
from reconciler.kinds.traits import traits_of
from reconciler.kinds.validation import Validator


def _impacts(words: Any) -> Iterator[Impact]:
    for word in words if isinstance(words, list) else [words]:
        if isinstance(word, str):
            yield Impact(word)
        else:
            yield Impact(
                word["impact"],
                word.get("why", ""),
                word.get("when", ""),
                tuple(word.get("to", ())),
                tuple(word.get("from", ())),
                tuple(word.get("except", ())),
                tuple(word.get("names", ())),
                word.get("unlimited"),
                word.get("below", ""),
                word.get("login", ""),
            )


def _children(schema: Mapping[str, Any]) -> dict[str, Field]:
    """Return the fields of an object; of all its shapes together where `type` picks one."""
    found: dict[str, Field] = {}
    for shape in (schema, *schema.get("oneOf", ())):
        for name, child in shape.get("properties", {}).items():
            found.setdefault(name, _field(name, child))
    return found


def _reference(words: Mapping[str, Any]) -> Reference:
    return Reference(
        words["kind"],
        words.get("asString", False),
        tuple(words.get("literals", ())),
        words.get("defer", False),
        words.get("addressInto", ""),
        tuple(sorted(words.get("copies", {}).items())),
        words.get("clusterFrom", ""),
    )


def _ratio(words: Mapping[str, Any]) -> Ratio:
    return Ratio(words["of"], words.get("atLeast"), words.get("below"))


def _field(name: str, schema: Mapping[str, Any]) -> Field:
    """Read one property of a kind file; its keywords are in `vocabulary`."""
    reference = schema.get("x-ref")
    items = _field("", schema["items"]) if "items" in schema else None
    children = _children(schema) if schema["type"] == "object" else {}
    item_reference = schema["items"].get("x-ref", {}) if items else {}
    key = schema.get("x-key")
    hides = schema.get("x-secret")
    below = [*children.values(), *([items] if items else [])]
    return Field(
        name=name,
        wire=(reference or item_reference).get("wire", name),
        type=schema["type"],
        reference=_reference(reference) if reference else None,
        properties=children,
        items=items,
        form=Form(
            unit=schema.get("x-unit"),
            format=schema.get("format"),
            key=None if key is None else tuple(key),
            server_adds=schema.get("x-server-adds", False),
            variants="oneOf" in schema,
            unique=schema.get("x-unique", ""),
        ),
        access=Access(
            read_only=schema.get("readOnly", False),
            write_only=schema.get("writeOnly", False),
            option_of=tuple(schema["x-option-of"]) if "x-option-of" in schema else None,
            secret=hides is True,
            embeds_secret=hides == "embedded",
            holds_secret=bool(hides) or any(child.access.holds_secret for child in below),
            from_file=schema.get("x-from-file", False),
            address=schema.get("x-address", ""),
        ),
        change=ChangeRules(
            impacts=tuple(_impacts(schema.get("x-impact", ()))) if "x-impact" in schema else (),
            immutable=schema.get("x-immutable", False),
            only_grows=schema.get("x-only-grows", False),
            sent_with=tuple(schema["x-with"]) if "x-with" in schema else None,
        ),
        support=Support(
            since=schema.get("x-since"),
            until=schema.get("x-until"),
            values_since=schema.get("x-values-since", {}),
            deprecated=schema.get("deprecated", False),
            deprecated_in=schema.get("x-deprecated-in"),
            instead=schema.get("x-instead", ""),
        ),
        usual=Usual(
            default=schema.get("default", MISSING),
            policy_default=schema.get("x-policy-default", MISSING),
            minimum=schema.get("x-usual-minimum"),
            ratio=_ratio(schema["x-ratio"]) if "x-ratio" in schema else None,
        ),
    )


def _kind(source: Mapping[str, Any]) -> Kind:
    rest = source["x-rest"]
    advice = vocabulary.advice_schema(source)
    if rest.get("singleton"):
        rest = {"key": ["@id"], "id": "@id", "name": {"const": SINGLETON}, "guard": (), **rest}
    return Kind(
        name=source["title"],
        schema=vocabulary.spec_schema(source),
        name_schema=rest["name"],
        fields=_children(source),
        rest=Rest(
            path=rest["path"],
            key=tuple(rest["key"]),
            id=rest["id"],
            verbs=rest["verbs"],
            doc=rest.get("doc", ""),
            busy=tuple(rest.get("busy", ())),
            absent=tuple(rest.get("absent", ())),
            jsonschema=rest.get("jsonschema", ""),
            dry_run=bool(rest.get("dryRun", False)),
            dry_run_since=rest["dryRun"] if isinstance(rest.get("dryRun"), str) else "",
        ),
        policy=KindPolicy(
            guard=tuple(rest["guard"]),
            builtin=tuple(rest.get("builtin", ())),
            protect=rest.get("protect", False),
            after=tuple(rest.get("after", ())),
        ),
        support=Support(since=rest.get("since")),
        hook=rest.get("hook"),
        traits=traits_of(rest.get("hook")),
        singleton=rest.get("singleton", False),
        examples=tuple(source["examples"]),
        required_on_create=tuple(source.get("x-required-on-create", ())),
        advice=Validator(advice) if advice else None,
    )


def schema_folder() -> Path:
    """Return the folder of the kind files: inside the installed package, or beside it in a checkout."""
    package = Path(__file__).parent.parent
    inside = package / "schemas"
    return inside if inside.is_dir() else package.parent / "schemas"


@functools.cache
def load_kinds() -> Mapping[str, Kind]:
    """Return every kind by name, sorted by name."""
    files = [path for path in schema_folder().glob("*.json") if path.name != vocabulary.MANIFEST_FILE]
    kinds = [_kind(json.loads(path.read_bytes())) for path in files]
    return MappingProxyType({kind.name: kind for kind in sorted(kinds, key=lambda kind: kind.name)})


def kind_source(name: str) -> dict[str, Any]:
    """Return the kind file of *name* unchanged, for documentation."""
    source: dict[str, Any] = json.loads((schema_folder() / f"{name.lower()}.json").read_bytes())
    return source


@functools.cache
def envelope_schema() -> dict[str, Any]:
    """Return the JSON Schema of a manifest without its `spec`: apiVersion, kind, metadata."""
    return vocabulary.envelope({name: kind.name_schema for name, kind in load_kinds().items()})


@functools.cache
def envelope_validator() -> Validator:
    """Return the validator of `envelope_schema()`; a spec is then for `Kind.validator`."""
    return Validator(envelope_schema())


def manifest_schema() -> dict[str, Any]:
    """Return one JSON Schema of a whole manifest, for editors; `schemas/manifest.json` holds it."""
    return vocabulary.manifest(envelope_schema(), {name: kind.schema for name, kind in load_kinds().items()})
