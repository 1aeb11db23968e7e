"""What can be declared: `schemas/*.json` read into `Kind` values.

Everything that differs between kinds is data there, or a module in `hooks/`. Called by everybody who needs to know what
a field is; knows nothing of manifests, clusters or plans.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from reconciler import vocabulary
from reconciler.validation import Validator

SINGLETON = "cluster"  # what the one object of a singleton kind is called
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
    address_into: str = ""  # the property beside it that gets HOST:PORT of the other object, where that is known
    cluster_from: str = ""  # the property beside it that names the cluster of the other object; "" = the same cluster


class Impact(NamedTuple):
    """What a change of a field does to traffic or data, and under which direction of change."""

    impact: str  # one of vocabulary.IMPACTS
    why: str = ""
    when: str = ""  # "increase", "decrease", "set" (the new value is not empty), "" = any change
    to: tuple[Any, ...] = ()  # only when the new value is one of these; () = any
    names: tuple[str, ...] = ()  # only of objects with these names; () = any
    unlimited: int | None = None  # this number means no limit: it is more than any other
    below: str = ""  # only when the new number is less than this figure, which is measured; unknown counts as less


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
    secret: bool = False  # x-secret: always a valueFrom
    embeds_secret: bool = False  # x-secret "embedded": plain text, or a valueFrom where it holds a password
    write_only: bool = False
    read_only: bool = False
    immutable: bool = False  # x-immutable: a change means replace
    changeable: bool = False  # x-changeable: may change although what it stands in is fixed
    extended: bool = False  # x-extended: only read back with ?extended=true
    default: Any = MISSING
    since: str | None = None  # x-since: first server version that has the field
    until: str | None = None  # x-until: the last one
    values_since: Mapping[str, str] = field(default_factory=dict)  # x-values-since: of single values of the enum
    deprecated: bool = False
    deprecated_in: str | None = None  # x-deprecated-in
    instead: str = ""  # x-instead: what to use now
    policy_default: Any = MISSING  # x-policy-default: what a cluster supplies whose settings nobody changed
    usual_minimum: float | None = None  # x-usual-minimum: below it a warning, plainly a mistake
    create_default: Mapping[str, Any] | None = None  # x-create-default: {"when": {field: value}, "value": …}
    impacts: tuple[Impact, ...] = ()  # x-impact
    properties: Mapping[str, Field] = field(default_factory=dict)  # children of an object
    items: Field | None = None  # of an array
    option_of: tuple[str, ...] | None = None  # x-option-of: no state; goes along with a change of these, () of any
    sent_with: tuple[str, ...] = ()  # x-with: goes along, changed or not, whenever one of these is sent
    from_file: bool = False  # x-from-file: public text that a valueFrom may give
    only_grows: bool = False  # x-only-grows: a smaller number, an older version or true to false is refused
    holds_secret: bool = False  # this field or anything below it is secret
    variants: bool = False  # an object whose `type` picks its shape: replaced whole, never merged
    along: bool = False  # x-along: goes with every update, differing or not

    @property
    def lists_secrets(self) -> bool:
        """Whether this is a set of secrets, of which only what comes and goes is written."""
        return self.items is not None and self.items.secret


class Span(NamedTuple):
    """An `x-rest.spans`: how a spec names the clusters that its one object stands in."""

    field: str  # a list of objects; the `cluster` of each is a cluster of the project
    member: str  # the kind as which the object shows in each of them
    lost: str = ""  # a list of those clusters that are gone for good
    needs: tuple[str, ...] = ()  # of these fields, an item that is new has one


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of resource: its schema, and how it maps to the API (`x-rest`)."""

    name: str
    schema: Mapping[str, Any]  # JSON Schema of `spec`, as manifests may write it
    path: str  # "/v1/bdbs"
    key: tuple[str, ...]  # natural key: the first of these wire fields that is set, as ("name", "email")
    id: str  # "uid"
    verbs: Mapping[str, str]  # {"create": "POST", "update": "PATCH /v1/x/{id}"}; absent = impossible
    fields: Mapping[str, Field]  # top level of spec
    name_schema: Mapping[str, Any]  # JSON Schema of metadata.name
    wait: Mapping[str, Any] | None  # {"action": "action_uid", "field": "status", "ready": [...], "failed": [...], …}
    busy: tuple[Mapping[str, Any], ...]  # answers that mean "later": {"status": 409, "error_code": "db_busy"}
    guard: tuple[str, ...]  # what makes a repeated create safe: ("name",) or ("tag", "port")
    builtin: tuple[Mapping[str, Any], ...]  # live objects never to be touched: {"uid": 1}, {"name": "Admin"}
    protect: bool  # holds data: delete and replace need consent
    narrows: bool  # the list call takes ?fields=a,b
    dry_run: bool  # create and update take ?dry_run=true
    hook: str | None  # module in reconciler.hooks
    singleton: bool = False  # *path* is the object itself; leaving git means forget
    within: str = ""  # the spec is what stands at this key of the object
    list_key: str = ""  # the list stands at this key of the answer
    since: str = ""  # first server version that has the kind
    until: str = ""  # last one
    dry_run_since: str = ""  # first server version on which `dry_run` holds
    jsonschema: str = ""  # what GET /v1/jsonschema?object= calls it
    absent: tuple[Mapping[str, Any], ...] = ()  # answers with all of these values mean: nothing is configured
    after: tuple[str, ...] = ()  # kinds whose objects are written before, and deleted after, though none is named
    lasting: tuple[str, ...] = ()  # names of objects that a cluster cannot do without: changed, never deleted
    doc: str = ""  # where the API documents the object
    spans: Span | None = None  # one object stands in several clusters
    examples: tuple[Mapping[str, Any], ...] = ()
    required_on_create: tuple[Mapping[str, Any], ...] = ()  # {"field": "roles"}, also "unless": {field: [values]}
    validator: Validator = field(init=False, repr=False, compare=False)  # of spec

    def __post_init__(self) -> None:
        object.__setattr__(self, "validator", Validator(self.schema))

    def missing_on_create(self, spec: Mapping[str, Any]) -> tuple[str, ...]:
        """Return the fields that a *spec* lacks, should its object have to be created."""
        return tuple(
            rule["field"]
            for rule in self.required_on_create
            if rule["field"] not in spec
            and rule.get("or") not in spec
            and not any(spec.get(name) in values for name, values in rule.get("unless", {}).items())
        )


