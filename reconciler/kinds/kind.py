"""What can be declared: `schemas/*.json` read into `Kind` values.

Everything that differs between kinds is data there, a trait, or a module in `api/hooks/`. Read by every layer above;
must not know manifests, clusters or plans.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, NamedTuple

from reconciler.kinds.traits import Traits
from reconciler.kinds.validation import Validator

SINGLETON = "cluster"  # the name of the object of a singleton kind
MISSING: Any = type("Missing", (), {"__repr__": lambda self: "MISSING", "__bool__": lambda self: False})()


@dataclass(frozen=True, slots=True)
class Reference:
    """An `x-ref`: the field holds the name of a *kind*; the API holds its id, as integer or string."""

    kind: str
    as_string: bool = False  # the API wants "7", not 7
    literals: tuple[str, ...] = ()  # values that are not names, such as "all"
    defer: bool = False  # may be set in a second step if references form a cycle
    address_into: str = ""  # the sibling property that gets HOST:PORT of the other object, if known
    copies: tuple[tuple[str, str], ...] = ()  # (sibling property, secret of the other object that it gets)
    cluster_from: str = ""  # the sibling property that names the cluster of the other object; "" = the same


class Impact(NamedTuple):
    """What a change of a field does to traffic or data, and under which direction of change."""

    impact: str  # one of vocabulary.IMPACTS
    why: str = ""
    when: str = ""  # "increase", "decrease", "set" (not empty), "taken" (something was there), "" = any change
    to: tuple[Any, ...] = ()  # only when the new value is one of these; () = any
    was: tuple[Any, ...] = ()  # only when the old value is one of these, or not known; () = any
    but: tuple[str, ...] = ()  # not for a change of one of these properties inside the field
    names: tuple[str, ...] = ()  # only of objects with these names; () = any
    unlimited: int | None = None  # this number means no limit: it is more than any other
    below: str = ""  # only when the new number is less than this figure, which is measured; unknown counts as less
    login: str = ""  # what it surely ends, where it is what the access of this tool rests on: vocabulary of the keyword


_EMPTY: Mapping[str, Any] = MappingProxyType({})


class Form(NamedTuple):
    """How values of a field are written and compared: what `diff`, `export` and `render` ask."""

    unit: str | None = None  # x-unit: "bytes", "seconds", "milliseconds" …
    format: str | None = None  # "pem", "redis-acl" …: picks a canonical form
    key: tuple[str, ...] | None = None  # x-key: () a set, ("role",) a map by that field, None an ordered list
    server_adds: bool = False  # x-server-adds: live items that are not declared do not count as a difference
    variants: bool = False  # oneOf: an object whose `type` picks its shape; replaced whole, never merged
    unique: str = ""  # x-unique: no two objects of a cluster have the same value; "port", "e-mail address"


class Access(NamedTuple):
    """Whether a field is read back or sent, and whether it holds a secret: what `diff`, `api` and `manifests` ask."""

    read_only: bool = False
    write_only: bool = False
    option_of: tuple[str, ...] | None = None  # x-option-of: no state; sent with a change of these fields, () of any
    secret: bool = False  # x-secret: always a valueFrom
    embeds_secret: bool = False  # x-secret "embedded": plain text, or a valueFrom where it holds a password
    holds_secret: bool = False  # this field or anything below it is secret
    from_file: bool = False  # x-from-file: public text that a valueFrom may give
    address: str = ""  # x-address: what the cluster connects to: "host", "url", "bucket", "metadata", "node"


class ChangeRules(NamedTuple):
    """What may be changed, what a change does and what is sent with it: what `plan` asks."""

    impacts: tuple[Impact, ...] = ()  # x-impact
    immutable: bool = False  # x-immutable: a change means replace
    only_grows: bool = False  # x-only-grows: changes in one direction only, also within an immutable field
    sent_with: tuple[str, ...] | None = None  # x-with: sent, changed or not, whenever one of these is, () of any


class Support(NamedTuple):
    """Which server versions have a field or a kind: what `versions` asks."""

    since: str | None = None  # x-since: first version that has it
    until: str | None = None  # x-until: the last one
    values_since: Mapping[str, str] = _EMPTY  # x-values-since: the same of single values of the enum
    deprecated: bool = False
    deprecated_in: str | None = None  # x-deprecated-in
    instead: str = ""  # x-instead: what to use now


class Ratio(NamedTuple):
    """An `x-ratio`: bounds of a number relative to the field *of* beside it."""

    of: str
    at_least: float | None = None
    below: float | None = None


class Usual(NamedTuple):
    """Which values are usual: what `export`, `diff` and warnings ask."""

    default: Any = MISSING  # the server's documented default
    policy_default: Any = MISSING  # x-policy-default: what a cluster with unchanged settings supplies
    minimum: float | None = None  # x-usual-minimum: a smaller value is reported as a likely mistake
    ratio: Ratio | None = None  # x-ratio


_FORM, _ACCESS, _CHANGE, _SUPPORT, _USUAL = Form(), Access(), ChangeRules(), Support(), Usual()


@dataclass(frozen=True, slots=True)
class Field:
    """One property of a spec: its structure, and groups of what each part of the engine must know of it."""

    name: str
    wire: str  # the API's name; differs only for references (`role` ↔ `role_uid`)
    type: str | None = None  # JSON type where there is exactly one
    reference: Reference | None = None  # x-ref
    properties: Mapping[str, Field] = field(default_factory=dict)  # children of an object
    items: Field | None = None  # of an array
    form: Form = _FORM
    access: Access = _ACCESS
    change: ChangeRules = _CHANGE
    support: Support = _SUPPORT
    usual: Usual = _USUAL

    @property
    def lists_secrets(self) -> bool:
        """Whether this is a set of secrets, of which only added and removed items are written."""
        return self.items is not None and self.items.access.secret


class Rest(NamedTuple):
    """How a kind maps to the API (`x-rest`): what `api` and `live` ask."""

    path: str  # "/v1/bdbs"; of a singleton, the object itself
    key: tuple[str, ...]  # natural key: the first of these wire fields that is set, as ("name", "email")
    id: str  # "uid"
    verbs: Mapping[str, str]  # {"create": "POST", "update": "PATCH /v1/x/{id}"}; absent = impossible
    doc: str = ""  # where the API documents the object
    busy: tuple[Mapping[str, Any], ...] = ()  # answers that mean "later": {"status": 409, "error_code": "db_busy"}
    absent: tuple[Mapping[str, Any], ...] = ()  # answers with all of these values mean: nothing is configured
    jsonschema: str = ""  # what GET /v1/jsonschema?object= calls it
    dry_run: bool = False  # create and update take ?dry_run=true
    dry_run_since: str = ""  # first server version on which `dry_run` holds


class KindPolicy(NamedTuple):
    """What may happen to objects of a kind, and in which order: what `plan` and `manifests` ask."""

    guard: tuple[str, ...] = ()  # what makes a repeated create safe: ("name",) or ("tag", "port")
    builtin: tuple[Mapping[str, Any], ...] = ()  # live objects that are never managed: {"uid": 1}, {"name": "Admin"}
    protect: bool = False  # holds data: delete and replace need consent
    after: tuple[str, ...] = ()  # kinds whose objects are written before, and deleted after, without a reference


_POLICY, _TRAITS = KindPolicy(), Traits()


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of resource: its schema, and groups of what each part of the engine must know of it."""

    name: str
    schema: Mapping[str, Any]  # JSON Schema of `spec`, as manifests may write it
    name_schema: Mapping[str, Any]  # JSON Schema of metadata.name
    fields: Mapping[str, Field]  # top level of spec
    rest: Rest
    policy: KindPolicy = _POLICY
    support: Support = _SUPPORT
    hook: str | None = None  # module in reconciler.api.hooks
    traits: Traits = _TRAITS
    singleton: bool = False  # there is exactly one object; removal from git means forget
    examples: tuple[Mapping[str, Any], ...] = ()
    required_on_create: tuple[Mapping[str, Any], ...] = ()  # {"field": "roles"}, also "unless": {field: [values]}
    advice: Validator | None = None  # x-advice: what it finds is a warning
    validator: Validator = field(init=False, repr=False, compare=False)  # of spec

    def __post_init__(self) -> None:
        object.__setattr__(self, "validator", Validator(self.schema))

    def missing_on_create(self, spec: Mapping[str, Any]) -> tuple[str, ...]:
        """Return the fields that a create requires and *spec* lacks."""
        return tuple(
            rule["field"]
            for rule in self.required_on_create
            if rule["field"] not in spec
            and rule.get("or") not in spec
            and not any(spec.get(name) in values for name, values in rule.get("unless", {}).items())
        )


class MarkedFields:
    """The top-level fields of a kind that are marked or contain a marked field at any depth; cached per kind."""

    def __init__(self, marked: Callable[[Field], bool]) -> None:
        self._marked = marked
        self._known: dict[int, tuple[Kind, Mapping[str, Field]]] = {}

    def contains(self, field_: Field) -> bool:
        below = (*field_.properties.values(), *((field_.items,) if field_.items else ()))
        return self._marked(field_) or any(map(self.contains, below))

    def of(self, kind: Kind) -> Mapping[str, Field]:
        """Return them by name, in the order of *kind*."""
        known = self._known.get(id(kind))
        if known is None or known[0] is not kind:
            found = {name: field_ for name, field_ in kind.fields.items() if self.contains(field_)}
            known = self._known[id(kind)] = (kind, found)
        return known[1]


unique_fields = MarkedFields(lambda field_: bool(field_.form.unique))
ratio_fields = MarkedFields(lambda field_: field_.usual.ratio is not None)
reference_fields = MarkedFields(lambda field_: field_.reference is not None)
copying_fields = MarkedFields(lambda field_: field_.reference is not None and bool(field_.reference.address_into))
address_fields = MarkedFields(lambda field_: bool(field_.access.address))
