"""Cases that provoke the documented error codes of operations, in addition to those of `cases`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from reconciler.simulator.cluster import pem
from tests.simulator.clusters import GIB, LOGIN, Case, FilledCluster
from tests.simulator.request_bodies import (
    AUDIT,
    CREATE,
    FORM,
    METADATA,
    MINE,
    USER,
    WEAK,
    _set_certificate,
    dead,
    local,
    module,
    refused,
)

OUTDATED, GOOD = (pem.make("client", now, 1).certificate for now in (0, 4e9))
TAGS = [{"key": "a", "value": "1"}, {"key": "a", "value": "2"}]
SHARDED = {"sharding": True, "shard_key_regex": [{"regex": ".*"}]}
ALONE = {"settings": {"switches": {"quorum": "ignored"}}, "before": (dead(2), dead(3))}
RACKS = {"rack_aware": True}


def fault(status: int, code: str) -> Callable[[FilledCluster], Any]:
    """Return what lets the next call be refused with a *code* that only circumstances give."""
    return lambda cluster: cluster.core.faults.add("code", status=status, error_code=code)


def certified(*certificates: str) -> dict[str, Any]:
    return {"authentication_ssl_client_certs": [{"client_cert": text} for text in certificates]}


def one_rack(cluster: FilledCluster) -> None:
    """Let the cluster know of racks, with all of its nodes in one."""
    for node in cluster.core.state.nodes.values():
        node.set(rack_id="a")
    cluster("PUT", "/v1/cluster/policy", RACKS)


def old(cluster: FilledCluster) -> None:
    """Let the database be of a Redis that is no longer offered, as after an upgrade of the cluster."""
    cluster.core.state.bdbs[1].set(redis_version="3.2")


def bring(cluster: FilledCluster, **about: Any) -> str:
    """Bring a module along in the way that this version has; return its uid."""
    if cluster.settings["server_version"] >= "8":
        about.pop("min_redis_pack_version", None)  # a field of older servers
        made = cluster("POST", "/v2/modules/user-defined", {**MINE, **about})
    else:
        made = cluster.send("POST", "/v2/modules", module(**{"capabilities": [], **about}), content=FORM)
    assert made.status == 200, made.json()
    return str(made.json()["uid"])


def unable(cluster: FilledCluster) -> None:
    """Let the database have a module of the user's own that can do nothing special."""
    bring(cluster)
    made = cluster("POST", "/v1/bdbs", {"name": "new", "memory_size": GIB, "module_list": [{"module_name": "mine"}]})
    assert (made.status, made.json()["uid"]) == (200, 3)
    cluster.clock.sleep(60)


def another(version: str, **about: Any) -> Callable[[FilledCluster], Any]:
    """Return a maker of the body that moves the module `search` to a *version* that is brought along."""

    def body(cluster: FilledCluster) -> Any:
        held = cluster("GET", "/v1/bdbs/1").json()["module_list"]
        now = next(item["module_id"] for item in held if item["module_name"] == "search")
        new = bring(cluster, module_name="search", semantic_version=version, **about)
        return {"modules": [{"current_module": now, "new_module": new}]}

    return body


# Fields that a database cannot have, new or changed.
FIELDS: tuple[dict[str, Any], ...] = (
    {"shards_blueprint": [{"slot_range": "0-1", "nodes": []}]},
    certified(OUTDATED),
    certified("nothing"),
    certified(GOOD, GOOD),
    {"tags": TAGS},
    {"oss_cluster": True, "proxy_policy": "single"},
    {"proxy_policy": "some"},
    {"backup": True, "backup_interval": 0},
    {"memory_size": 1 << 60},
)
NEW: tuple[dict[str, Any], ...] = (
    *FIELDS,
    {"crdt": True, "eviction_policy": "allkeys-lrm"},
    {"crdt": True, "eviction_policy": "allkeys-lfu", "type": "memcached"},
    {"crdt": True, "replication": False},
    {"data_persistence": "snapshot"},
    {"type": "memcached", "authentication_sasl_uname": "a"},
    {"type": "memcached", "module_list": [{"module_name": "bf"}]},
    {"type": "memcached", "roles_permissions": [{"role_uid": 1, "redis_acl_uid": 1}]},
    {"shards_count": 2},
    {"redis_version": "3.0"},
    {"module_list": [{"module_name": "graph"}]},
    {"rack_aware": True},
    {"port": 9443},
)


