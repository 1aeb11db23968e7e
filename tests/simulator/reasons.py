"""What is tried to see every error code that is listed for an operation, beside what `attempts` tries for statuses."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from reconciler.simulator.cluster import pem
from tests.simulator.makings import (
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
from tests.simulator.worlds import GIB, LOGIN, Try, World

OUTDATED, GOOD = (pem.make("client", now, 1).certificate for now in (0, 4e9))
TAGS = [{"key": "a", "value": "1"}, {"key": "a", "value": "2"}]
SHARDED = {"sharding": True, "shard_key_regex": [{"regex": ".*"}]}
ALONE = {"settings": {"switches": {"quorum": "ignored"}}, "before": (dead(2), dead(3))}
RACKS = {"rack_aware": True}


def fault(status: int, code: str) -> Callable[[World], Any]:
    """Return what lets the next call be refused with a *code* that only circumstances give."""
    return lambda world: world.core.faults.add("code", status=status, error_code=code)


def certified(*certificates: str) -> dict[str, Any]:
    return {"authentication_ssl_client_certs": [{"client_cert": text} for text in certificates]}


def one_rack(world: World) -> None:
    """Let the cluster know of racks, with all of its nodes in one."""
    for node in world.core.state.nodes.values():
        node.set(rack_id="a")
    world("PUT", "/v1/cluster/policy", RACKS)


def old(world: World) -> None:
    """Let the database be of a Redis that is no longer offered, as after an upgrade of the cluster."""
    world.core.state.bdbs[1].set(redis_version="3.2")


def bring(world: World, **about: Any) -> str:
    """Bring a module along in the way that this version has; return its uid."""
    if world.settings["server_version"] >= "8":
        about.pop("min_redis_pack_version", None)  # a field of older servers
        made = world("POST", "/v2/modules/user-defined", {**MINE, **about})
    else:
        made = world.try_("POST", "/v2/modules", module(**{"capabilities": [], **about}), content=FORM)
    assert made.status == 200, made.json()
    return str(made.json()["uid"])


def unable(world: World) -> None:
    """Let the database have a module of the user's own that can do nothing special."""
    bring(world)
    made = world("POST", "/v1/bdbs", {"name": "new", "memory_size": GIB, "module_list": [{"module_name": "mine"}]})
    assert (made.status, made.json()["uid"]) == (200, 3)
    world.clock.sleep(60)


def another(version: str, **about: Any) -> Callable[[World], Any]:
    """Return a maker of the body that moves the module `search` to a *version* that is brought along."""

    def body(world: World) -> Any:
        held = world("GET", "/v1/bdbs/1").json()["module_list"]
        now = next(item["module_id"] for item in held if item["module_name"] == "search")
        new = bring(world, module_name="search", semantic_version=version, **about)
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


def created(wrap: Callable[[Any], Any]) -> tuple[Try, ...]:
    """Return what is tried on a creation; *wrap* makes the body from the fields of the database."""

    def body(fields: Mapping[str, Any]) -> Any:
        return wrap({"name": "new", "memory_size": GIB, **fields})

    return (
        *(Try(body(fields)) for fields in NEW),
        Try(wrap({"name": "new"})),
        Try(body({}), before=(refused,)),
        Try(body({"replication": True}), **ALONE),
        Try(body({**RACKS, "replication": True}), before=(one_rack,), settings=RACKS),
        Try(body({**SHARDED, "module_list": [{"module_name": "mine"}]}), before=(bring,)),
        Try(
            body({}),
            headers={"cluster-state-id": "1"},
            settings={"switches": {"state_id_guard": "all"}},
        ),
    )


def changed(tail: str) -> tuple[Try, ...]:
    """Return what is tried on a change; the path ends in *tail*."""
    own = local("/v1/bdbs/{}" + tail)
    return (
        *(Try(fields, f"/v1/bdbs/1{tail}") for fields in (*FIELDS, {"rack_aware": True})),
        *(Try(fields, own) for fields in ({"name": "other"}, {"replication": False}, SHARDED)),
        Try({"replication": True}, f"/v1/bdbs/2{tail}", **ALONE),
        Try({"replication": True, "memory_size": 1}, f"/v1/bdbs/2{tail}"),
        Try({"eviction_policy": "allkeys-lfu"}, f"/v1/bdbs/1{tail}", before=(old,)),
        Try({"roles_permissions": [{"role_uid": 1, "redis_acl_uid": 1}]}, f"/v1/bdbs/1{tail}", before=(old,)),
        Try({"backup": True, "backup_interval": 3600}, f"/v1/bdbs/3{tail}", before=(unable,)),
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
        (dead(3), lambda world: world.core.state.nodes[3].set(total_memory=1 << 60)),
        {},
    ),
)


