"""What is known of a kind and of its fields, as plain data: for `explain` and `kinds`.

Everything comes from the kind file; its hook says which fields are no part of the object in the API.
This knows nothing of terminals and of how it is shown.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from types import MappingProxyType
from typing import Any, NamedTuple

from reconciler.api.hooks import hook_of
from reconciler.errors import InputError, Problem
from reconciler.kinds import SINGLETON, Kind, kind_source, load_kinds
from reconciler.kinds.vocabulary import API_VERSION

Schema = Mapping[str, Any]


class Step(NamedTuple):
    """One field on the way to the one that is meant."""

    name: str
    schema: Schema
    listed: bool = False  # it stands in the items of a list
    shape: str = ""  # the type that it needs beside it
    owner: Schema = MappingProxyType({})  # the object that has it


# --- finding ---------------------------------------------------------------------------------------------------------


def kind_called(name: str) -> Kind:
    """Return the kind *name*; InputError with what was probably meant."""
    kinds = load_kinds()
    if name not in kinds:
        raise InputError([Problem("KIND", 0, 0, "", f"there is no kind {name}", _hint(name, kinds))])
    return kinds[name]


def find(kind: Kind, path: str) -> list[Step]:
    """Return the fields along *path*, from the top; list items are stepped over."""
    schema: Schema = kind_source(kind.name)
    steps: list[Step] = []
    for part in path.split("."):
        found = below(schema)
        if part not in found:
            raise InputError([Problem(kind.name, 0, 0, path, f"there is no field {part}", _hint(part, found))])
        steps.append(found[part])
        schema = found[part].schema
    return steps


def below(schema: Schema) -> dict[str, Step]:
    """Return the properties of an object, of a list's items, or of all shapes that its type can pick."""
    found = {name: Step(name, child, owner=schema) for name, child in schema.get("properties", {}).items()}
    for shape in schema.get("oneOf", ()):
        for name, step in below(shape).items() if "title" in shape else ():
            found.setdefault(name, step._replace(shape=shape["title"]))
    if isinstance(schema.get("items"), Mapping):
        found |= {name: step._replace(listed=True) for name, step in below(schema["items"]).items()}
    return found


def _hint(name: str, names: Mapping[str, Any]) -> str:
    near = get_close_matches(name, names, 1, 0.5)
    return f"did you mean {near[0]}?" if near else f"there are {', '.join(names)}"


# --- what is known ---------------------------------------------------------------------------------------------------


def shape_of(kind: Kind) -> str:
    """Return in a word how objects of *kind* come and go."""
    if kind.singleton:
        return "singleton"
    return "collection" if "create" in kind.verbs else "adopt-only"


def kind_about(kind: Kind) -> dict[str, Any]:
    """Return what is known of a kind, as plain data."""
    source = kind_source(kind.name)
    about: dict[str, Any] = {
        "kind": kind.name,
        "about": source["description"],
        "shape": shape_of(kind),
        "key": [] if kind.singleton else [name.lstrip("@") for name in kind.key],
        "verbs": dict(kind.verbs),
        "path": kind.path + (f" {kind.within}" if kind.within else ""),
        "since": kind.since or None,
        "until": kind.until or None,
        "protect": kind.protect or None,
        "lasting": list(kind.lasting) or None,
        "needs": [_needed(rule) for rule in kind.required_on_create] or None,
        "documented": kind.doc or None,
        "fields": list(source["properties"]),
        "example": _manifest(kind, source["examples"][0]),
    }
    return {name: value for name, value in about.items() if value is not None}


def field_about(kind: Kind, steps: Sequence[Step]) -> dict[str, Any]:
    """Return what is known of the field that *steps* lead to, as plain data."""
    schema, hook = steps[-1].schema, hook_of(kind)
    door = hook.sub_resources.get(steps[0].name)
    apart = steps[0].name in hook.separate_fields or (door is not None and door.on_create)
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
        "refersTo": (_reference(schema) or {}).get("kind"),
        "only": next((f"with type: {step.shape}" for step in reversed(steps) if step.shape), None),
        "path": kind.path,
        "apart": apart or None,
        "wire": None
        if apart
        else ".".join(filter(None, [kind.within, *(_wire(step.schema, step.name) for step in steps)])),
        "documented": kind.doc or None,
        "fields": list(below(schema)) or None,
        "example": _manifest(kind, _spec(steps)),
    }
    return {name: value for name, value in about.items() if value is not None}


def _needed(rule: Mapping[str, Any]) -> str:
    return " or ".join(filter(None, (rule["field"], rule.get("or", ""))))


def _nearest(sources: Sequence[Schema], word: str) -> str | None:
    """Return the version that the innermost of *sources* names."""
    found = [source[key] for source in sources for key in (word, f"x-{word}") if key in source]
    return found[-1] if found else None


def _reference(schema: Schema) -> Schema | None:
    found: Schema | None = schema.get("x-ref") or schema.get("items", {}).get("x-ref")
    return found


def _wire(schema: Schema, name: str) -> str:
    return str((_reference(schema) or {}).get("wire", name))


def _impacts(steps: Sequence[Step]) -> list[dict[str, Any]] | None:
    """Return what a change does; a field inside another does what that does, unless it says otherwise."""
    said = next((step.schema["x-impact"] for step in reversed(steps) if "x-impact" in step.schema), None)
    return [{"impact": said}] if isinstance(said, str) else said


def _manifest(kind: Kind, spec: Mapping[str, Any]) -> dict[str, Any]:
    name = SINGLETON if kind.singleton else kind.name_schema["examples"][0]
    return {"apiVersion": API_VERSION, "kind": kind.name, "metadata": {"name": name}, "spec": dict(spec)}


def _spec(steps: Sequence[Step]) -> dict[str, Any]:
    """Return a spec that sets the last of *steps*: an example of the outermost one that shows it, or one made up."""
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
    """Return what an object needs that has the field of *step*: what is required, and one of each choice."""
    owner = step.owner
    choices = [
        rule["required"][0] for word in ("oneOf", "anyOf") for rule in owner.get(word, ()) if "title" not in rule
    ]
    needed = [*owner.get("required", ()), *(() if step.name in choices else choices[:1])]
    return {name: sample(owner["properties"][name]) for name in needed if name != step.name}


def sample(schema: Schema) -> Any:
    """Return a value that *schema* takes."""
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