class Carriers:
    """The top-level fields of a kind that are marked, or that carry a marked field at any depth; found once a kind."""

    def __init__(self, marked: Callable[[Field], bool]) -> None:
        self._marked = marked
        self._known: dict[int, tuple[Kind, Mapping[str, Field]]] = {}

    def carries(self, field_: Field) -> bool:
        below = (*field_.properties.values(), *((field_.items,) if field_.items else ()))
        return self._marked(field_) or any(map(self.carries, below))

    def of(self, kind: Kind) -> Mapping[str, Field]:
        """Return them by name, in the order of *kind*."""
        known = self._known.get(id(kind))
        if known is None or known[0] is not kind:
            found = {name: field_ for name, field_ in kind.fields.items() if self.carries(field_)}
            known = self._known[id(kind)] = (kind, found)
        return known[1]


referring = Carriers(lambda field_: field_.reference is not None)
connecting = Carriers(lambda field_: field_.embeds_secret or field_.format == "endpoint")


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
                tuple(word.get("names", ())),
                word.get("unlimited"),
                word.get("below", ""),
            )


def _children(schema: Mapping[str, Any]) -> dict[str, Field]:
    """Return the fields of an object; of all its shapes together where `type` picks one."""
    found: dict[str, Field] = {}
    for shape in (schema, *schema.get("oneOf", ())):
        for name, child in shape.get("properties", {}).items():
            found.setdefault(name, _field(name, child))
    return found


