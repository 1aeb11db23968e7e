"""Groups of databases that share memory."""

from __future__ import annotations

from reconciler.simulator.resources.collection import Collection, Fields, ReferencedBy
from reconciler.simulator.resources.collection_registry import serve
from reconciler.simulator.resources.operation import Operation
from reconciler.simulator.state.model import ClusterState


def _view(state: ClusterState, fields: Fields) -> Fields:
    members = [str(uid) for uid, other in state.bdbs.items() if other.fields.get("group_uid") == fields["uid"]]
    return {**fields, "members": members}


_OBSERVED = {"source": "observed"}

GROUPS = Collection(
    "bdb_group",
    "/v1/bdb_groups",
    "group",
    {
        "list": Operation("view_all_bdbs_info", columns=_OBSERVED),
        "get": Operation("view_all_bdbs_info", (200, 400, 404), columns=_OBSERVED),
        "create": Operation("create_bdb", (200, 400, 409), ("uid_exists",), columns=_OBSERVED),
        "update": Operation("update_bdb", (200, 400, 404), columns=_OBSERVED),
        "delete": Operation("delete_bdb", (200, 404, 406), (), columns=_OBSERVED),
    },
    required_code="invalid_schema",
    referenced_by=(ReferencedBy("bdb", "group_uid"),),
    reference_code="not_acceptable",
    computed=frozenset({"members"}),
    view=_view,
)

serve(GROUPS)
