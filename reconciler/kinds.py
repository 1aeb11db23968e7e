"""What can be declared: `schemas/*.json` read into `Kind` values.

Home of jsonschema. Everything that differs between kinds is data here or a module in `hooks/`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

MISSING: Any = type("Missing", (), {"__repr__": lambda self: "MISSING", "__bool__": lambda self: False})()


class Address(NamedTuple):
    """Names one resource: `Database/sessions`, with a cluster `dc1:Database/sessions`."""

    cluster: str
    kind: str
    name: str

    def __str__(self) -> str:
        return f"{self.cluster}:{self.kind}/{self.name}" if self.cluster else f"{self.kind}/{self.name}"


@dataclass(frozen=True, slots=True)
class Reference:
    """An `x-ref`: the field holds the name of a *kind*; the API holds its id, as integer or string."""

    kind: str
    as_string: bool = False  # the API wants "7", not 7
    literals: tuple[str, ...] = ()  # values that are not names, such as "all"
    defer: bool = False  # may be set in a second step where references form a ring


@dataclass(frozen=True, slots=True)
class Field:
    """One property of a spec, with what the engine must know of it beyond validation."""

    name: str
    wire: str  # the API's name; differs only for references (`role` ↔ `role_uid`)
    type: str | None = None  # JSON type where there is exactly one
    unit: str | None = None  # x-unit: "bytes", "seconds", "milliseconds" …
    format: str | None = None  # "pem", "redis-acl" …: picks a canonical form
    reference: Reference | None = None  # x-ref
    key: tuple[str, ...] | None = None  # x-key: () a set, ("role",) a map by that field, None an ordered list
    server_adds: bool = False  # x-server-adds: live items that nobody declared are no difference
    secret: bool = False  # x-secret
    write_only: bool = False
    read_only: bool = False
    immutable: bool = False  # x-immutable: a change means replace
    extended: bool = False  # x-extended: only read back with ?extended=true
    default: Any = MISSING
    since: str | None = None
    deprecated: bool = False
    usual_minimum: float | None = None  # x-usual-minimum: below it a warning, plainly a mistake
    properties: Mapping[str, Field] = field(default_factory=dict)  # children of an object
    items: Field | None = None  # of an array
    holds_secret: bool = False  # this field or anything below it is secret
    variants: bool = False  # an object whose `type` picks its shape: replaced whole, never merged


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of resource: its schema, and how it maps to the API (`x-rest`)."""

    name: str
    schema: Mapping[str, Any]  # JSON Schema of `spec`
    path: str  # "/v1/bdbs"
    key: tuple[str, ...]  # natural key: the first of these wire fields that is set, as ("name", "email")
    id: str  # "uid"
    verbs: Mapping[str, str]  # {"create": "POST", "update": "PUT", "delete": "DELETE"}; absent = impossible
    fields: Mapping[str, Field]  # top level of spec
    name_schema: Mapping[str, Any]  # JSON Schema of metadata.name
    wait: Mapping[str, Any] | None  # {"action": "action_uid", "field": "status", "ready": [...], "failed": [...], "seconds": 1800}
    busy: tuple[Mapping[str, Any], ...]  # answers that mean "later": {"status": 409, "error_code": "db_busy"}
    guard: tuple[str, ...]  # what makes a repeated create safe: ("name",) or ("port", "tag")
    builtin: tuple[Mapping[str, Any], ...]  # live objects never to be touched: {"uid": 1}, {"name": "Admin"}
    protect: bool  # holds data: delete and replace need consent
    narrows: bool  # the list call takes ?fields=a,b
    dry_run: bool  # create and update take ?dry_run=true
    hook: str | None  # module in reconciler.hooks
    examples: tuple[Mapping[str, Any], ...] = ()