def _field(name: str, schema: Mapping[str, Any]) -> Field:
    """Read one property of a kind file; its words are in `vocabulary`."""
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
        unit=schema.get("x-unit"),
        format=schema.get("format"),
        reference=Reference(
            reference["kind"],
            reference.get("asString", False),
            tuple(reference.get("literals", ())),
            reference.get("defer", False),
            reference.get("addressInto", ""),
            reference.get("clusterFrom", ""),
        )
        if reference
        else None,
        key=None if key is None else tuple(key),
        server_adds=schema.get("x-server-adds", False),
        secret=hides is True,
        embeds_secret=hides == "embedded",
        write_only=schema.get("writeOnly", False),
        read_only=schema.get("readOnly", False),
        immutable=schema.get("x-immutable", False),
        changeable=schema.get("x-changeable", False),
        extended=schema.get("x-extended", False),
        default=schema.get("default", MISSING),
        since=schema.get("x-since"),
        until=schema.get("x-until"),
        values_since=schema.get("x-values-since", {}),
        deprecated=schema.get("deprecated", False),
        deprecated_in=schema.get("x-deprecated-in"),
        instead=schema.get("x-instead", ""),
        policy_default=schema.get("x-policy-default", MISSING),
        usual_minimum=schema.get("x-usual-minimum"),
        create_default=schema.get("x-create-default"),
        impacts=tuple(_impacts(schema.get("x-impact", ()))) if "x-impact" in schema else (),
        properties=children,
        items=items,
        option_of=tuple(schema["x-option-of"]) if "x-option-of" in schema else None,
        sent_with=tuple(schema.get("x-with", ())),
        from_file=schema.get("x-from-file", False),
        only_grows=schema.get("x-only-grows", False),
        holds_secret=bool(hides) or any(child.holds_secret for child in below),
        variants="x-variants" in schema,
        along=schema.get("x-along", False),
    )


def _kind(source: Mapping[str, Any]) -> Kind:
    rest = source["x-rest"]
    if rest.get("singleton"):
        rest = {"key": ["@id"], "id": "@id", "name": {"const": SINGLETON}, "guard": (), **rest}
    return Kind(
        name=source["title"],
        schema=vocabulary.spec_schema(source),
        path=rest["path"],
        key=tuple(rest["key"]),
        id=rest["id"],
        verbs=rest["verbs"],
        fields=_children(source),
        name_schema=rest["name"],
        wait=rest.get("wait"),
        busy=tuple(rest.get("busy", ())),
        guard=tuple(rest["guard"]),
        builtin=tuple(rest.get("builtin", ())),
        protect=rest.get("protect", False),
        narrows=rest.get("narrows", False),
        dry_run=bool(rest.get("dryRun", False)),
        hook=rest.get("hook"),
        singleton=rest.get("singleton", False),
        within=rest.get("within", ""),
        list_key=rest.get("list", ""),
        since=rest.get("since", ""),
        until=rest.get("until", ""),
        dry_run_since=rest["dryRun"] if isinstance(rest.get("dryRun"), str) else "",
        jsonschema=rest.get("jsonschema", ""),
        absent=tuple(rest.get("absent", ())),
        after=tuple(rest.get("after", ())),
        lasting=tuple(rest.get("lasting", ())),
        doc=rest.get("doc", ""),
        spans=Span(**{**rest["spans"], "needs": tuple(rest["spans"].get("needs", ()))}) if "spans" in rest else None,
        examples=tuple(source["examples"]),
        required_on_create=tuple(source.get("x-required-on-create", ())),
    )


def schema_folder() -> Path:
    """Return where the kind files are: inside the installed package, or beside it in a checkout."""
    inside = Path(__file__).parent / "schemas"
    return inside if inside.is_dir() else Path(__file__).parent.parent / "schemas"


@functools.cache
def load_kinds() -> Mapping[str, Kind]:
    """Return every kind by name, sorted by name."""
    files = [path for path in schema_folder().glob("*.json") if path.name != vocabulary.MANIFEST_FILE]
    kinds = [_kind(json.loads(path.read_bytes())) for path in files]
    return MappingProxyType({kind.name: kind for kind in sorted(kinds, key=lambda kind: kind.name)})


def kind_source(name: str) -> dict[str, Any]:
    """Return the kind file of *name* as it stands: what people may want to know of a field is all there."""
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


if __name__ == "__main__":
    print(json.dumps(manifest_schema(), indent=1, ensure_ascii=False))
