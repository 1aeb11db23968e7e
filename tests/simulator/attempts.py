"""What is tried on each operation, beside what is tried on all, to see every answer that is documented for it."""

from __future__ import annotations

from collections.abc import Mapping

from reconciler.simulator.cluster import licenses
from tests.simulator.makings import (
    AUDIT,
    CREATE,
    FORM,
    METADATA,
    MINE,
    PLACE,
    SEARCH,
    SOURCES,
    SSO_ON,
    UPGRADE,
    USER,
    WEAK,
    _busy,
    _module,
    _set_certificate,
    artifact,
    busy,
    certificate,
    certificates,
    custom,
    dead,
    expired,
    foreign_module,
    inactive,
    local,
    module,
    no_license,
    none_left,
    old_snapshot,
    own_certificate,
    refused,
    suffix,
    token,
    uploaded,
    uploads_off,
)
from tests.simulator.worlds import GIB, MEMBERS, SPANNING, Try, World

# What is tried beside `general`; the operations that it covers need no line.
SPECIAL: Mapping[str, tuple[Try, ...]] = {
    "GET /v1/actions": (Try(before=(none_left,)),),
    "GET /v1/license": (Try(before=(no_license,)),),
    "GET /v1/jsonschema": (Try(query={"object": "bdb"}), Try(query={"object": "nonsense"})),
    "GET /v1/cluster/actions": (Try(before=(("POST", "/v1/cluster/actions/change_master", {"node_uid": 2}),)),),
    "GET /v1/cluster/actions/{action}": (
        Try(
            path="/v1/cluster/actions/change_master",
            before=(("POST", "/v1/cluster/actions/change_master", {"node_uid": 2}),),
        ),
    ),
    "DELETE /v1/cluster/actions/{action}": (
        Try(
            path="/v1/cluster/actions/change_master",
            before=(("POST", "/v1/cluster/actions/change_master", {"node_uid": 2}),),
        ),
    ),
    "POST /v1/cluster/actions/{action}": (
        Try({"node_uid": 2}, "/v1/cluster/actions/change_master"),
        Try({"node_uid": 9}, "/v1/cluster/actions/change_master"),
        Try({"node_uid": 2}, "/v1/cluster/actions/change_master", before=(dead(2),)),
        Try(
            {"node_uid": 2},
            "/v1/cluster/actions/change_master",
            before=(("POST", "/v1/cluster/actions/change_master", {"node_uid": 2}),),
        ),
    ),
    "POST /v1/bdb_groups": (Try({"memory_size": GIB}), Try({"memory_size": GIB, "uid": 1})),
    "DELETE /v1/bdb_groups/{uid}": (Try(before=(("PUT", "/v1/bdbs/1", {"group_uid": 1}),)),),
    "POST /v1/bdbs": (
        Try({"name": "new", "memory_size": GIB}),
        Try({"name": "new", "memory_size": GIB, "uid": 1}),
        Try({"name": "new", "memory_size": GIB}, before=(expired,)),
    ),
    "POST /v2/bdbs": (
        Try({"bdb": {"name": "new", "memory_size": GIB}}),
        Try({"bdb": {"name": "new", "memory_size": GIB, "uid": 1}}),
        Try({"bdb": {"memory_size": GIB}}),
    ),
    "PUT /v1/bdbs/{uid}": (*busy({"name": "renamed"}), Try({"redis_version": "1.0"})),
    "PUT /v2/bdbs/{uid}": (*busy({"name": "renamed"}), Try({"redis_version": "1.0"})),
    "DELETE /v1/bdbs/{uid}": busy(None),
    "PUT /v1/bdbs/{uid}/{action}": (
        *(Try({}, "/v1/bdbs/1/flush", before=before) for before in ((), (_busy,))),
        Try({}, "/v1/bdbs/1/flush", login=WEAK),
        Try({"redis_version": "1.0"}, "/v1/bdbs/1/flush"),
    ),
    "POST /v1/bdbs/alerts/{uid}": (Try({"bdb_size": {"enabled": True, "threshold": "x"}}),),
    "GET /v1/bdbs/alerts/{uid}/{alert}": (Try(),),
    "GET /v1/bdbs/replica_sources/alerts/{uid}/{replica_src_id}/{alert}": (
        Try(path="/v1/bdbs/replica_sources/alerts/1/1/bdb_replica_src_syncer_connection_error"),
    ),
    "GET /v1/nodes/alerts/{uid}/{alert}": (
        Try(path=lambda world: f"/v1/nodes/alerts/1/{world.first('/v1/nodes/alerts/1')}"),
    ),
    "POST /v1/bdbs/{uid}/actions/export": (
        *busy({"export_location": PLACE}),
        Try({"export_location": PLACE}, before=(foreign_module,)),
    ),
    "POST /v1/bdbs/{uid}/actions/import": busy(SOURCES),
    "PUT /v1/bdbs/{uid}/actions/export_reset_status": (
        Try({}, before=(foreign_module,)),
        Try({}, before=(("POST", "/v1/bdbs/1/actions/export", {"export_location": PLACE}),)),
    ),
    "PUT /v1/bdbs/{uid}/actions/import_reset_status": (
        Try({}, before=(foreign_module,)),
        Try({}, before=(("POST", "/v1/bdbs/1/actions/import", SOURCES),)),
    ),
    "PUT /v1/bdbs/{uid}/actions/backup_reset_status": (
        Try({}, before=(foreign_module,)),
        Try({}, before=(lambda world: world.core.state.bdbs[1].set(backup_status="exporting"),)),
    ),
    "PUT /v1/bdbs/{uid}/actions/rebalance": (*busy({}), Try({}, query={"max_operations": "x"})),
    "PUT /v1/bdbs/{uid}/actions/revamp": (*busy({}), Try({"memory_size": 1 << 60})),
    "POST /v1/bdbs/{uid}/actions/stop_traffic": busy({}),
    "POST /v1/bdbs/{uid}/actions/resume_traffic": busy({}),
    "POST /v1/bdbs/{uid}/actions/recover": (
        Try({}, before=(lambda world: world.core.state.bdbs[1].set(status="recovery"),)),
    ),
    "GET /v1/bdbs/{uid}/actions/optimize_shards_placement": (Try(query={"memory_size": str(1 << 60)}),),
    "POST /v1/bdbs/{uid}/modules/config": (
        Try(SEARCH),
        Try({"modules": [{"module_name": "ReJSON", "module_args": ""}]}),
    ),
    "POST /v1/modules/config/bdb/{uid}": (
        Try(SEARCH),
        Try({"modules": [{"module_name": "ReJSON", "module_args": ""}]}),
    ),
    "POST /v1/bdbs/{uid}/modules/upgrade": (Try(UPGRADE), Try(_module("search"))),
    "POST /v1/modules/upgrade/bdb/{uid}": (Try(UPGRADE), Try(_module("search"))),
    "POST /v1/bdbs/{uid}/upgrade": (Try({"redis_version": "1.0"}),),
    **{
        f"{method} /v1/bdbs/{{uid}}/passwords": (
            Try({"password": "p"}, before=(("POST", "/v1/bdbs/1/passwords", {"password": "p"}),)),
            Try({"password": "other"}),
        )
        for method in ("POST", "PUT", "DELETE")
    },
    "GET /v1/bdbs/{uid}/availability": (Try(query={"availability_lag_tolerance_ms": "x"}),),
    "GET /v1/local/bdbs/{uid}/endpoint/availability": (
        Try(query={"availability_lag_tolerance_ms": "x"}),
        *(Try(node=node) for node in (1, 2, 3)),
    ),
    "DELETE /v1/cluster/auditing/db_conns": (
        Try(before=(("PUT", "/v1/cluster/auditing/db_conns", AUDIT),)),
        Try(
            before=(
                ("PUT", "/v1/cluster/auditing/db_conns", AUDIT),
                ("PUT", "/v1/cluster/policy", {"db_conns_auditing": True}),
            )
        ),
    ),
    "PUT /v1/cluster/auditing/db_conns": (Try(AUDIT),),
    "GET /v1/cluster/auditing/db_conns": (Try(before=(("PUT", "/v1/cluster/auditing/db_conns", AUDIT),)),),
    "PUT /v1/cluster/certificates": (
        Try(certificates("api")),
        Try(certificates("nothing")),
        Try(certificates("api", -30)),
        Try(certificates("api"), before=(refused,)),
    ),
    "PUT /v1/cluster/update_cert": (
        Try(certificate("api")),
        Try(certificate("nothing")),
        Try(certificate("api", -30)),
        Try({}, before=(refused,)),
    ),
    "DELETE /v1/cluster/certificates/{certificate_name}": (
        Try(path="/v1/cluster/certificates/sso_service", before=(_set_certificate("sso_service"),)),
        Try(path="/v1/cluster/certificates/api"),
    ),
    "POST /v1/cluster/certificates/rotate": (
        Try({"name": "nothing"}),
        Try({"name": "api"}),
        Try({}, before=(refused,)),
    ),
    "PATCH /v1/cluster/change_password_hashing_algorithm": (
        Try({"algorithm": "PBKDF2"}),
        Try({"algorithm": "SHA-256"}),
    ),
    "PUT /v1/cluster/sso": (Try(SSO_ON), Try({"control_plane": True})),
    "POST /v1/cluster/sso/saml/metadata/idp": (
        Try({"idp_metadata": METADATA}),
        Try({"idp_metadata": METADATA}, before=(_set_certificate("sso_service"),)),
    ),
    "GET /v1/cluster/sso/saml/metadata/sp": (Try(before=(_set_certificate("sso_service"),)),),
    "POST /v1/ldap_mappings": (
        Try({"name": "new", "dn": "cn=a,dc=b", "role_uids": [2]}),
        Try({"name": "one", "dn": "cn=a,dc=b", "role_uids": [2]}),
    ),
    "PUT /v1/ldap_mappings/{uid}": (
        Try(
            {"name": "two"},
            before=(("POST", "/v1/ldap_mappings", {"name": "two", "dn": "cn=a,dc=b", "role_uids": [2]}),),
        ),
    ),
    "PUT /v1/license": (
        Try({"license": licenses.make(cluster_name="cluster.local")}),
        Try({"license": licenses.make(cluster_name="other.local")}),
        Try({"license": "nonsense"}),
    ),
    "POST /v1/local/services": (Try({"operation_type": "restart", "services": ["cm_server"]}),),
    "POST /v1/services": (Try({"operation_type": "restart", "services": ["cm_server"]}),),
    "PUT /v1/metrics_config": (Try(lambda world: world("GET", "/v1/metrics_config").json()),),
    "PUT /v1/diagnostics": (Try({}, before=(refused,)),),
    "PUT /v1/job_scheduler": (Try({}, before=(refused,)),),
    "GET /v1/bdbs/certificates": (Try(query={"page": "x"}),),
    "POST /v1/bdbs/{uid}/certificates": (Try(own_certificate()), Try(own_certificate(-30))),
    **{
        f"{method} /v1/bdbs/{{uid}}/certificates": (
            Try(before=(lambda world: world("POST", "/v1/bdbs/1/certificates", own_certificate()(world)),)),
        )
        for method in ("GET", "DELETE")
    },
    "POST /v1/crdbs": (Try(SPANNING), Try({**SPANNING, "instances": MEMBERS[:1] * 2})),
    **{
        f"{operation}": (Try(before=(World.span,)),)
        for operation in (
            *("GET /v1/crdbs/{crdb_guid}", "GET /v1/crdbs/{crdb_guid}/health_report"),
            "GET /v1/crdb_tasks/{task_id}",
        )
    },
    "DELETE /v1/crdbs/{crdb_guid}": (
        Try(before=(World.span,)),
        Try(path="/v1/crdbs/00000000-0000-4000-8000-000000000000"),
    ),
    "PATCH /v1/crdbs/{crdb_guid}": (
        Try({"causal_consistency": True}, before=(World.span,)),
        Try({"default_db_config": {"data_persistence": "snapshot"}}, before=(World.span,)),
        Try([], before=(World.span,)),
    ),
    "PUT /v1/crdbs/{crdb_guid}/flush": (Try({}, before=(World.span,)), Try([], before=(World.span,))),
    "PUT /v1/crdbs/{crdb_guid}/purge": (Try({"instances": [1]}, before=(World.span,)), Try({}, before=(World.span,))),
    "POST /v1/crdbs/{crdb_guid}/updates": (
        Try({"remove_instances": [2]}, before=(World.span,)),
        Try({"remove_instances": [1, 2]}, before=(World.span,)),
        Try([], before=(World.span,)),
    ),
    "POST /v1/crdbs/{crdb_guid}/upgrade": (
        Try({}, before=(World.span,)),
        Try({"redis_version": "1.0"}, before=(World.span,)),
        Try([], before=(World.span,)),
    ),
    "POST /v1/crdb_tasks/{task_id}/actions/cancel": (
        Try({}, before=(World.span,)),
        Try({}, before=(World.span,), wait=60),
        Try({}, before=(refused,)),
    ),
    "GET /v1/bdbs/crdt_sources/alerts/{uid}/{crdt_src_id}": (Try(path=local("/v1/bdbs/crdt_sources/alerts/{}/2")),),
    "GET /v1/bdbs/crdt_sources/alerts/{uid}/{crdt_src_id}/{alert}": (
        Try(path=local("/v1/bdbs/crdt_sources/alerts/{}/2/bdb_crdt_src_syncer_connection_error")),
    ),
    "GET /v1/bdbs/{bdb_uid}/peer_stats": (Try(path=local("/v1/bdbs/{}/peer_stats")),),
    "GET /v1/bdbs/{bdb_uid}/peer_stats/{uid}": (Try(path=local("/v1/bdbs/{}/peer_stats/2")),),
    "GET /v1/bdbs/{uid}/syncer_state/crdt": (Try(path=local("/v1/bdbs/{}/syncer_state/crdt")),),
    "GET /v1/usage_report": (Try(query={"start": "yesterday"}),),
    "DELETE /v1/suffix/{name}": (Try(path="/v1/suffix/more", before=(suffix,)),),
    "POST /v1/users/refresh_jwt": (Try({}, login=token),),
    "DELETE /v2/modules/user-defined/{uid}": (
        Try(path=custom),
        Try(path=lambda world: f"/v2/modules/user-defined/{world.first('/v1/modules', 'uid')}"),
    ),
    "DELETE /v2/modules/{uid}": (Try(path=uploaded),),
    "DELETE /v2/local/modules/user-defined/artifacts/{module_name}/{version}": (
        Try(path="/v2/local/modules/user-defined/artifacts/mine/10203", before=(artifact,)),
    ),
    "POST /v1/bootstrap/{action}": tuple(
        Try(CREATE, "/v1/bootstrap/create_cluster", node=node, settings={"outside": 1}) for node in (1, 4)
    ),
    "POST /v1/bootstrap/validate/{action}": (
        Try(CREATE, "/v1/bootstrap/validate/create_cluster", node=4, settings={"outside": 1}),
        Try({**CREATE, "license": "broken"}, "/v1/bootstrap/validate/create_cluster", node=4, settings={"outside": 1}),
    ),
    "POST /v1/modules": (Try(module(), content=FORM),),
    "POST /v2/modules": (Try(module(), content=FORM),),
    "DELETE /v1/modules/{uid}": (Try(path=lambda world: uploaded(world).replace("v2", "v1")),),
    "POST /v2/modules/user-defined": (
        Try(MINE),
        Try(MINE, before=(("POST", "/v2/modules/user-defined", MINE),)),
        Try(MINE, before=(uploads_off,)),
    ),
    "POST /v2/local/modules/user-defined/artifacts": (
        Try(module(), content=FORM),
        Try(module(), content=FORM, before=(uploads_off,)),
        Try(module(), content=FORM, before=(artifact,)),
    ),
    "POST /v1/nodes/{node_uid}/actions/{action}": (
        Try({}, "/v1/nodes/1/actions/maintenance_on"),
        Try({}, "/v1/nodes/1/actions/maintenance_on", before=(("POST", "/v1/nodes/1/actions/maintenance_on", {}),)),
    ),
    "GET /v1/nodes/{node_uid}/actions": (Try(before=(("POST", "/v1/nodes/1/actions/maintenance_on", {}),)),),
    **{
        f"{method} /v1/nodes/{{node_uid}}/actions/{{action}}": (
            Try(
                path="/v1/nodes/1/actions/maintenance_on", before=(("POST", "/v1/nodes/1/actions/maintenance_on", {}),)
            ),
        )
        for method in ("GET", "DELETE")
    },
    "DELETE /v1/nodes/{uid}/snapshots/{snapshot_name}": (Try(path=old_snapshot),),
    "PUT /v1/nodes/{uid}": (Try({"accept_servers": False}), Try({"addr": "10.9.9.9"})),
    "PUT /v1/proxies": (Try({"proxy": {"threads": 4}}),),
    "PUT /v1/proxies/{uid}": (Try({"proxy": {"threads": 4}}),),
    "POST /v1/redis_acls": (Try({"name": "new", "acl": "+@all"}), Try({"name": "acl", "acl": "+@all"})),
    "POST /v1/redis_acls/validate": (Try({"name": "new", "acl": "+@all"}), Try({"name": "acl", "acl": "+@all"})),
    "PUT /v1/redis_acls/{uid}": (Try({"acl": "+get"}, "/v1/redis_acls/4"), Try({"acl": "!"}, "/v1/redis_acls/4")),
    "DELETE /v1/redis_acls/{uid}": (
        Try(path="/v1/redis_acls/4"),
        Try(
            path="/v1/redis_acls/4",
            before=(("PUT", "/v1/bdbs/1", {"roles_permissions": [{"role_uid": 7, "redis_acl_uid": 4}]}),),
        ),
    ),
    "POST /v1/roles": (Try({"name": "new", "management": "none"}), Try({"name": "nothing", "management": "none"})),
    "PUT /v1/roles/{uid}": (
        Try({"name": "new"}, "/v1/roles/7"),
        Try({"name": "Admin"}, "/v1/roles/7"),
        Try({"management": "king"}, "/v1/roles/7"),
    ),
    "DELETE /v1/roles/{uid}": (
        Try(path="/v1/roles/8", before=(("POST", "/v1/roles", {"name": "new", "management": "none"}),)),
    ),
    "POST /v1/users": (Try(USER), Try({**USER, "name": "weak"})),
    "PUT /v1/users/{uid}": (Try({"role_uids": [5]}),),
    "DELETE /v1/users/{uid}": (Try(path="/v1/users/2"),),
    **{
        f"{method} /v1/users/password": (
            Try(body, before=(("POST", "/v1/users/password", {"username": "weak", "new_password": "more"}),)),
            Try({**body, "username": "nobody"}),
            Try({**body, "username": "admin@example.com"}, login=WEAK),
        )
        for method, body in (
            ("PUT", {"username": "weak", "new_password": "other"}),
            ("POST", {"username": "weak", "new_password": "other"}),
            ("DELETE", {"username": "weak", "old_password": "weak"}),
        )
    },
    "POST /v1/shards/actions/failover": (Try({"shard_uids": ["1"]}), Try({"shard_uids": ["1"]}, before=(_busy,))),
    "POST /v1/shards/{uid}/actions/failover": busy({}),
    "POST /v1/shards/actions/migrate": (Try({"shard_uids": ["1"], "target_node_uid": 3}),),
    "POST /v1/shards/{uid}/actions/migrate": busy({"target_node_uid": 3}),
    "GET /v1/bdbs/stats/{uid}": (Try(before=(inactive,)),),
    "GET /v1/bdbs/stats/last/{uid}": (Try(before=(inactive,)),),
    "GET /v1/nodes/stats/{uid}": (Try(path="/v1/nodes/stats/2", before=(dead(2),)),),
    "GET /v1/nodes/stats/last/{uid}": (Try(path="/v1/nodes/stats/last/2", before=(dead(2),)),),
    "GET /v1/shards/stats/{uid}": (Try(before=(dead(3),)), Try(before=(dead(2),))),
    "GET /v1/shards/stats/last/{uid}": (Try(before=(dead(3),)), Try(before=(dead(2),))),
    "GET /v1/bdbs/stats": (Try(before=(none_left,)),),
    "GET /v1/bdbs/stats/last": (Try(before=(none_left,)),),
    "GET /v1/shards/stats": (Try(before=(none_left,)), Try(query={"parent_uid": "99"})),
    "GET /v1/shards/stats/last": (Try(before=(none_left,)),),
    "POST /v1/ocsp/test": (
        Try(before=(lambda world: world.core.state.singletons["ocsp"].set(responder_url="http://ocsp.example"),)),
    ),
}
