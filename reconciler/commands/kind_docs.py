"""What the kind files say about a kind or one of its fields, as plain data.

Called by `schema_docs` and `kinds`. The hook of a kind says which of its fields have requests of their own. Must not
know terminals, or how this is shown.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import Any

from reconciler.api.hooks import hook_of
from reconciler.commands.schema_paths import Step, below, listed, steps_to
from reconciler.errors import InputError, Problem
from reconciler.kinds import SINGLETON, Kind, kind_source, load_kinds
from reconciler.kinds.describe import Schema, reference_of
from reconciler.kinds.vocabulary import API_VERSION


def kind_called(name: str) -> Kind:
    """Return the kind *name*; InputError with a suggestion where there is none."""
    kinds = load_kinds()
    if name not in kinds:
        near = get_close_matches(name, kinds, 1, 0.5)
        hint = f"did you mean {near[0]}?" if near else listed("kinds", kinds)
        raise InputError([Problem(name, 0, 0, "", f"unknown kind {name}", hint)])
    return kinds[name]


def find(kind: Kind, path: str) -> list[Step]:
    """Return the fields of *kind* along *path*, from the top; list items are stepped over."""
    return steps_to(kind.name, kind_source(kind.name), path)


def shape_of(kind: Kind) -> str:
    """Return whether *kind* is a singleton, a collection, or adopt-only."""
    if kind.singleton:
        return "singleton"
    return "collection" if "create" in kind.rest.verbs else "adopt-only"


def kind_about(kind: Kind) -> dict[str, Any]:
    """Return what is known about a kind."""
    source = kind_source(kind.name)
    about: dict[str, Any] = {
        "kind": kind.name,
        "about": source["description"],
        "shape": shape_of(kind),
        "key": [] if kind.singleton else [name.lstrip("@") for name in kind.rest.key],
        "verbs": dict(kind.rest.verbs),
        "path": kind.rest.path + (f" {hook_of(kind).within}" if hook_of(kind).within else ""),
        "since": kind.support.since or None,
        "until": kind.support.until or None,
        "protect": kind.policy.protect or None,
        "lasting": list(kind.traits.lasting) or None,
        "needs": [_needed(rule) for rule in kind.required_on_create] or None,
        "documented": kind.rest.doc or None,
        "fields": list(source["properties"]),
        "example": _manifest(kind, source["examples"][0]),
    }
    return {name: value for name, value in about.items() if value is not None}


def field_about(kind: Kind, steps: Sequence[Step]) -> dict[str, Any]:
    """Return what is known about the field of *kind* that *steps* lead to."""
    schema, hook = steps[-1].schema, hook_of(kind)
    sub_resource = hook.sub_resources.get(steps[0].name)
    apart = steps[0].name in hook.separate_fields or (sub_resource is not None and sub_resource.on_create)
    sources = [kind_source(kind.name)["x-rest"], *(step.schema for step in steps)]
    about: dict[str, Any] = {
        "field": ".".join([kind.name, *(step.name for step in steps)]),
        "about": schema.get("description", ""),
        "type": schema["type"],
        "unit": schema.get("x-unit"),
        "enum": schema.get("enum"),
        "minimum": schema.get("minimum"),
        "maximum": schema.get("maximum"),
        "pattern": schema.get("pattern"),
        "default": schema.get("default"),
        "usually": schema.get("x-policy-default"),
        "impact": _impacts(steps),
        "since": _nearest(sources, "since"),
        "until": _nearest(sources, "until"),
        "deprecated": schema.get("deprecated"),
        "instead": schema.get("x-instead"),
        "immutable": schema.get("x-immutable"),
        "onlyGrows": schema.get("x-only-grows"),
        "optionOf": schema.get("x-option-of"),
        "secret": schema.get("x-secret"),
        "fromFile": schema.get("x-from-file"),
        "writeOnly": schema.get("writeOnly"),
        "refersTo": (reference_of(schema) or {}).get("kind"),
        "only": next((f"with type: {step.shape}" for step in reversed(steps) if step.shape), None),
        "path": kind.rest.path,
        "apart": apart or None,
        "wire": None
        if apart
        else ".".join(filter(None, [hook_of(kind).within, *(_wire(step.schema, step.name) for step in steps)])),
        "documented": kind.rest.doc or None,
        "fields": list(below(schema)) or None,
        "example": _manifest(kind, _spec(steps)),
    }
    return {name: value for name, value in about.items() if value is not None}


def _needed(rule: Mapping[str, Any]) -> str:
    return " or ".join(filter(None, (rule["field"], rule.get("or", ""))))


def _nearest(sources: Sequence[Schema], word: str) -> str | None:
    """Return the version that the innermost of *sources* has."""
    found = [source[key] for source in sources for key in (word, f"x-{word}") if key in source]
    return found[-1] if found else None


def _wire(schema: Schema, name: str) -> str:
    return str((reference_of(schema) or {}).get("wire", name))


def _impacts(steps: Sequence[Step]) -> list[dict[str, Any]] | None:
    """Return the impacts of a change; a nested field has those of its parent unless it has its own."""
    said = next((step.schema["x-impact"] for step in reversed(steps) if "x-impact" in step.schema), None)
    return [{"impact": said}] if isinstance(said, str) else said


def _manifest(kind: Kind, spec: Mapping[str, Any]) -> dict[str, Any]:
    name = SINGLETON if kind.singleton else kind.name_schema["examples"][0]
    return {"apiVersion": API_VERSION, "kind": kind.name, "metadata": {"name": name}, "spec": dict(spec)}


def _spec(steps: Sequence[Step]) -> dict[str, Any]:
    """Return a spec that sets the last of *steps*: from an example of the schema, else generated."""
    for start, step in enumerate(steps):
        for example in step.schema.get("examples", ()):
            if _shows(example, steps[start + 1 :]):
                return _wrapped(steps[: start + 1], example)
    return _wrapped(steps, sample(steps[-1].schema))


def _shows(value: Any, steps: Sequence[Step]) -> bool:
    for step in steps:
        value = value[0] if isinstance(value, list) and value else value
        if not isinstance(value, Mapping) or step.name not in value:
            return False
        value = value[step.name]
    return True


def _wrapped(steps: Sequence[Step], value: Any) -> dict[str, Any]:
    for step in reversed(steps):
        value = {**_beside(step), step.name: value}
        value = [value] if step.listed else value
    whole: dict[str, Any] = value
    return whole


def _beside(step: Step) -> dict[str, Any]:
    """Return what else the object with the field of *step* requires."""
    owner = step.owner
    choices = [
        rule["required"][0] for word in ("oneOf", "anyOf") for rule in owner.get(word, ()) if "title" not in rule
    ]
    needed = [*owner.get("required", ()), *(() if step.name in choices else choices[:1])]
    return {name: sample(owner["properties"][name]) for name in needed if name != step.name}


def sample(schema: Schema) -> Any:
    """Return a valid value of *schema*."""
    if schema.get("x-secret") is True:
        return {"valueFrom": {"env": "SECRET"}}
    if schema.get("examples"):
        return schema["examples"][0]
    for word in ("const", "default", "x-policy-default"):
        if word in schema:
            return schema[word]
    if "enum" in schema:
        return schema["enum"][0]
    match schema["type"]:
        case "boolean":
            return True
        case "integer" | "number":
            return schema.get("minimum", 1)
        case "array":
            return [sample(schema["items"])]
        case "object":
            shape = schema.get("oneOf", [schema])[0]
            needed = shape.get("required") or list(shape["properties"])[:1]
            return {name: sample(shape["properties"][name]) for name in needed}
    return ""
