"""What the schemas say about a topic, as plain data: a kind, `metadata`, the project file, or a field of one of these.

Called by `explain`. Must not know terminals, or how this is shown.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import Any

from reconciler.commands.kind_docs import field_about, find, kind_about, kind_called
from reconciler.commands.schema_examples import METADATA, fragment
from reconciler.commands.schema_paths import Step, below, steps_to
from reconciler.errors import InputError, Problem
from reconciler.kinds import envelope_schema, kind_source, load_kinds
from reconciler.kinds.describe import Schema, is_reference, type_text

METADATA_TOPIC, PROJECT_TOPIC = "metadata", "project"

_ABOUT = {
    METADATA_TOPIC: "The metadata of a manifest: which object, for which clusters, and how it may be changed.",
    PROJECT_TOPIC: "The project file, reconciler.yaml: clusters, layers, limits, source, agent.",
}


def topics() -> dict[str, str]:
    """Return every topic with a line about it: `metadata`, `project`, then the kinds."""
    return {**_ABOUT, **{name: kind_source(name)["description"] for name in load_kinds()}}


def explained(topic: str) -> dict[str, Any]:
    """Return what is known about *topic*; InputError with a suggestion where there is no such topic."""
    name, _, path = topic.partition(".")
    if name in _ABOUT:
        return document_about(name, steps_to(name, _document(name), path) if path else [])
    if name not in load_kinds():
        raise InputError([Problem(topic, 0, 0, "", f"unknown kind or topic {name}", _topic_hint(name))])
    kind = load_kinds()[name]
    return field_about(kind, find(kind, path)) if path else kind_about(kind)


def completions(start: str) -> list[str]:
    """Return the topics that begin with *start*: one level below the last dot."""
    name, dot, path = start.rpartition(".")
    if not dot:
        return [topic for topic in topics() if topic.startswith(start)]
    try:
        below_it = below(_schema_at(name))
    except InputError:
        return []
    return [f"{name}.{each}" for each in below_it if each.startswith(path)]


def _document(name: str) -> Schema:
    """Return the schema of `metadata` or of the project file."""
    from reconciler.settings.project import schema

    return envelope_schema()["properties"]["metadata"] if name == METADATA_TOPIC else schema()


def _schema_at(topic: str) -> Schema:
    name, _, path = topic.partition(".")
    schema = _document(name) if name in _ABOUT else kind_source(kind_called(name).name)
    return steps_to(name, schema, path)[-1].schema if path else schema


def _topic_hint(name: str) -> str:
    known = topics()
    near = get_close_matches(name, known, 1, 0.6) or get_close_matches(name.lower(), known, 1, 0.8)
    if near:
        return f"did you mean {near[0]}?"
    with_it = [topic for topic in known if name in below(_schema_at(topic))]
    return f"did you mean {with_it[0]}.{name}?" if with_it else "`reconciler explain` lists the topics"


# --- metadata and the project file -----------------------------------------------------------------------------------


def document_about(name: str, steps: Sequence[Step]) -> dict[str, Any]:
    """Return what is known about `metadata` or the project file, or about the field that *steps* lead to."""
    schema = steps[-1].schema if steps else _document(name)
    path = [step.name for step in steps]
    fields = {} if is_reference(schema) else below(schema)
    about: dict[str, Any] = {
        "field": ".".join([name, *path]),
        "about": schema.get("description", "") if steps else _ABOUT[name],
        "type": _type(schema),
        "enum": _items(schema).get("enum"),
        "minimum": schema.get("minimum"),
        "maximum": schema.get("maximum"),
        "pattern": _items(schema).get("pattern"),
        "default": default_of(path) if name == PROJECT_TOPIC else None,
        "required": True if steps and steps[-1].name in steps[-1].owner.get("required", ()) else None,
        "fields": list(fields) or None,
        "below": {each: _line(step, [*path, each], name) for each, step in fields.items()} or None,
        "example": _example(name, path),
    }
    return {each: value for each, value in about.items() if value is not None}


def _line(step: Step, path: Sequence[str], topic: str) -> dict[str, Any]:
    """Return the short form of a field, for the list of its parent."""
    line = {
        "about": step.schema.get("description", ""),
        "type": _type(step.schema),
        "enum": _items(step.schema).get("enum"),
        "default": default_of(path) if topic == PROJECT_TOPIC else None,
        "required": True if step.name in step.owner.get("required", ()) else None,
    }
    return {each: value for each, value in line.items() if value is not None}


def _items(schema: Schema) -> Schema:
    found: Schema = schema["items"] if isinstance(schema.get("items"), Mapping) else schema
    return found


def _type(schema: Schema) -> str:
    """Return the type; of a list with the type of its items, of an object that is a map with that of its values."""
    if isinstance(schema.get("items"), Mapping):
        return f"list of {type_text(schema['items'])}"
    values = schema.get("additionalProperties")
    return f"map of {type_text(values)}" if isinstance(values, Mapping) else type_text(schema)


def _example(topic: str, path: Sequence[str]) -> Mapping[str, Any]:
    if topic == PROJECT_TOPIC:
        return fragment(path)
    shown = {name: METADATA[name] for name in path[:1] or ("labels", "protect", "allow")}
    return {"metadata": {"name": METADATA["name"], **shown}}


def default_of(path: Sequence[str]) -> Any:
    """Return what a setting of the project file is where it is not given; None where nothing is."""
    from reconciler.settings import Agent, AgentPolicy, GitSource, Listen, Notify, ProjectLimits

    *above, name = path or [""]
    if above[:2] == ["clusters", "agent"]:
        return None  # that of the agent as a whole
    known: dict[tuple[str, ...], Any] = {
        ("limits",): ProjectLimits(),
        ("agent",): (AgentPolicy(), Agent()),
        ("agent", "retryInterval"): AgentPolicy(),
        ("agent", "keep"): Agent(),
        ("agent", "listen"): Listen(),
        ("agent", "notify"): Notify(),
        ("source",): GitSource(""),
        ("source", "limits"): GitSource("").limits,
    }
    prefix = {"retryInterval": "retry_", "keep": "keep_"}.get(above[-1] if above else "", "")
    attribute = prefix + "".join(f"_{c.lower()}" if c.isupper() else c for c in name)
    found = known.get(tuple(above), ())
    for values in found if type(found) is tuple else (found,):
        value = getattr(values, attribute, None)
        if isinstance(value, float):
            return _duration(value)
        if name in ("fileSize", "totalSize", "size") and isinstance(value, int):
            return f"{value >> 20}MiB"
        if isinstance(value, bool) or (isinstance(value, (int, str)) and value):  # 0 and "" mean: not set
            return value
    return None


def _duration(seconds: float) -> str:
    for unit, name in ((3600, "h"), (60, "m")):
        if seconds >= unit and seconds % unit == 0:
            return f"{seconds / unit:g}{name}"
    return f"{seconds:g}s"
