"""The DNS suffixes of the cluster. The API reads, changes and deletes them; only a bootstrap could create them."""

from __future__ import annotations

from collections.abc import Iterable

from reconciler.simulator.api.fields import schema_error
from reconciler.simulator.api.messages import ApiError, Json
from reconciler.simulator.resources.collection import Collection, Fields
from reconciler.simulator.resources.collection_registry import serve
from reconciler.simulator.resources.operation import Operation
from reconciler.simulator.state.model import ClusterState
from reconciler.simulator.state.records import ObjectRecord


def _initial(state: ClusterState) -> Iterable[Fields]:
    flags = {"default": True, "internal": False, "mdns": False, "use_aaaa_ns": False}
    yield {**flags, "name": state.cluster.fields["name"], "slaves": []}


def _parse(collection: Collection, state: ClusterState, body: Json, record: ObjectRecord | None) -> Fields:
    """Return the flags and secondaries in *body*; each must keep its type."""
    if not isinstance(body, dict):
        raise schema_error("body", "expected an object")
    known = record.fields if record is not None else {}
    for field, value in body.items():
        if field not in known or field == "name" or not isinstance(value, type(known[field])):
            raise schema_error(field, "unknown field, read-only field, or wrong type")
    return dict(body)


def _guard(state: ClusterState, record: ObjectRecord, verb: str) -> None:
    if verb == "delete" and record.fields["default"]:
        raise ApiError(400, "invalid_param", "the default suffix cannot be deleted")


_READ, _WRITE = "view_cluster_info", "update_cluster"

SUFFIXES = Collection(
    "suffix",
    "/v1/suffixes",
    "suffix",
    {
        "list": Operation(_READ),
        "get": Operation(_READ),
        "update": Operation(
            _WRITE, (200, 400, 404), (), columns={"since": "8.0", "source": "observed", "body": "any", "answer": ""}
        ),
        "delete": Operation(_WRITE, (200, 400, 404), ("invalid_param",), columns={"source": "observed", "answer": ""}),
    },
    item_path="/v1/suffix/{name}",
    id_field="name",
    update_method="PATCH",
    initial=_initial,
    parse=_parse,
    guard=_guard,
)

serve(SUFFIXES)
