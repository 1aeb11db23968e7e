"""Declared and live states as plain values, generated and written by hand, and a server that obeys plans at once."""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from hypothesis import strategies as st

from reconciler.diff.normalize import canonical, canonical_live, comparable, hidden_values
from reconciler.kinds import SINGLETON, MarkedFields, load_kinds, schema_folder
from reconciler.manifests.resolve import Desired
from reconciler.model import Address, LiveObject, LiveState, Observed, Owned
from reconciler.plan import Action, Change, Options, Plan, decide
from reconciler.plan.references import references
from tests.kinds.samples import values_of

KINDS = load_kinds()
SOURCES = {
    source["title"]: source
    for path in schema_folder().glob("*.json")
    if "x-rest" in (source := json.loads(path.read_text()))
}
Secrets = Mapping[tuple[Address, str], str]


@dataclass(frozen=True)
class Declared:
    """A resource as the planner takes it."""

    address: Address
    spec: Mapping[str, Any]
    absent: bool = False
    protect: bool = False
    renamed_from: str | None = None
    suspended: bool = False
    ignore: tuple[str, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    allow: tuple[str, ...] = ()
    freeze: tuple[Any, ...] = ()
    source: tuple[str, int] = ("shop.yaml", 7)

    def place(self, path: Sequence[Any]) -> tuple[str, int, int]:
        return "shop.yaml", 7, 3


def declared(
    kind: str, name: str, spec: Mapping[str, Any] | None = None, cluster: str = "", **metadata: Any
) -> Declared:
    return Declared(Address(cluster, kind, name), canonical(KINDS[kind], spec or {}), **metadata)


def found(kind: str, uid: int, name: str, spec: Mapping[str, Any] | None = None, **more: Any) -> LiveObject:
    return LiveObject(kind, uid, name, canonical_live(KINDS[kind], canonical(KINDS[kind], spec or {})), **more)


def state(*objects: LiveObject, cluster: str = "", **more: Any) -> LiveState:
    by_kind = {name: tuple(one for one in objects if one.kind == name) for name in KINDS}
    return LiveState(cluster, by_kind, **more)


def plan_of(
    resources: Sequence[Declared],
    *states: LiveState,
    owned: Mapping[Address, Owned] | None = None,
    secrets: Secrets | None = None,
    absent: Mapping[str, str] | None = None,
    elsewhere: frozenset[Address] = frozenset(),
    **options: Any,
) -> Plan:
    live = {one.cluster: one for one in states or (state(),)}
    observed = Observed(live, owned or {}, secrets or {}, absent=absent or {})
    return decide(KINDS, Desired(resources, elsewhere), observed, Options(**options))  # type: ignore[arg-type]


def secrets_are(status: str, resources: Sequence[Declared]) -> Secrets:
    return {
        (one.address, path): status for one in resources for path, _ in hidden_values(KINDS[one.address.kind], one.spec)
    }


class Server:
    """Clusters that do what a plan says, without delay or fault, and what the ledger would know afterwards."""

    def __init__(self, *states: LiveState, owned: Mapping[Address, Owned] | None = None) -> None:
        self.objects = {
            (one.cluster, x.kind, x.uid): x for one in states for items in one.objects.values() for x in items
        }
        self.clusters = [one.cluster for one in states]
        self.owned = dict(owned or {})
        self.uids = itertools.count(1000)

    def states(self) -> list[LiveState]:
        return [
            state(*(x for (where, _, _), x in sorted(self.objects.items()) if where == cluster), cluster=cluster)
            for cluster in self.clusters
        ]

    def apply(self, plan: Plan) -> None:
        for change in plan.changes:
            self.do(change)

    def do(self, change: Change) -> None:
        cluster, kind, name = change.address
        shown = dict(canonical_live(KINDS[kind], comparable(KINDS[kind], change.body)))
        if change.action is Action.DELETE:
            self.refuse_dangling(change.address)
        if change.action in (Action.REPLACE, Action.DELETE):
            del self.objects[cluster, kind, change.uid]
            self.owned.pop(change.address, None)
        if change.action in (Action.CREATE, Action.REPLACE):
            uid = next(self.uids)
            self.objects[cluster, kind, uid] = LiveObject(kind, uid, name, shown)
            self.owned[change.address] = Owned(uid, "", change.body)
        elif change.action is Action.UPDATE:
            uid = change.uid if change.uid is not None else self.named(change.address).uid
            before = self.objects[cluster, kind, uid]
            self.objects[cluster, kind, uid] = replace(before, name=name, spec={**before.spec, **shown})
            last = self.owned.get(change.address)
            self.owned[change.address] = Owned(uid, "", {**(last.fields if last else {}), **change.body})
        elif change.action is Action.FORGET:
            del self.owned[change.address]

    def refuse_dangling(self, address: Address) -> None:
        """Only an object that goes too may still refer to what goes, and only by a reference that may come late."""
        for (cluster, kind, _), one in self.objects.items():
            for ref in references(KINDS[kind], one.spec):
                if cluster == address.cluster and (ref.kind, ref.name) == address[1:]:
                    assert ref.defer, f"{address} is deleted while {one} refers to it"

    def named(self, address: Address) -> LiveObject:
        return next(x for (c, k, _), x in self.objects.items() if (c, k, x.name) == address)


# What follows generates.

DRAWN = ("Certificate", "Database", "LDAPMapping", "Module", "RedisACL", "Role", "User")  # made and deleted
SINGLE = tuple(name for name, kind in KINDS.items() if kind.singleton and name != "ClusterBootstrap")  # it comes alone
ADOPTED = tuple(name for name, kind in KINDS.items() if not kind.singleton and "create" not in kind.rest.verbs)
NAMES = {
    **{name: tuple(f"{name.lower()}-{letter}" for letter in "abcd") for name in DRAWN},
    **dict.fromkeys(SINGLE, (SINGLETON,)),
    **dict.fromkeys(ADOPTED, ("1", "2", "3")),
}
_VALUES = {
    kind: {name: values_of(schema) for name, schema in source["properties"].items()} for kind, source in SOURCES.items()
}


_ALWAYS = {"Database": ("type", "roles_permissions", "port"), "Role": ("resources",)}


grows = MarkedFields(lambda field: field.change.only_grows)


@st.composite
def specs(
    draw: st.DrawFn, kind: str, names: Mapping[str, Sequence[str]], start: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Draw a spec of *kind* whose references go to *names*; valid field by field, not always as a whole.

    With *start*, most fields are as they are there.
    """
    chosen = draw(st.lists(st.sampled_from(sorted(_VALUES[kind])), max_size=6, unique=True))
    chosen += [name for name in _ALWAYS.get(kind, ()) if draw(st.booleans())]
    spec = {name: draw(st.sampled_from(_VALUES[kind][name])) for name in chosen}
    spec = _with_references(draw, kind, spec, names)
    for name in sorted(start or ()):
        if draw(st.integers(0, 3)):
            spec[name] = (start or {})[name]
    for name in [name for name in spec if name in (start or {}) and grows.contains(KINDS[kind].fields[name])]:
        spec[name] = (start or {})[name]  # the way back is refused: that is no law of plans
    for rule in KINDS[kind].required_on_create:
        name = rule["field"]
        spec.setdefault(name, some(draw, names, "Role", 1) if name == "roles" else _VALUES[kind][name][0])
    return spec


def some(draw: st.DrawFn, names: Mapping[str, Sequence[str]], target: str, least: int = 0) -> list[str]:
    pool = list(names[target])
    return draw(st.lists(st.sampled_from(pool), min_size=min(least, len(pool)), unique=True)) if pool else []


def _with_references(
    draw: st.DrawFn, kind: str, spec: dict[str, Any], names: Mapping[str, Sequence[str]]
) -> dict[str, Any]:
    if "roles_permissions" in spec:
        acls = list(names["RedisACL"])
        spec["roles_permissions"] = [
            {"role": role, "redis_acl": draw(st.sampled_from(acls))}
            for role in (some(draw, names, "Role") if acls else [])
        ]
    if "resources" in spec:
        spec["resources"] = [{"type": "db", "databases": some(draw, names, "Database")}]
    if "roles" in spec:
        spec["roles"] = some(draw, names, "Role", 1)
    for name in {"bdbs_email_alerts", "evict_dbs"} & spec.keys():
        spec[name] = some(draw, names, "Database")
    return spec


def distinct(kind: str, name: str, spec: dict[str, Any]) -> dict[str, Any]:
    """Return *spec* with values that no other object has, where a cluster allows no two of them."""
    if str(spec.get("email", name)).partition(".")[0] != name and spec["email"]:
        spec["email"] = f"{name}.{spec['email']}"
    if "port" in spec and kind == "Database" and spec["port"] < 15000:
        spec["port"] = 15000 + 10 * NAMES[kind].index(name) + spec["port"] % 10
    return spec


@dataclass(frozen=True)
class World:
    """One cluster and what is declared for it."""

    resources: tuple[Declared, ...]
    live: LiveState


@st.composite
def worlds(draw: st.DrawFn) -> World:
    """Draw some live objects, and declarations for some of them and for others.

    Of what is always there, or stands alone, a few kinds at a time: all of them would be too much to draw.
    """
    fixed = draw(st.lists(st.sampled_from((*ADOPTED, *SINGLE)), unique=True, max_size=3))
    kinds = (*DRAWN, *fixed)
    there = {
        kind: draw(st.lists(st.sampled_from(NAMES[kind]), unique=True, max_size=3))
        if "create" in KINDS[kind].rest.verbs
        else list(NAMES[kind])
        for kind in kinds
    }
    wanted = {kind: draw(st.lists(st.sampled_from(NAMES[kind]), unique=True, max_size=3)) for kind in kinds}
    drawn = {(kind, name): distinct(kind, name, draw(specs(kind, there))) for kind in kinds for name in there[kind]}
    objects = [found(kind, uid, name, drawn[kind, name]) for kind in kinds for uid, name in enumerate(there[kind], 10)]
    known = {kind: sorted({*there[kind], *wanted[kind]}) for kind in kinds}
    resources = [
        declared(kind, name, distinct(kind, name, draw(specs(kind, known, drawn.get((kind, name))))))
        for kind in kinds
        for name in wanted[kind]
    ]
    return World(tuple(resources), state(*objects))