def validated() -> tuple[Try, ...]:
    return tuple(
        Try(body, f"/v1/bootstrap/validate/{action}", before=before, node=4, settings={"outside": 1, **settings})
        for action, body, before, settings in BOOTSTRAPS
    )


def _begun(action: str, body: Any, code: str = "") -> Callable[[World], Any]:
    def begin(world: World) -> None:
        if code:
            world.core.faults.add("fail", error_code=code)
        assert world.try_("POST", f"/v1/bootstrap/{action}", body, node=4).status == 200

    return begin


def bootstrapped() -> tuple[Try, ...]:
    codes = ("insufficient_node_flash", "internal_error", "node_config_mismatch")
    told = (*codes, "socket_directory_mismatch", "time_not_sync")
    wrong = [
        Try(before=(*before, _begun(action, body)), node=4, wait=60, settings={"outside": 1, **settings})
        for action, body, before, settings in BOOTSTRAPS
    ]
    more = [
        Try(before=(_begun("join_cluster", JOIN, code),), node=4, wait=60, settings={"outside": 1}) for code in told
    ]
    return (*wrong, *more)


def stepped(path: str) -> tuple[Try, ...]:
    """Return what shows tasks of nodes that have failed, at *path*."""

    def failing(world: World) -> None:
        world.core.faults.add("fail")
        world("POST", "/v1/nodes/1/actions/maintenance_on", {})

    full = (dead(2), dead(3), ("POST", "/v1/nodes/1/actions/maintenance_on", {}))
    settings = {"switches": {"quorum": "ignored"}}
    return (Try(path=path, before=(failing,), wait=60), Try(path=path, before=full, wait=60, settings=settings))


TASK = "/v1/nodes/1/actions"
TAKEN = {"email": "w@example.com"}
STRICT = ("PUT", "/v1/cluster", {"password_complexity": True})
SAME: Mapping[str, Any] = {"settings": {"switches": {"same_password": "refuse"}}}
QUERY = {"base": "dc=a", "filter": "(cn=%u)", "scope": "one"}
CONFIG = (Try({"modules": [{"module_name": "search", "module_args": "A"}]}),)
MOVES = (
    Try(another("0.0.1")),
    Try(another("99.0.0", min_redis_version="99")),
    Try(another("99.0.0", min_redis_pack_version="99")),
    Try(another("99.0.0")),
)
OTHER = {"username": "weak", "new_password": "weak"}


def last_admin(world: World) -> None:
    """Let the one admin be so by a role of its own."""
    made = world("POST", "/v1/roles", {"name": "king", "management": "admin"}).json()
    assert world("PUT", "/v1/users/1", {"role_uids": [made["uid"]]}).status == 200


def _audited(world: World) -> None:
    world("PUT", "/v1/cluster/auditing/db_conns", AUDIT)
    assert world("PUT", "/v1/bdbs/1", {"db_conns_auditing": True}).status == 200


MAPPING = {"name": "new", "dn": "cn=a,dc=b", "role_uids": [2]}
MAPPINGS = ({"dn": ""}, {"name": "<"}, {"role_uids": []}, {"account_id": "x"})

