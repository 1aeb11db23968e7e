"""Requests and responses as values, independent of any transport."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

Json = Any

_encode = json.JSONEncoder(separators=(",", ":"), ensure_ascii=True).encode


class Request(NamedTuple):
    """One call to one node. Header names are in lower case; *node* is the uid of the addressed node."""

    method: str
    path: str
    query: Mapping[str, str] = {}
    headers: Mapping[str, str] = {}
    body: bytes = b""
    node: int = 1
    certificate: bytes = b""  # client certificate of the connection, DER


class Wire(NamedTuple):
    """How the transport of a response is disturbed; by default not at all."""

    cut: str = ""  # "refuse" and "drop": no response; "reset": none, with a TCP reset; "truncate": half of the body
    delay: float = 0.0  # seconds before the first byte
    drip: float = 0.0  # seconds between small pieces of the body


SOUND = Wire()


class ApiResponse(NamedTuple):
    """A response; *wire* says how the transport disturbs it."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    wire: Wire = SOUND

    def json(self) -> Json:
        """Return the decoded body, None when there is none."""
        return json.loads(self.body) if self.body else None


class ApiError(Exception):
    """An error response: status, error_code and description as the API sends them."""

    def __init__(self, status: int, code: str, description: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(f"{status} {code}: {description}")
        self.status = status
        self.code = code
        self.description = description
        self.headers = dict(headers or {})

    def response(self) -> ApiResponse:
        """Return the error as a response."""
        return json_response({"error_code": self.code, "description": self.description}, self.status, self.headers)


JSON_TYPE = {"content-type": "application/json"}


def encode(value: Json) -> str:
    """Return *value* as compact JSON text."""
    return _encode(value)


def json_response(value: Json, status: int = 200, headers: Mapping[str, str] | None = None) -> ApiResponse:
    """Return *value* as a JSON response; None gives an empty body."""
    body = b"" if value is None else _encode(value).encode()
    return ApiResponse(status, {**JSON_TYPE, **headers} if headers else JSON_TYPE, body)


def is_dry_run(request: Request) -> bool:
    """Return whether *request* is a dry run; the flag needs no value."""
    return request.query.get("dry_run", "false").lower() not in ("false", "0", "no")