def created(wrap: Callable[[Any], Any]) -> tuple[Case, ...]:
    """Return what is tried on a creation; *wrap* makes the body from the fields of the database."""

    def body(fields: Mapping[str, Any]) -> Any:
        return wrap({"name": "new", "memory_size": GIB, **fields})

    return (
        *(Case(body(fields)) for fields in NEW),
        Case(wrap({"name": "new"})),
        Case(body({}), before=(refused,)),
        Case(body({"replication": True}), **ALONE),
        Case(body({**RACKS, "replication": True}), before=(one_rack,), settings=RACKS),
        Case(body({**SHARDED, "module_list": [{"module_name": "mine"}]}), before=(bring,)),
        Case(
            body({}),
            headers={"cluster-state-id": "1"},
            settings={"switches": {"state_id_guard": "all"}},
        ),
    )


def changed(tail: str) -> tuple[Case, ...]:
    """Return what is tried on a change; the path ends in *tail*."""
    own = local("/v1/bdbs/{}" + tail)
    return (
        *(Case(fields, f"/v1/bdbs/1{tail}") for fields in (*FIELDS, {"rack_aware": True})),
        *(Case(fields, own) for fields in ({"name": "other"}, {"replication": False}, SHARDED)),
        Case({"replication": True}, f"/v1/bdbs/2{tail}", **ALONE),
        Case({"replication": True, "memory_size": 1}, f"/v1/bdbs/2{tail}"),
        Case({"eviction_policy": "allkeys-lfu"}, f"/v1/bdbs/1{tail}", before=(old,)),
        Case({"roles_permissions": [{"role_uid": 1, "redis_acl_uid": 1}]}, f"/v1/bdbs/1{tail}", before=(old,)),
        Case({"backup": True, "backup_interval": 3600}, f"/v1/bdbs/3{tail}", before=(unable,)),
    )


JOIN = {"cluster": {"nodes": ["10.20.0.11"]}, "credentials": LOGIN}
BOOTSTRAPS: tuple[tuple[str, Any, tuple[Any, ...], dict[str, Any]], ...] = (
    ("create_cluster", {"cluster": {"name": "_"}}, (), {}),
    ("create_cluster", {**CREATE, "license": "broken"}, (), {}),
    ("create_cluster", {**CREATE, "node": {"paths": {"persistent_path": "x"}}}, (), {}),
    ("join_cluster", {**JOIN, "cluster": {"nodes": ["10.20.0.99"]}}, (), {}),
    ("join_cluster", {**JOIN, "credentials": {**LOGIN, "password": "no"}}, (), {}),
    ("join_cluster", JOIN, (dead(3),), {}),
    ("join_cluster", JOIN, (), RACKS),
    (
        "join_cluster",
        {**JOIN, "node": {"identity": {"uid": 3}}},
        (dead(3), lambda cluster: cluster.core.state.nodes[3].set(total_memory=1 << 60)),
        {},
    ),
)


def validated() -> tuple[Case, ...]:
    return tuple(
        Case(body, f"/v1/bootstrap/validate/{action}", before=before, node=4, settings={"outside": 1, **settings})
        for action, body, before, settings in BOOTSTRAPS
    )


def _begun(action: str, body: Any, code: str = "") -> Callable[[FilledCluster], Any]:
    def begin(cluster: FilledCluster) -> None:
        if code:
            cluster.core.faults.add("fail", error_code=code)
        assert cluster.send("POST", f"/v1/bootstrap/{action}", body, node=4).status == 200

    return begin


