"""Live objects to manifests, to adopt an existing cluster. A plan of the result is empty.

The command `export` calls `manifests_of` with the live objects of one kind. Defaults are left out, and so are objects
that are never changed and what the cluster's version does not have; secrets become references to be filled in. What is
left out is reported, in comments of the manifests too. Pure.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from reconciler.api.codec import uid_of_unnamed
from reconciler.kinds import MISSING, Field, Kind, versions
from reconciler.kinds.quantities import UNITS
from reconciler.kinds.vocabulary import API_VERSION, is_value_from
from reconciler.model import LiveObject, LiveState
from reconciler.plan.multicluster import spanned_clusters
from reconciler.plan.references import references
from reconciler.render.escape import clean
from reconciler.yaml12.writer import document

SCHEMA = "manifest.schema.json"  # which the command puts beside the manifests

# The server adds its bundled modules to every database from Redis 8 on; before that, each was requested by a user.
_ADDED_FROM = {"module_list": ("redis_version", 8)}
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")  # no manifest may hold them
_NICE_UNITS = {"bytes": ("TiB", "GiB", "MiB", "KiB"), "seconds": ("d", "h", "m")}


class Remark(NamedTuple):
    """What is left out of an export, and why."""

    kind: str
    name: str  # of the object; "" if it is all of its kind
    text: str


class Page(NamedTuple):
    """The manifests of one kind."""

    text: str  # "" where there is nothing to say
    remarks: tuple[Remark, ...] = ()


class Exported:
    """The objects that were exported already: an object that spans clusters is listed by each of them."""

    def __init__(self) -> None:
        self._uids: set[tuple[str, int | str]] = set()

    def new(self, kind: Kind, objects: Iterable[LiveObject]) -> list[LiveObject]:
        """Return those of *objects* that no cluster before has listed."""
        found = [one for one in objects if (kind.name, one.uid) not in self._uids]
        self._uids.update((kind.name, one.uid) for one in found if kind.traits.multi_cluster)
        return found


def manifests_of(
    kind: Kind,
    objects: Sequence[LiveObject],
    *,
    cluster: str = "",
    schema: str = SCHEMA,
    state: LiveState | None = None,
) -> Page:
    """Return YAML that declares *objects* as they are, and what is left out.

    *cluster* goes into `metadata.cluster`; *state* has its version, and the kinds that could not be read.
    """
    if state is not None and kind.name in state.unreadable:
        why = f"this account cannot read it ({state.unreadable[kind.name]})"
        return _page(schema, [Remark(kind.name, "", f"left out: {why}")], [])
    counts = Counter(found.name for found in objects)
    left_out: list[Remark] = []
    inside: list[Remark] = []
    documents: list[str] = []
    for found in sorted(objects, key=lambda found: found.name):
        reason = _left_out(kind, found, counts[found.name])
        if reason:
            left_out.append(Remark(kind.name, found.name, f"left out: {reason}"))
            continue
        spec, texts = spec_of(kind, found, state)
        if spec or "create" in kind.rest.verbs:  # built-in objects with default settings need no manifest
            documents.append(_document(kind, found.name, cluster, spec, texts))
            inside += (Remark(kind.name, found.name, text) for text in texts)
    page = _page(schema, left_out, documents)
    return page._replace(remarks=(*page.remarks, *inside))


def _page(schema: str, left_out: Sequence[Remark], documents: Sequence[str]) -> Page:
    if not documents and not left_out:
        return Page("")
    comments = [f"# {clean('/'.join(filter(None, one[:2])))} is {clean(one.text)}.\n" for one in left_out]
    head = f"# yaml-language-server: $schema={schema}\n"
    return Page(head + "".join(dict.fromkeys(comments)) + "---\n".join(documents), tuple(left_out))


def _left_out(kind: Kind, found: LiveObject, namesakes: int) -> str:
    if found.builtin:
        return "it is built into the cluster"
    if found.owner:
        return f"it is managed by {found.owner}"
    if kind.traits.multi_cluster:
        strange = [name for name in spanned_clusters(kind, found.spec) if name.startswith("#")]
        if strange:
            return f"it has an instance on {strange[0][1:]}, a cluster that is not in this run"
    if namesakes > 1:
        return f"{namesakes} live objects have this name"
    pattern, limit = kind.name_schema.get("pattern"), kind.name_schema.get("maxLength", 255)
    if not found.name or len(found.name) > limit or (pattern and not re.search(pattern, found.name)):
        return "no manifest can have this name"
    return ""


def _document(kind: Kind, name: str, cluster: str, spec: Mapping[str, Any], remarks: Sequence[str]) -> str:
    metadata = {"name": name, **({"cluster": cluster} if cluster else {})}
    lines = "".join(f"# {clean(remark)}\n" for remark in remarks)
    return lines + document({"apiVersion": API_VERSION, "kind": kind.name, "metadata": metadata, "spec": spec})


def spec_of(kind: Kind, found: LiveObject, state: LiveState | None = None) -> tuple[dict[str, Any], list[str]]:
    """Return what to declare of *found*, and remarks on what could not be."""
    spec: dict[str, Any] = {}
    comments: list[str] = []
    for name in kind.fields:
        value = found.spec.get(name, MISSING)
        if value is MISSING or _is_added(name, found.spec):
            continue
        if _has_control_characters(value):
            comments.append(f"{name} is left out: it holds control characters")
            continue
        unnamed = [ref for ref in references(kind, {name: value}) if uid_of_unnamed(ref.name) is not None]
        if unnamed:
            hidden = sorted({ref.kind for ref in unnamed} & set(state.unreadable if state is not None else ()))
            why = f"a {' and a '.join(hidden)}, which this account cannot read" if hidden else "a deleted object"
            comments.append(f"{name} is left out: it refers to {why}")
            continue
        shape = kind.schema.get("properties", {}).get(name, {})
        path = f"{kind.name}_{found.name}_{name}"
        kept = _kept(kind.fields[name], value, shape, path)
        if kept is not MISSING:
            spec[name] = kept
    for name in kind.missing_on_create(spec):
        if kind.fields[name].access.secret:
            spec[name] = _placeholder(f"{kind.name}_{found.name}_{name}")
        elif found.spec.get(name, MISSING) is not MISSING:
            spec[name] = found.spec[name]
    needed = kind.missing_on_create(spec)
    if needed:
        comments.append(f"add {' and '.join(needed)} to create it again: clusters do not report that")
    spec = _supported(kind, spec, state.version if state is not None else None, comments)
    spec = _made_valid(kind, spec, found.spec, comments)
    comments += _about_secrets(kind, spec)
    return spec, comments


def _supported(
    kind: Kind, spec: dict[str, Any], version: versions.ServerVersion | None, comments: list[str]
) -> dict[str, Any]:
    """Return *spec* without what *version* does not have, which a manifest could not declare."""
    missing = [one for one in versions.findings(kind, spec, version) if one.missing]
    comments += (f"{one.text} is left out: {one.message}" for one in missing)
    return dict(_without(spec, frozenset(one.path for one in missing), ()))


def _without(value: Any, gone: frozenset[tuple[str | int, ...]], at: tuple[str | int, ...]) -> Any:
    if not gone:
        return value
    if isinstance(value, Mapping):
        return {name: _without(item, gone, (*at, name)) for name, item in value.items() if (*at, name) not in gone}
    if isinstance(value, list):
        return [_without(item, gone, (*at, place)) for place, item in enumerate(value) if (*at, place) not in gone]
    return value


def _about_secrets(kind: Kind, spec: Mapping[str, Any]) -> Iterator[str]:
    """Yield what is to be known of secrets, which a cluster does not return."""
    if _has_value_from(spec):
        yield "secrets are not exported: set the variables that valueFrom names, or change it"
    hidden = [
        name
        for name, field in kind.fields.items()
        if (field.access.secret and name not in spec)
        or (field.access.holds_secret and name in spec and not _has_value_from(spec[name]))
    ]
    if hidden:
        yield f"secrets are not exported, if set: {', '.join(hidden)}"


def _has_value_from(value: Any) -> bool:
    if isinstance(value, Mapping):
        return is_value_from(value) or any(map(_has_value_from, value.values()))
    return isinstance(value, list) and any(map(_has_value_from, value))


def _made_valid(kind: Kind, spec: dict[str, Any], live: Mapping[str, Any], comments: list[str]) -> dict[str, Any]:
    """Remove values that are invalid in a manifest, with a comment on each."""
    while findings := kind.validator.findings(spec):
        bad = {str(finding.path[0]): finding.message for finding in findings if finding.path}
        alone = sorted(bad.keys() & spec.keys())
        if not alone:  # fields that exclude or require each other: add one where that helps, or remove one
            more = _first_better(kind, len(findings), ({**spec, name: live[name]} for name in live if name not in spec))
            if more is not None:
                spec = more
                continue
            less = _first_better(kind, len(findings), ({k: v for k, v in spec.items() if k != n} for n in spec))
            if less is None:
                break
            alone = sorted(spec.keys() - less.keys())
        for name in alone:
            del spec[name]
            comments.append(f"{name} is left out: {bad.get(name, findings[0].message)}")
    return spec


def _first_better(kind: Kind, count: int, candidates: Iterable[dict[str, Any]]) -> dict[str, Any] | None:
    return next((other for other in candidates if len(kind.validator.findings(other)) < count), None)


def _is_added(name: str, spec: Mapping[str, Any]) -> bool:
    field, since = _ADDED_FROM.get(name, ("", 0))
    major = str(spec.get(field, "")).partition(".")[0]
    return bool(field) and major.isdigit() and int(major) >= since


def _kept(field: Field, value: Any, shape: Mapping[str, Any], path: str) -> Any:
    """Return *value* without defaults; MISSING where nothing is left."""
    if value is None or field.access.read_only:
        return MISSING
    if any(usual is not MISSING and value == usual for usual in (field.usual.default, field.usual.policy_default)):
        return MISSING
    if field.support.deprecated and not value:
        return MISSING
    if field.usual.default is MISSING and value in ("", [], {}):
        return MISSING
    if isinstance(value, list):
        items = field.items
        if items is None:
            return value
        inner = shape.get("items", {})
        made = [_kept_item(field, items, item, inner, f"{path}_{place}") for place, item in enumerate(value)]
        return [item for item in made if item is not MISSING]
    if isinstance(value, Mapping):
        kept = _kept_object(field, value, shape, path)
        said = {name for name in kept if kept[name] != field.properties[name].usual.default}
        return kept if said else MISSING
    return _nice(field, value)


def _kept_item(field: Field, items: Field, item: Any, shape: Mapping[str, Any], path: str) -> Any:
    if not isinstance(item, Mapping):
        return item
    named = {name: item[name] for name in field.form.key or () if name in item}
    kept = _kept_object(items, item, shape, path)
    return {name: value for name in items.properties if (value := {**kept, **named}.get(name, MISSING)) is not MISSING}


def _kept_object(field: Field, value: Mapping[str, Any], shape: Mapping[str, Any], path: str) -> dict[str, Any]:
    shape = _variant(shape, value)
    required = frozenset(shape.get("required", ()))
    inner = shape.get("properties", {})
    out: dict[str, Any] = {}
    for name, below in field.properties.items():
        if name not in inner and inner:
            continue
        there = value.get(name, MISSING)
        if there is not MISSING:
            kept = _kept(below, there, inner.get(name, {}), f"{path}_{name}")
            out[name] = there if kept is MISSING and name in required else kept
        elif name in required and (below.access.secret or below.access.embeds_secret):
            out[name] = _placeholder(f"{path}_{name}")
    return {name: item for name, item in out.items() if item is not MISSING}


def _variant(shape: Mapping[str, Any], value: Mapping[str, Any]) -> Mapping[str, Any]:
    for one in shape.get("oneOf", ()):
        if one.get("properties", {}).get("type", {}).get("const") == value.get("type"):
            return dict(one)
    return shape


def _placeholder(path: str) -> dict[str, Any]:
    return {"valueFrom": {"env": env_name(path)}}


def env_name(text: str) -> str:
    """Return *text* as the name of an environment variable."""
    name = re.sub(r"[^A-Za-z0-9]+", "_", text).strip("_").upper()
    return name if name and not name[0].isdigit() else f"_{name}"


def _nice(field: Field, value: Any) -> Any:
    """Write a quantity as people do, where that is exact: 2GiB, 12h."""
    if field.type != "integer" or type(value) is not int:
        return value
    for suffix in _NICE_UNITS.get(field.form.unit or "", ()):
        size = UNITS[field.form.unit or ""][suffix]
        if value >= size and value % size == 0:
            return f"{value // size}{suffix}"
    return value


def _has_control_characters(value: Any) -> bool:
    if isinstance(value, Mapping):
        return any(map(_has_control_characters, value.values()))
    if isinstance(value, list):
        return any(map(_has_control_characters, value))
    return isinstance(value, str) and _CONTROL.search(value) is not None
