"""Describes the API of one server version in OpenAPI 3.0, from the same rows that the server is driven by."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from http import HTTPStatus
from typing import Any

from .data import table
from .documented import answers
from .messages import Json
from .registry import Endpoint, open_, routes
from .settings import Settings

_FORMS: Mapping[str, Json] = {
    "array": {"type": "array", "items": {}},
    "object": {"type": "object"},
    "map": {"type": "object"},
    "action_uid": {"type": "object", "required": ["action_uid"], "properties": {"action_uid": {"type": "string"}}},
}
_CONTENT = {
    "binary": "application/octet-stream",
    "xml": "application/xml",
    "ndjson": "application/x-ndjson",
}
_ERROR = {"$ref": "#/components/schemas/error"}


def describe(version: str) -> Json:
    """Return the description of the server *version*, with every open question read in the default way."""
    settings = Settings(server_version=version)
    paths: dict[str, dict[str, Json]] = {}
    for endpoint in routes(version).endpoints:
        if open_(endpoint.row, settings):
            paths.setdefault(endpoint.path, {})[endpoint.method.lower()] = _operation(endpoint)
    texts = {name: {"type": "string"} for name in ("error_code", "description")}
    error = {"type": "object", "required": sorted(texts), "properties": texts}
    return {
        "openapi": "3.0.3",
        "info": {"title": "Redis Enterprise Software REST API, simulated", "version": version},
        "paths": dict(sorted(paths.items())),
        "security": [{"basic": []}],
        "components": {
            "schemas": {"error": error},
            "securitySchemes": {"basic": {"type": "http", "scheme": "basic"}},
        },
    }


def _operation(endpoint: Endpoint) -> Json:
    row = endpoint.row
    operation: dict[str, Json] = {
        "operationId": re.sub(r"\W+", "_", f"{endpoint.method}{endpoint.path}").strip("_").lower(),
        "parameters": [*_path_parameters(row["path"]), *_query_parameters(row["query"])],
        "responses": {str(status): _answer(row, status, codes) for status, codes in answers(row).items()},
        "x-mode": row.get("mode"),
        "x-permission": row["permission"],
    }
    if "deprecated" in row:
        operation["deprecated"] = True
    if "body" in row:
        operation["requestBody"] = {"content": {"application/json": {"schema": {"type": "object"}}}}
    elif "content" in row:
        operation["requestBody"] = {"content": {row["content"]: {"schema": {"type": "object"}}}}
    return operation


def _path_parameters(path: str) -> list[Json]:
    kinds = table("parameters")["path"]
    names = re.findall(r"{(\w+)}", path)
    return [{"name": name, "in": "path", "required": True, "schema": kinds.get(name, kinds[""])} for name in names]


def _query_parameters(names: list[str]) -> list[Json]:
    kinds = table("parameters")["query"]
    return [{"name": name, "in": "query", "schema": kinds.get(name, kinds[""])} for name in names]


def _answer(row: Mapping[str, Any], status: int, codes: frozenset[str]) -> Json:
    told: dict[str, Json] = {"description": HTTPStatus(status).phrase}
    if status >= 400:
        told["content"] = {"application/json": {"schema": _ERROR}}
        if codes:
            told["x-error-codes"] = sorted(codes)
    elif status < 300 and (content := _good(row.get("answer", ""))):
        told["content"] = content
    return told


@cache
def _good(shape: str) -> Json:
    form = re.match(r"\w*", shape)
    name = form.group() if form else ""
    if name in _CONTENT:
        return {_CONTENT[name]: {"schema": {"type": "string", "format": "binary"}}}
    return {"application/json": {"schema": _FORMS[name]}} if name in _FORMS else None