REASONS: Mapping[str, tuple[Try, ...]] = {
    "POST /v1/bdbs": created(lambda fields: fields),
    "POST /v2/bdbs": created(lambda fields: {"bdb": fields}),
    "PUT /v1/bdbs/{uid}": changed(""),
    "PUT /v1/bdbs/{uid}/{action}": (*changed("/flush"), Try({}, local("/v1/bdbs/{}/reset_admin_pass"))),
    "POST /v1/bdbs/{uid}/modules/config": CONFIG,
    "POST /v1/modules/config/bdb/{uid}": CONFIG,
    "POST /v1/bdbs/{uid}/modules/upgrade": MOVES,
    "POST /v1/modules/upgrade/bdb/{uid}": MOVES,
    "GET /v1/bootstrap": bootstrapped(),
    "POST /v1/bootstrap/validate/{action}": validated(),
    "PUT /v1/cluster": (
        Try({"debuginfo_path": "x"}),
        Try({"cm_port": 9443}),
        Try({}, before=(fault(400, "config_edit_conflict"),)),
    ),
    "DELETE /v1/cluster/auditing/db_conns": (Try(before=(_audited,)),),
    "PUT /v1/cluster/ldap": (Try({"user_dn_template": "cn=%u", "user_dn_query": QUERY}),),
    "POST /v1/ldap_mappings": tuple(Try({**MAPPING, **wrong}) for wrong in MAPPINGS),
    "PUT /v1/ldap_mappings/{uid}": tuple(Try(wrong) for wrong in MAPPINGS),
    "GET /v1/nodes/{node_uid}/actions": stepped(TASK),
    "GET /v1/nodes/{node_uid}/actions/{action}": stepped(f"{TASK}/maintenance_on"),
    "PUT /v1/nodes/{uid}": (
        Try({"rack_id": "b"}, before=(("PUT", "/v1/nodes/1", {"rack_id": "a"}),)),
        Try({"accept_servers": True}, before=(fault(406, "invalid_oss_cluster_port_mapping"),)),
    ),
    "PUT /v1/ocsp": (Try({"ocsp_functionality": True}),),
    "GET /v1/ocsp/status": (Try(before=(fault(500, "invalid_ocsp_response"),)),),
    "POST /v1/ocsp/test": tuple(
        Try(before=(fault(500, code),)) for code in ("invalid_ocsp_response", "task_queued_for_too_long")
    ),
    "POST /v1/redis_acls": (Try({"name": "new", "acl": "!"}),),
    "POST /v1/redis_acls/validate": (Try({"name": "new", "acl": "!"}),),
    "PUT /v1/redis_acls/{uid}": (
        Try(
            {"name": "acl"},
            "/v1/redis_acls/5",
            before=(("POST", "/v1/redis_acls", {"name": "more", "acl": "+@all"}),),
        ),
    ),
    "PUT /v1/roles/{uid}": (Try({"management": "none"}, "/v1/roles/8", before=(last_admin,)),),
    "POST /v1/users": (Try({**USER, **TAKEN}), Try(USER, before=(STRICT,))),
    "PUT /v1/users/{uid}": (
        Try(TAKEN),
        Try({"password": "short"}, before=(STRICT,)),
        Try({"password": "weak"}, "/v1/users/2", **SAME),
    ),
    "POST /v1/users/authorize": (
        Try(
            {},
            before=(("PUT", "/v1/cluster", {"password_expiration_duration": 1}),),
            wait=2 * 86400,
        ),
    ),
    "DELETE /v1/users/password": (Try({"old_password": "weak"}, login=WEAK),),
    **{
        f"{method} /v1/users/password": (Try(OTHER, before=(STRICT,)), Try(OTHER, **SAME)) for method in ("POST", "PUT")
    },
    "GET /v1/bdbs/{uid}/availability": (
        Try(before=(lambda world: world.core.state.bdbs[1].set(status="recovery"),)),
        Try(before=(lambda world: world.core.state.bdbs[1].hidden.update(stopped=True),)),
        *(
            Try(path="/v1/bdbs/2/availability", before=(dead(uid),), node=node)
            for uid, node in ((1, 2), (2, 1), (3, 1))
        ),
        Try(before=(dead(2), dead(3))),
    ),
    "GET /v1/local/bdbs/{uid}/endpoint/availability": (Try(before=(dead(2), dead(3))),),
    "POST /v1/shards/actions/failover": tuple(Try({"shard_uids": uids}) for uids in (["1", "3"], ["2"], ["99"])),
    "POST /v1/shards/{uid}/actions/failover": (Try({}, "/v1/shards/2/actions/failover"),),
    "DELETE /v1/cluster/sso": (Try(before=(fault(500, "delete_certificate_error"),)),),
    "POST /v1/cluster/sso/saml/metadata/idp": (
        Try({"idp_metadata": METADATA[:9]}, before=(_set_certificate("sso_service"),)),
    ),
    "GET /v1/cluster/sso/saml/metadata/sp": (Try(before=(fault(500, "saml_metadata_generation_error"),)),),
}

# (operation, error code): why no call is answered so.
NEVER: Mapping[tuple[str, str], str] = {
    ("POST /v1/bdb_groups", "uid_exists"): "the server alone gives uids to groups",
    ("PUT /v1/bdbs/{uid}", "not_supported_action_on_crdt"): "said of reset_admin_pass, which has a path of its own",
}