def bootstrapped() -> tuple[Case, ...]:
    codes = ("insufficient_node_flash", "internal_error", "node_config_mismatch")
    told = (*codes, "socket_directory_mismatch", "time_not_sync")
    wrong = [
        Case(before=(*before, _begun(action, body)), node=4, wait=60, settings={"outside": 1, **settings})
        for action, body, before, settings in BOOTSTRAPS
    ]
    more = [
        Case(before=(_begun("join_cluster", JOIN, code),), node=4, wait=60, settings={"outside": 1}) for code in told
    ]
    return (*wrong, *more)


def stepped(path: str) -> tuple[Case, ...]:
    """Return what shows tasks of nodes that have failed, at *path*."""

    def failing(cluster: FilledCluster) -> None:
        cluster.core.faults.add("fail")
        cluster("POST", "/v1/nodes/1/actions/maintenance_on", {})

    full = (dead(2), dead(3), ("POST", "/v1/nodes/1/actions/maintenance_on", {}))
    settings = {"switches": {"quorum": "ignored"}}
    return (Case(path=path, before=(failing,), wait=60), Case(path=path, before=full, wait=60, settings=settings))


TASK = "/v1/nodes/1/actions"
TAKEN = {"email": "w@example.com"}
STRICT = ("PUT", "/v1/cluster", {"password_complexity": True})
SAME: Mapping[str, Any] = {"settings": {"switches": {"same_password": "refuse"}}}
QUERY = {"base": "dc=a", "filter": "(cn=%u)", "scope": "one"}
CONFIG = (Case({"modules": [{"module_name": "search", "module_args": "A"}]}),)
MOVES = (
    Case(another("0.0.1")),
    Case(another("99.0.0", min_redis_version="99")),
    Case(another("99.0.0", min_redis_pack_version="99")),
    Case(another("99.0.0")),
)
OTHER = {"username": "weak", "new_password": "weak"}


def last_admin(cluster: FilledCluster) -> None:
    """Let the one admin be so by a role of its own."""
    made = cluster("POST", "/v1/roles", {"name": "king", "management": "admin"}).json()
    assert cluster("PUT", "/v1/users/1", {"role_uids": [made["uid"]]}).status == 200


def _audited(cluster: FilledCluster) -> None:
    cluster("PUT", "/v1/cluster/auditing/db_conns", AUDIT)
    assert cluster("PUT", "/v1/bdbs/1", {"db_conns_auditing": True}).status == 200


MAPPING = {"name": "new", "dn": "cn=a,dc=b", "role_uids": [2]}
MAPPINGS = ({"dn": ""}, {"name": "<"}, {"role_uids": []}, {"account_id": "x"})

