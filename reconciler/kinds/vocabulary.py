"""The keywords of a kind file, translated to JSON Schema.

A kind file contains `"type": "integer", "x-unit": "bytes"` or `"x-secret": true`; a manifest may then contain `2GiB`,
and must contain `{valueFrom: …}`. The loader validates manifests with the result; editors get the same schema.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from reconciler.kinds.quantities import PATTERNS

API_VERSION = "reconciler/v1"
DIALECT = "https://json-schema.org/draft/2020-12/schema"
MANIFEST_FILE = "manifest.json"

IMPACTS = (
    "none",
    "new-connections",
    "drops-clients",
    "restart",
    "resharding",
    "failover",
    "may-lose-data",
    "loses-data",
    "irreversible",
    "may-cut-off",
)
"""The effects of changing a field, by severity; "may-cut-off" affects the access of this tool."""

CONSENT = IMPACTS[IMPACTS.index("may-lose-data") :]
"""The impacts that require consent by name, since a later change cannot revert them: lost data, lost access, and
everything irreversible."""

VALUE_FROM: Mapping[str, Any] = {
    "type": "object",
    "properties": {
        "valueFrom": {
            "type": "object",
            "properties": {
                "env": {"type": "string", "pattern": "^[A-Za-z_][A-Za-z0-9_]*$", "maxLength": 255},
                "file": {"type": "string", "minLength": 1},
            },
            "additionalProperties": False,
            "minProperties": 1,
            "maxProperties": 1,
        }
    },
    "required": ["valueFrom"],
    "additionalProperties": False,
}


def is_value_from(value: Any) -> bool:
    """Return whether *value* is a reference to a value elsewhere: `{valueFrom: …}`."""
    return isinstance(value, Mapping) and len(value) == 1 and "valueFrom" in value


def sources_in(value: Any) -> Iterator[Mapping[str, Any]]:
    """Yield what each `valueFrom` in *value* holds, at any depth."""
    if is_value_from(value):
        yield value["valueFrom"]
    elif isinstance(value, Mapping | list):
        for item in value.values() if isinstance(value, Mapping) else value:
            yield from sources_in(item)


_MOVED = {"name": "metadata.name"}  # keys that are often put elsewhere, and their right place
_ABOUT = ("title", "description", "default", "examples", "deprecated", "readOnly", "writeOnly")
_KEPT_WORDS = ("x-unit", "x-secret", "x-key")  # the validator knows these
_SINGLE = ("items", "additionalProperties", "if", "then", "else", "not")
_LISTS = ("allOf", "anyOf", "oneOf")


def spec_schema(source: Mapping[str, Any]) -> dict[str, Any]:
    """Return the JSON Schema of the `spec` of a kind, given its kind file."""
    return {"$schema": DIALECT, **_plain(source), "x-moved": _MOVED}


def advice_schema(source: Mapping[str, Any]) -> dict[str, Any]:
    """Return the schema of the rules in `x-advice` alone, at any depth; {} where there are none."""
    below = {name: found for name, child in source.get("properties", {}).items() if (found := advice_schema(child))}
    items = advice_schema(source["items"]) if "items" in source else {}
    rules = {"allOf": source["x-advice"]} if "x-advice" in source else {}
    return {**rules, **({"properties": below} if below else {}), **({"items": items} if items else {})}


def _plain(schema: Any) -> Any:
    """Return *schema* with own keywords translated to JSON Schema, without those that do not validate."""
    if not isinstance(schema, Mapping):
        return schema
    about = {word: schema[word] for word in _ABOUT if word in schema}
    if schema.get("x-secret") is True:
        return {**about, **VALUE_FROM, "x-secret": True}
    plain: dict[str, Any] = {}
    for word, value in schema.items():
        if word in _KEPT_WORDS or not word.startswith(("x-", "$")):
            plain[word] = _plain_value(word, value)
    if schema.get("x-unit") in PATTERNS and schema.get("type") == "integer":
        plain |= {"type": ["integer", "string"], "pattern": PATTERNS[schema["x-unit"]]}
    if schema.get("type") == "object" and "oneOf" in schema:
        plain["x-variants"] = "type"
    if schema.get("x-key") == []:
        plain["uniqueItems"] = True
    if schema.get("x-from-file"):
        return {
            **about,
            "anyOf": [{w: v for w, v in plain.items() if w not in about}, {**VALUE_FROM}],
            "x-from-file": True,
        }
    if schema.get("x-secret") == "embedded":
        text = {word: value for word, value in plain.items() if word not in about and word != "x-secret"}
        return {**about, "anyOf": [text, {**VALUE_FROM}], "x-secret": "embedded"}
    return plain


def _plain_value(word: str, value: Any) -> Any:
    if word == "properties":
        return {name: _plain(child) for name, child in value.items()}
    if word in _LISTS:
        return [_plain(child) for child in value]
    return _plain(value) if word in _SINGLE else value


_LABEL = {"type": "string", "maxLength": 255}
_LABELS = {
    "type": "object",
    "propertyNames": {"type": "string", "pattern": "^[A-Za-z0-9][A-Za-z0-9._/-]*$", "maxLength": 255},
    "additionalProperties": _LABEL,
}
_CLUSTER_NAME = {"type": "string", "pattern": "^[A-Za-z0-9][A-Za-z0-9._-]*$", "maxLength": 255}
_NAME = {"type": "string", "minLength": 1, "maxLength": 255}

_METADATA: Mapping[str, Any] = {
    "type": "object",
    "properties": {
        "name": {**_NAME, "description": "The object's name in the cluster."},
        "labels": {**_LABELS, "description": "Labels of the manifest; not sent to the cluster."},
        "cluster": {**_CLUSTER_NAME, "description": "The cluster of the project file that the manifest applies to."},
        "clusters": {
            "type": "array",
            "items": _CLUSTER_NAME,
            "minItems": 1,
            "uniqueItems": True,
            "description": "The clusters of the project file that the manifest applies to.",
        },
        "clusterSelector": {
            **_LABELS,
            "minProperties": 1,
            "description": "The manifest applies to every cluster of the project file with these labels.",
        },
        "protect": {
            "type": "boolean",
            "description": "Only --allow-destroy consents to deleting or replacing the object.",
        },
        "allow": {
            "type": "array",
            "items": {"enum": list(CONSENT)},
            "minItems": 1,
            "uniqueItems": True,
            "description": "Impacts consented to, as far as allowedImpacts in the project file permits it.",
        },
        "state": {"enum": ["absent"], "description": "A tombstone: the object is deleted."},
        "renamedFrom": {**_NAME, "description": "The current name of the object, which is to be renamed."},
        "ignore": {
            "type": "array",
            "items": {"type": "string", "minLength": 1, "maxLength": 255},
            "uniqueItems": True,
            "description": "Fields of spec that are neither compared nor written.",
        },
        "suspend": {"type": "boolean", "description": "Do not change the object for now; each plan lists it as held."},
        "freeze": {
            "type": "array",
            "minItems": 1,
            "maxItems": 20,
            "items": {
                "type": "object",
                "properties": {
                    "name": {**_NAME, "description": "The name shown in plans."},
                    "cron": {
                        "type": "string",
                        "minLength": 9,
                        "maxLength": 255,
                        "description": "Start of the window: minute hour day month weekday.",
                    },
                    "duration": {
                        "type": "string",
                        "pattern": "^[0-9]{1,9}(s|m|h|d)$",
                        "description": "How long it lasts.",
                    },
                    "timeZone": {
                        "type": "string",
                        "pattern": "^[A-Za-z0-9+_/-]{1,64}$",
                        "description": "A time zone such as Europe/Berlin; the default is UTC.",
                    },
                    "effect": {
                        "enum": ["deny", "allow"],
                        "description": "deny: no changes in such windows; allow: changes in such windows only.",
                    },
                },
                "required": ["cron", "duration"],
                "additionalProperties": False,
            },
            "description": "Windows in which changes are denied, or the only ones with changes allowed; deny wins.",
        },
    },
    "required": ["name"],
    "additionalProperties": False,
    "allOf": [
        {
            "description": "only one of cluster, clusters and clusterSelector can be given",
            "not": {"type": "object", "required": pair},
        }
        for pair in (["cluster", "clusters"], ["cluster", "clusterSelector"], ["clusters", "clusterSelector"])
    ],
}


def _of_kind(name: str) -> dict[str, Any]:
    return {"type": "object", "properties": {"kind": {"const": name}}, "required": ["kind"]}


def envelope(names: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Return the schema of a manifest around its spec; *names* gives the schema of metadata.name for each kind."""
    tombstone = {"properties": {"metadata": {"properties": {"state": {"const": "absent"}}, "required": ["state"]}}}
    return {
        "$schema": DIALECT,
        "title": "A manifest",
        "type": "object",
        "properties": {
            "apiVersion": {"const": API_VERSION},
            "kind": {"enum": list(names)},
            "metadata": dict(_METADATA),
            "spec": {"type": "object"},
        },
        "required": ["apiVersion", "kind", "metadata"],
        "additionalProperties": False,
        "x-moved": _MOVED,
        "allOf": [
            {
                "description": "only a tombstone (state: absent) has no spec",
                "if": tombstone,
                "else": {"required": ["spec"]},
            },
            *(
                {"if": _of_kind(kind), "then": {"properties": {"metadata": {"properties": {"name": schema}}}}}
                for kind, schema in names.items()
            ),
        ],
    }


def manifest(around: Mapping[str, Any], specs: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Return the schema of a whole manifest in standard keywords only, for editors."""
    rules = [{"if": _of_kind(kind), "then": {"properties": {"spec": {"$ref": f"#/$defs/{kind}"}}}} for kind in specs]
    return {
        **_for_editors(around),
        "allOf": [*_for_editors(around["allOf"]), *rules],
        "$defs": {kind: _for_editors({**spec, "$schema": None}) for kind, spec in specs.items()},
    }


def _for_editors(schema: Any) -> Any:
    if isinstance(schema, Mapping):
        return {
            word: _for_editors(value)
            for word, value in schema.items()
            if value is not None and not word.startswith("x-")
        }
    return [_for_editors(value) for value in schema] if isinstance(schema, list) else schema
