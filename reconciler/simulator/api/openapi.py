"""Describes the API of one server version in OpenAPI 3.1, from the rows that drive the server."""

from __future__ import annotations

import re
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from reconciler.simulator.api.json_schema import schema
from reconciler.simulator.api.messages import Json
from reconciler.simulator.api.responses import documented
from reconciler.simulator.api.routes import Endpoint, is_enabled, routes
from reconciler.simulator.data.tables import derived, table
from reconciler.simulator.settings import SimulatorSettings

_ACTION = {"type": "object", "required": ["action_uid"], "properties": {"action_uid": {"type": "string"}}}
_FORMS: Mapping[str, Json] = {
    "array": {"type": "array", "items": {}},
    "object": {"type": "object"},
    "map": {"type": "object"},
    "action_uid": _ACTION,
    "action_uid_or_blueprint": {"anyOf": [_ACTION, {"type": "array", "items": {"type": "object"}}]},  # of a dry run
}
_CONTENT = {
    "binary": "application/x-gzip",
    "xml": "application/xml",
    "ndjson": "application/x-ndjson",
}
_ERROR = {"$ref": "#/components/schemas/error"}


def describe(version: str) -> Json:
    """Return the description of the server *version*, with the default choice of every switch."""
    settings = SimulatorSettings(server_version=version)
    paths: dict[str, dict[str, Json]] = {}
    for endpoint in routes(version).endpoints:
        if is_enabled(endpoint.row, settings):
            paths.setdefault(endpoint.path, {})[endpoint.method.lower()] = _operation(endpoint, version)
    texts = {name: {"type": "string"} for name in ("error_code", "description")}
    error = {"type": "object", "required": sorted(texts), "properties": texts}
    return {
        "openapi": "3.1.0",
        "info": {"title": "Redis Enterprise Software REST API, simulated", "version": version},
        "paths": dict(sorted(paths.items())),
        "security": [{"basic": []}],
        "components": {
            "schemas": {"error": error},
            "securitySchemes": {"basic": {"type": "http", "scheme": "basic"}},
        },
    }


def _operation(endpoint: Endpoint, version: str) -> Json:
    row = endpoint.row
    operation: dict[str, Json] = {
        "operationId": re.sub(r"\W+", "_", f"{endpoint.method}{endpoint.path}").strip("_").lower(),
        "parameters": [*_path_parameters(row["path"]), *_query_parameters(row["query"])],
        "responses": {str(status): _answer(row, status, codes, version) for status, codes in documented(row).items()},
        "x-mode": row.get("mode"),
        "x-permission": row["permission"],
    }
    if "deprecated" in row:
        operation["deprecated"] = True
    if "body" in row:
        operation["requestBody"] = {"content": {"application/json": {"schema": _body(row, version)}}}
    elif "content" in row:
        upload = {"type": "object", "properties": {"module": {"type": "string", "format": "binary"}}}
        operation["requestBody"] = {"content": {row["content"]: {"schema": upload}}}
    return operation


def _body(row: Mapping[str, Any], version: str) -> Json:
    """Return the schema of a request body: without read-only fields, and for an update without required fields."""
    if row["body"] not in table("objects"):
        return {"type": "object"}
    found = dict(schema(row["body"], version, strict=True))
    properties = found.get("properties", {})
    found["properties"] = {name: item for name, item in properties.items() if not item.get("readOnly")}
    if row["method"] != "POST":
        found.pop("required", None)
    return _without_draft(found)


def _shown(kind: str, version: str) -> Json:
    """Return the schema of a response body: any field may be absent, and others may be present."""
    if kind not in table("objects"):
        return {"type": "object"}
    found = {name: value for name, value in schema(kind, version, strict=False).items() if name != "required"}
    properties = found.get("properties", {})
    found["properties"] = {name: item for name, item in properties.items() if not item.get("writeOnly")}
    return _without_draft(found)


def _without_draft(found: Mapping[str, Json]) -> Json:
    return {name: value for name, value in found.items() if name != "$schema"}


def _path_parameters(path: str) -> list[Json]:
    kinds = table("parameters")["path"]
    names = re.findall(r"{(\w+)}", path)
    return [{"name": name, "in": "path", "required": True, "schema": kinds.get(name, kinds[""])} for name in names]


def _query_parameters(names: list[str]) -> list[Json]:
    kinds = table("parameters")["query"]
    return [{"name": name, "in": "query", "schema": kinds.get(name, kinds[""])} for name in names]


def _answer(row: Mapping[str, Any], status: int, codes: frozenset[str], version: str) -> Json:
    described: dict[str, Json] = {"description": HTTPStatus(status).phrase}
    if status >= 400:
        described["content"] = {"application/json": {"schema": _ERROR}}
        if codes:
            described["x-error-codes"] = sorted(codes)
    elif status < 300 and (content := _good(row.get("answer", ""), version)):
        described["content"] = content
    return described


@derived
def _good(shape: str, version: str) -> Json:
    """Return the content of a successful response of *shape*, a word or `word:kind`; None for no content."""
    form, _, kind = shape.partition(":")
    name = re.split(r"\W", form, maxsplit=1)[0]
    if name in _CONTENT:
        return {_CONTENT[name]: {"schema": {"type": "string", "format": "binary"}}}
    if name not in _FORMS:
        return None
    found = dict(_FORMS[name])
    if kind and name == "object":
        found = _shown(kind, version)
    elif kind and name == "array":
        found["items"] = _shown(kind, version)
    return {"application/json": {"schema": found}}