REASONS: Mapping[str, tuple[Case, ...]] = {
    "POST /v1/bdbs": created(lambda fields: fields),
    "POST /v2/bdbs": created(lambda fields: {"bdb": fields}),
    "PUT /v1/bdbs/{uid}": changed(""),
    "PUT /v1/bdbs/{uid}/{action}": (*changed("/flush"), Case({}, local("/v1/bdbs/{}/reset_admin_pass"))),
    "POST /v1/bdbs/{uid}/modules/config": CONFIG,
    "POST /v1/modules/config/bdb/{uid}": CONFIG,
    "POST /v1/bdbs/{uid}/modules/upgrade": MOVES,
    "POST /v1/modules/upgrade/bdb/{uid}": MOVES,
    "GET /v1/bootstrap": bootstrapped(),
    "POST /v1/bootstrap/validate/{action}": validated(),
    "PUT /v1/cluster": (
        Case({"debuginfo_path": "x"}),
        Case({"cm_port": 9443}),
        Case({}, before=(fault(400, "config_edit_conflict"),)),
    ),
    "DELETE /v1/cluster/auditing/db_conns": (Case(before=(_audited,)),),
    "PUT /v1/cluster/ldap": (Case({"user_dn_template": "cn=%u", "user_dn_query": QUERY}),),
    "POST /v1/ldap_mappings": tuple(Case({**MAPPING, **wrong}) for wrong in MAPPINGS),
    "PUT /v1/ldap_mappings/{uid}": tuple(Case(wrong) for wrong in MAPPINGS),
    "GET /v1/nodes/{node_uid}/actions": stepped(TASK),
    "GET /v1/nodes/{node_uid}/actions/{action}": stepped(f"{TASK}/maintenance_on"),
    "PUT /v1/nodes/{uid}": (
        Case({"rack_id": "b"}, before=(("PUT", "/v1/nodes/1", {"rack_id": "a"}),)),
        Case({"accept_servers": True}, before=(fault(406, "invalid_oss_cluster_port_mapping"),)),
    ),
    "PUT /v1/ocsp": (Case({"ocsp_functionality": True}),),
    "GET /v1/ocsp/status": (Case(before=(fault(500, "invalid_ocsp_response"),)),),
    "POST /v1/ocsp/test": tuple(
        Case(before=(fault(500, code),)) for code in ("invalid_ocsp_response", "task_queued_for_too_long")
    ),
    "POST /v1/redis_acls": (Case({"name": "new", "acl": "!"}),),
    "POST /v1/redis_acls/validate": (Case({"name": "new", "acl": "!"}),),
    "PUT /v1/redis_acls/{uid}": (
        Case(
            {"name": "acl"},
            "/v1/redis_acls/5",
            before=(("POST", "/v1/redis_acls", {"name": "more", "acl": "+@all"}),),
        ),
    ),
    "PUT /v1/roles/{uid}": (Case({"management": "none"}, "/v1/roles/8", before=(last_admin,)),),
    "POST /v1/users": (Case({**USER, **TAKEN}), Case(USER, before=(STRICT,))),
    "PUT /v1/users/{uid}": (
        Case(TAKEN),
        Case({"password": "short"}, before=(STRICT,)),
        Case({"password": "weak"}, "/v1/users/2", **SAME),
    ),
    "POST /v1/users/authorize": (
        Case(
            {},
            before=(("PUT", "/v1/cluster", {"password_expiration_duration": 1}),),
            wait=2 * 86400,
        ),
    ),
    "DELETE /v1/users/password": (Case({"old_password": "weak"}, login=WEAK),),
    **{
        f"{method} /v1/users/password": (Case(OTHER, before=(STRICT,)), Case(OTHER, **SAME))
        for method in ("POST", "PUT")
    },
    "GET /v1/bdbs/{uid}/availability": (
        Case(before=(lambda cluster: cluster.core.state.bdbs[1].set(status="recovery"),)),
        Case(before=(lambda cluster: cluster.core.state.bdbs[1].hidden.update(stopped=True),)),
        *(
            Case(path="/v1/bdbs/2/availability", before=(dead(uid),), node=node)
            for uid, node in ((1, 2), (2, 1), (3, 1))
        ),
        Case(before=(dead(2), dead(3))),
    ),
    "GET /v1/local/bdbs/{uid}/endpoint/availability": (Case(before=(dead(2), dead(3))),),
    "POST /v1/shards/actions/failover": tuple(Case({"shard_uids": uids}) for uids in (["1", "3"], ["2"], ["99"])),
    "POST /v1/shards/{uid}/actions/failover": (Case({}, "/v1/shards/2/actions/failover"),),
    "DELETE /v1/cluster/sso": (Case(before=(fault(500, "delete_certificate_error"),)),),
    "POST /v1/cluster/sso/saml/metadata/idp": (
        Case({"idp_metadata": METADATA[:9]}, before=(_set_certificate("sso_service"),)),
    ),
    "GET /v1/cluster/sso/saml/metadata/sp": (Case(before=(fault(500, "saml_metadata_generation_error"),)),),
}

# (operation, error code): why no call is answered so.
NEVER: Mapping[tuple[str, str], str] = {
    ("POST /v1/bdb_groups", "uid_exists"): "the server alone gives uids to groups",
    ("PUT /v1/bdbs/{uid}", "not_supported_action_on_crdt"): "said of reset_admin_pass, which has a path of its own",
}
