"""JSON Schema of an object, generated from the rows that bodies are validated against."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from reconciler.simulator.api.fields import FieldRow, field_rows
from reconciler.simulator.api.messages import ApiError, Json, Request, Response, json_response
from reconciler.simulator.api.routes import serves
from reconciler.simulator.data.tables import derived, table
from reconciler.simulator.state.model import ClusterState

DRAFT = "http://json-schema.org/draft-07/schema#"
_SAME = {
    "enum": "enum",
    "min": "minimum",
    "max": "maximum",
    "pattern": "pattern",
    "min_length": "minLength",
    "max_length": "maxLength",
    "min_items": "minItems",
    "max_items": "maxItems",
    "default": "default",
}
_SHOWN_FORMATS = frozenset({"date-time", "email"})  # a uri may be ""
_ITEM = {"items_pattern": "pattern", "items_enum": "enum"}


def object_names() -> list[str]:
    """Return the objects that have a schema."""
    return sorted(name for name in table("objects") if "." not in name)


@derived
def schema(kind: str, version: str, strict: bool) -> Mapping[str, Json]:
    """Return the schema of the object *kind* in a server *version*; *strict*: without additional properties.

    Only objects created by a POST have required fields; the others accept partial updates.
    """
    found = {"$schema": DRAFT, "title": kind, **_object(kind, version, strict)}
    made = any(row.get("body") == kind and row["method"] == "POST" for row in table("endpoints"))
    return found if made else {name: value for name, value in found.items() if name != "required"}


def _object(kind: str, version: str, strict: bool) -> dict[str, Json]:
    entry = table("objects")[kind]
    if "fields" in entry:
        found = _fields(field_rows(kind, version), version, strict)
        return {"anyOf": [{"type": "object", "maxProperties": 0}, found]} if entry.get("empty") else found
    chooser = entry["discriminator"]
    variants = [
        _variant(chooser, name, {row["name"]: row for row in fields}, version, strict)
        for name, fields in entry["variants"].items()
    ]
    return {"type": "object", "required": [chooser], "oneOf": variants}


def _variant(chooser: str, name: str, fields: Mapping[str, FieldRow], version: str, strict: bool) -> dict[str, Json]:
    found = _fields(fields, version, strict)
    return {**found, "properties": {**found["properties"], chooser: {"const": name}}}


def _fields(fields: Mapping[str, FieldRow], version: str, strict: bool) -> dict[str, Json]:
    properties = {name: _field(row, version, strict) for name, row in sorted(fields.items())}
    found: dict[str, Any] = {"type": "object", "properties": properties, "additionalProperties": not strict}
    required = sorted(name for name, row in fields.items() if row.get("required") and not row.get("write_only"))
    return {**found, "required": required} if required else found


def _field(row: FieldRow, version: str, strict: bool) -> dict[str, Json]:
    types = [row["type"]] if isinstance(row["type"], str) else list(row["type"])
    types += ["null"] if row.get("nullable") else []
    found: dict[str, Any] = {"type": types[0] if len(types) == 1 else types}
    found.update({theirs: row[ours] for ours, theirs in _SAME.items() if ours in row})
    found.update(
        {mark: True for ours, mark in (("read_only", "readOnly"), ("write_only", "writeOnly")) if row.get(ours)}
    )
    if row.get("unique"):
        found["uniqueItems"] = True
    if row.get("not"):
        found["not"] = {"enum": list(row["not"])}
    if row.get("format") in _SHOWN_FORMATS:
        found["format"] = row["format"]
    if "ref" in row:
        found.update(_object(row["ref"], version, strict))
    if "items_ref" in row:
        found["items"] = _object(row["items_ref"], version, strict)
    elif "items" in row:
        item = {"type": row["items"]}
        found["items"] = {**item, **{theirs: row[ours] for ours, theirs in _ITEM.items() if ours in row}}
    return found


# Endpoint


@serves("GET /v1/jsonschema")
def show_schema(state: ClusterState, request: Request) -> Response:
    """Show the schema of the object in the query parameter `object`, by default all schemas by name."""
    version, strict = state.settings.server_version, state.settings.on("unknown_fields", "refuse")
    wanted = request.query.get("object")
    if wanted is None:
        return json_response({name: schema(name, version, strict) for name in object_names()})
    if wanted not in object_names():
        raise ApiError(406, "not_acceptable", f"there is no object {wanted}")
    return json_response(schema(wanted, version, strict))
