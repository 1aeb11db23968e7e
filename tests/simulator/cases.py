"""Cases that provoke the documented responses of each operation, in addition to the generic ones."""

from __future__ import annotations

from collections.abc import Mapping

from reconciler.simulator.cluster import licenses
from tests.simulator.clusters import GIB, MEMBERS, SPANNING, Case, FilledCluster
from tests.simulator.request_bodies import (
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

# What is tried beside `general`; the operations that it covers need no line.
SPECIAL: Mapping[str, tuple[Case, ...]] = {
    "GET /v1/actions": (Case(before=(none_left,)),),
    "GET /v1/license": (Case(before=(no_license,)),),
    "GET /v1/jsonschema": (Case(query={"object": "bdb"}), Case(query={"object": "nonsense"})),
    "GET /v1/cluster/actions": (Case(before=(("POST", "/v1/cluster/actions/change_master", {"node_uid": 2}),)),),
    "GET /v1/cluster/actions/{action}": (
        Case(
            path="/v1/cluster/actions/change_master",
            before=(("POST", "/v1/cluster/actions/change_master", {"node_uid": 2}),),
        ),
    ),
    "DELETE /v1/cluster/actions/{action}": (
        Case(
            path="/v1/cluster/actions/change_master",
            before=(("POST", "/v1/cluster/actions/change_master", {"node_uid": 2}),),
        ),
    ),
    "POST /v1/cluster/actions/{action}": (
        Case({"node_uid": 2}, "/v1/cluster/actions/change_master"),
        Case({"node_uid": 9}, "/v1/cluster/actions/change_master"),
        Case({"node_uid": 2}, "/v1/cluster/actions/change_master", before=(dead(2),)),
        Case(
            {"node_uid": 2},
            "/v1/cluster/actions/change_master",
            before=(("POST", "/v1/cluster/actions/change_master", {"node_uid": 2}),),
        ),
    ),
    "POST /v1/bdb_groups": (Case({"memory_size": GIB}), Case({"memory_size": GIB, "uid": 1})),
    "DELETE /v1/bdb_groups/{uid}": (Case(before=(("PUT", "/v1/bdbs/1", {"group_uid": 1}),)),),
    "POST /v1/bdbs": (
        Case({"name": "new", "memory_size": GIB}),
        Case({"name": "new", "memory_size": GIB, "uid": 1}),
        Case({"name": "new", "memory_size": GIB}, before=(expired,)),
    ),
    "POST /v2/bdbs": (
        Case({"bdb": {"name": "new", "memory_size": GIB}}),
        Case({"bdb": {"name": "new", "memory_size": GIB, "uid": 1}}),
        Case({"bdb": {"memory_size": GIB}}),
    ),
    "PUT /v1/bdbs/{uid}": (*busy({"name": "renamed"}), Case({"redis_version": "1.0"})),
    "PUT /v2/bdbs/{uid}": (*busy({"name": "renamed"}), Case({"redis_version": "1.0"})),
    "DELETE /v1/bdbs/{uid}": busy(None),
    "PUT /v1/bdbs/{uid}/{action}": (
        *(Case({}, "/v1/bdbs/1/flush", before=before) for before in ((), (_busy,))),
        Case({}, "/v1/bdbs/1/flush", login=WEAK),
        Case({"redis_version": "1.0"}, "/v1/bdbs/1/flush"),
    ),
    "POST /v1/bdbs/alerts/{uid}": (Case({"bdb_size": {"enabled": True, "threshold": "x"}}),),
    "GET /v1/bdbs/alerts/{uid}/{alert}": (Case(),),
    "GET /v1/bdbs/replica_sources/alerts/{uid}/{replica_src_id}/{alert}": (
        Case(path="/v1/bdbs/replica_sources/alerts/1/1/bdb_replica_src_syncer_connection_error"),
    ),
    "GET /v1/nodes/alerts/{uid}/{alert}": (
        Case(path=lambda cluster: f"/v1/nodes/alerts/1/{cluster.first('/v1/nodes/alerts/1')}"),
    ),
    "POST /v1/bdbs/{uid}/actions/export": (
        *busy({"export_location": PLACE}),
        Case({"export_location": PLACE}, before=(foreign_module,)),
    ),
    "POST /v1/bdbs/{uid}/actions/import": busy(SOURCES),
    "PUT /v1/bdbs/{uid}/actions/export_reset_status": (
        Case({}, before=(foreign_module,)),
        Case({}, before=(("POST", "/v1/bdbs/1/actions/export", {"export_location": PLACE}),)),
    ),
    "PUT /v1/bdbs/{uid}/actions/import_reset_status": (
        Case({}, before=(foreign_module,)),
        Case({}, before=(("POST", "/v1/bdbs/1/actions/import", SOURCES),)),
    ),
    "PUT /v1/bdbs/{uid}/actions/backup_reset_status": (
        Case({}, before=(foreign_module,)),
        Case({}, before=(lambda cluster: cluster.core.state.bdbs[1].set(backup_status="exporting"),)),
    ),
    "PUT /v1/bdbs/{uid}/actions/rebalance": (*busy({}), Case({}, query={"max_operations": "x"})),
    "PUT /v1/bdbs/{uid}/actions/revamp": (*busy({}), Case({"memory_size": 1 << 60})),
    "POST /v1/bdbs/{uid}/actions/stop_traffic": busy({}),
    "POST /v1/bdbs/{uid}/actions/resume_traffic": busy({}),
    "POST /v1/bdbs/{uid}/actions/recover": (
        Case({}, before=(lambda cluster: cluster.core.state.bdbs[1].set(status="recovery"),)),
    ),
    "GET /v1/bdbs/{uid}/actions/optimize_shards_placement": (Case(query={"memory_size": str(1 << 60)}),),
    "POST /v1/bdbs/{uid}/modules/config": (
        Case(SEARCH),
        Case({"modules": [{"module_name": "ReJSON", "module_args": ""}]}),
    ),
    "POST /v1/modules/config/bdb/{uid}": (
        Case(SEARCH),
        Case({"modules": [{"module_name": "ReJSON", "module_args": ""}]}),
    ),
    "POST /v1/bdbs/{uid}/modules/upgrade": (Case(UPGRADE), Case(_module("search"))),
    "POST /v1/modules/upgrade/bdb/{uid}": (Case(UPGRADE), Case(_module("search"))),
    "POST /v1/bdbs/{uid}/upgrade": (Case({"redis_version": "1.0"}),),
    **{
        f"{method} /v1/bdbs/{{uid}}/passwords": (
            Case({"password": "p"}, before=(("POST", "/v1/bdbs/1/passwords", {"password": "p"}),)),
            Case({"password": "other"}),
        )
        for method in ("POST", "PUT", "DELETE")
    },
    "GET /v1/bdbs/{uid}/availability": (Case(query={"availability_lag_tolerance_ms": "x"}),),
    "GET /v1/local/bdbs/{uid}/endpoint/availability": (
        Case(query={"availability_lag_tolerance_ms": "x"}),
        *(Case(node=node) for node in (1, 2, 3)),
    ),
    "DELETE /v1/cluster/auditing/db_conns": (
        Case(before=(("PUT", "/v1/cluster/auditing/db_conns", AUDIT),)),
        Case(
            before=(
                ("PUT", "/v1/cluster/auditing/db_conns", AUDIT),
                ("PUT", "/v1/cluster/policy", {"db_conns_auditing": True}),
            )
        ),
    ),
    "PUT /v1/cluster/auditing/db_conns": (Case(AUDIT),),
    "GET /v1/cluster/auditing/db_conns": (Case(before=(("PUT", "/v1/cluster/auditing/db_conns", AUDIT),)),),
    "PUT /v1/cluster/certificates": (
        Case(certificates("api")),
        Case(certificates("nothing")),
        Case(certificates("api", -30)),
        Case(certificates("api"), before=(refused,)),
    ),
    "PUT /v1/cluster/update_cert": (
        Case(certificate("api")),
        Case(certificate("nothing")),
        Case(certificate("api", -30)),
        Case({}, before=(refused,)),
    ),
    "DELETE /v1/cluster/certificates/{certificate_name}": (
        Case(path="/v1/cluster/certificates/sso_service", before=(_set_certificate("sso_service"),)),
        Case(path="/v1/cluster/certificates/api"),
    ),
    "POST /v1/cluster/certificates/rotate": (
        Case({"name": "nothing"}),
        Case({"name": "api"}),
        Case({}, before=(refused,)),
    ),
    "PATCH /v1/cluster/change_password_hashing_algorithm": (
        Case({"algorithm": "PBKDF2"}),
        Case({"algorithm": "SHA-256"}),
    ),
    "PUT /v1/cluster/sso": (Case(SSO_ON), Case({"control_plane": True})),
    "POST /v1/cluster/sso/saml/metadata/idp": (
        Case({"idp_metadata": METADATA}),
        Case({"idp_metadata": METADATA}, before=(_set_certificate("sso_service"),)),
    ),
    "GET /v1/cluster/sso/saml/metadata/sp": (Case(before=(_set_certificate("sso_service"),)),),
    "POST /v1/ldap_mappings": (
        Case({"name": "new", "dn": "cn=a,dc=b", "role_uids": [2]}),
        Case({"name": "one", "dn": "cn=a,dc=b", "role_uids": [2]}),
    ),
    "PUT /v1/ldap_mappings/{uid}": (
        Case(
            {"name": "two"},
            before=(("POST", "/v1/ldap_mappings", {"name": "two", "dn": "cn=a,dc=b", "role_uids": [2]}),),
        ),
    ),
    "PUT /v1/license": (
        Case({"license": licenses.make(cluster_name="cluster.local")}),
        Case({"license": licenses.make(cluster_name="other.local")}),
        Case({"license": "nonsense"}),
    ),
    "POST /v1/local/services": (Case({"operation_type": "restart", "services": ["cm_server"]}),),
    "POST /v1/services": (Case({"operation_type": "restart", "services": ["cm_server"]}),),
    "PUT /v1/metrics_config": (Case(lambda cluster: cluster("GET", "/v1/metrics_config").json()),),
    "PUT /v1/diagnostics": (Case({}, before=(refused,)),),
    "PUT /v1/job_scheduler": (Case({}, before=(refused,)),),
    "GET /v1/bdbs/certificates": (Case(query={"page": "x"}),),
    "POST /v1/bdbs/{uid}/certificates": (Case(own_certificate()), Case(own_certificate(-30))),
    **{
        f"{method} /v1/bdbs/{{uid}}/certificates": (
            Case(before=(lambda cluster: cluster("POST", "/v1/bdbs/1/certificates", own_certificate()(cluster)),)),
        )
        for method in ("GET", "DELETE")
    },
    "POST /v1/crdbs": (Case(SPANNING), Case({**SPANNING, "instances": MEMBERS[:1] * 2})),
    **{
        f"{operation}": (Case(before=(FilledCluster.span,)),)
        for operation in (
            *("GET /v1/crdbs/{crdb_guid}", "GET /v1/crdbs/{crdb_guid}/health_report"),
            "GET /v1/crdb_tasks/{task_id}",
        )
    },
    "DELETE /v1/crdbs/{crdb_guid}": (
        Case(before=(FilledCluster.span,)),
        Case(path="/v1/crdbs/00000000-0000-4000-8000-000000000000"),
    ),
    "PATCH /v1/crdbs/{crdb_guid}": (
        Case({"causal_consistency": True}, before=(FilledCluster.span,)),
        Case({"default_db_config": {"data_persistence": "snapshot"}}, before=(FilledCluster.span,)),
        Case([], before=(FilledCluster.span,)),
    ),
    "PUT /v1/crdbs/{crdb_guid}/flush": (Case({}, before=(FilledCluster.span,)), Case([], before=(FilledCluster.span,))),
    "PUT /v1/crdbs/{crdb_guid}/purge": (
        Case({"instances": [1]}, before=(FilledCluster.span,)),
        Case({}, before=(FilledCluster.span,)),
    ),
    "POST /v1/crdbs/{crdb_guid}/updates": (
        Case({"remove_instances": [2]}, before=(FilledCluster.span,)),
        Case({"remove_instances": [1, 2]}, before=(FilledCluster.span,)),
        Case([], before=(FilledCluster.span,)),
    ),
    "POST /v1/crdbs/{crdb_guid}/upgrade": (
        Case({}, before=(FilledCluster.span,)),
        Case({"redis_version": "1.0"}, before=(FilledCluster.span,)),
        Case([], before=(FilledCluster.span,)),
    ),
    "POST /v1/crdb_tasks/{task_id}/actions/cancel": (
        Case({}, before=(FilledCluster.span,)),
        Case({}, before=(FilledCluster.span,), wait=60),
        Case({}, before=(refused,)),
    ),
    "GET /v1/bdbs/crdt_sources/alerts/{uid}/{crdt_src_id}": (Case(path=local("/v1/bdbs/crdt_sources/alerts/{}/2")),),
    "GET /v1/bdbs/crdt_sources/alerts/{uid}/{crdt_src_id}/{alert}": (
        Case(path=local("/v1/bdbs/crdt_sources/alerts/{}/2/bdb_crdt_src_syncer_connection_error")),
    ),
    "GET /v1/bdbs/{bdb_uid}/peer_stats": (Case(path=local("/v1/bdbs/{}/peer_stats")),),
    "GET /v1/bdbs/{bdb_uid}/peer_stats/{uid}": (Case(path=local("/v1/bdbs/{}/peer_stats/2")),),
    "GET /v1/bdbs/{uid}/syncer_state/crdt": (Case(path=local("/v1/bdbs/{}/syncer_state/crdt")),),
    "GET /v1/usage_report": (Case(query={"start": "yesterday"}),),
    "DELETE /v1/suffix/{name}": (Case(path="/v1/suffix/more", before=(suffix,)),),
    "POST /v1/users/refresh_jwt": (Case({}, login=token),),
    "DELETE /v2/modules/user-defined/{uid}": (
        Case(path=custom),
        Case(path=lambda cluster: f"/v2/modules/user-defined/{cluster.first('/v1/modules', 'uid')}"),
    ),
    "DELETE /v2/modules/{uid}": (Case(path=uploaded),),
    "DELETE /v2/local/modules/user-defined/artifacts/{module_name}/{version}": (
        Case(path="/v2/local/modules/user-defined/artifacts/mine/10203", before=(artifact,)),
    ),
    "POST /v1/bootstrap/{action}": tuple(
        Case(CREATE, "/v1/bootstrap/create_cluster", node=node, settings={"outside": 1}) for node in (1, 4)
    ),
    "POST /v1/bootstrap/validate/{action}": (
        Case(CREATE, "/v1/bootstrap/validate/create_cluster", node=4, settings={"outside": 1}),
        Case({**CREATE, "license": "broken"}, "/v1/bootstrap/validate/create_cluster", node=4, settings={"outside": 1}),
    ),
    "POST /v1/modules": (Case(module(), content=FORM),),
    "POST /v2/modules": (Case(module(), content=FORM),),
    "DELETE /v1/modules/{uid}": (Case(path=lambda cluster: uploaded(cluster).replace("v2", "v1")),),
    "POST /v2/modules/user-defined": (
        Case(MINE),
        Case(MINE, before=(("POST", "/v2/modules/user-defined", MINE),)),
        Case(MINE, before=(uploads_off,)),
    ),
    "POST /v2/local/modules/user-defined/artifacts": (
        Case(module(), content=FORM),
        Case(module(), content=FORM, before=(uploads_off,)),
        Case(module(), content=FORM, before=(artifact,)),
    ),
    "POST /v1/nodes/{node_uid}/actions/{action}": (
        Case({}, "/v1/nodes/1/actions/maintenance_on"),
        Case({}, "/v1/nodes/1/actions/maintenance_on", before=(("POST", "/v1/nodes/1/actions/maintenance_on", {}),)),
    ),
    "GET /v1/nodes/{node_uid}/actions": (Case(before=(("POST", "/v1/nodes/1/actions/maintenance_on", {}),)),),
    **{
        f"{method} /v1/nodes/{{node_uid}}/actions/{{action}}": (
            Case(
                path="/v1/nodes/1/actions/maintenance_on", before=(("POST", "/v1/nodes/1/actions/maintenance_on", {}),)
            ),
        )
        for method in ("GET", "DELETE")
    },
    "DELETE /v1/nodes/{uid}/snapshots/{snapshot_name}": (Case(path=old_snapshot),),
    "PUT /v1/nodes/{uid}": (Case({"accept_servers": False}), Case({"addr": "10.9.9.9"})),
    "PUT /v1/proxies": (Case({"proxy": {"threads": 4}}),),
    "PUT /v1/proxies/{uid}": (Case({"proxy": {"threads": 4}}),),
    "POST /v1/redis_acls": (Case({"name": "new", "acl": "+@all"}), Case({"name": "acl", "acl": "+@all"})),
    "POST /v1/redis_acls/validate": (Case({"name": "new", "acl": "+@all"}), Case({"name": "acl", "acl": "+@all"})),
    "PUT /v1/redis_acls/{uid}": (Case({"acl": "+get"}, "/v1/redis_acls/4"), Case({"acl": "!"}, "/v1/redis_acls/4")),
    "DELETE /v1/redis_acls/{uid}": (
        Case(path="/v1/redis_acls/4"),
        Case(
            path="/v1/redis_acls/4",
            before=(("PUT", "/v1/bdbs/1", {"roles_permissions": [{"role_uid": 7, "redis_acl_uid": 4}]}),),
        ),
    ),
    "POST /v1/roles": (Case({"name": "new", "management": "none"}), Case({"name": "nothing", "management": "none"})),
    "PUT /v1/roles/{uid}": (
        Case({"name": "new"}, "/v1/roles/7"),
        Case({"name": "Admin"}, "/v1/roles/7"),
        Case({"management": "king"}, "/v1/roles/7"),
    ),
    "DELETE /v1/roles/{uid}": (
        Case(path="/v1/roles/8", before=(("POST", "/v1/roles", {"name": "new", "management": "none"}),)),
    ),
    "POST /v1/users": (Case(USER), Case({**USER, "name": "weak"})),
    "PUT /v1/users/{uid}": (Case({"role_uids": [5]}),),
    "DELETE /v1/users/{uid}": (Case(path="/v1/users/2"),),
    **{
        f"{method} /v1/users/password": (
            Case(body, before=(("POST", "/v1/users/password", {"username": "weak", "new_password": "more"}),)),
            Case({**body, "username": "nobody"}),
            Case({**body, "username": "admin@example.com"}, login=WEAK),
        )
        for method, body in (
            ("PUT", {"username": "weak", "new_password": "other"}),
            ("POST", {"username": "weak", "new_password": "other"}),
            ("DELETE", {"username": "weak", "old_password": "weak"}),
        )
    },
    "POST /v1/shards/actions/failover": (Case({"shard_uids": ["1"]}), Case({"shard_uids": ["1"]}, before=(_busy,))),
    "POST /v1/shards/{uid}/actions/failover": busy({}),
    "POST /v1/shards/actions/migrate": (Case({"shard_uids": ["1"], "target_node_uid": 3}),),
    "POST /v1/shards/{uid}/actions/migrate": busy({"target_node_uid": 3}),
    "GET /v1/bdbs/stats/{uid}": (Case(before=(inactive,)),),
    "GET /v1/bdbs/stats/last/{uid}": (Case(before=(inactive,)),),
    "GET /v1/nodes/stats/{uid}": (Case(path="/v1/nodes/stats/2", before=(dead(2),)),),
    "GET /v1/nodes/stats/last/{uid}": (Case(path="/v1/nodes/stats/last/2", before=(dead(2),)),),
    "GET /v1/shards/stats/{uid}": (Case(before=(dead(3),)), Case(before=(dead(2),))),
    "GET /v1/shards/stats/last/{uid}": (Case(before=(dead(3),)), Case(before=(dead(2),))),
    "GET /v1/bdbs/stats": (Case(before=(none_left,)),),
    "GET /v1/bdbs/stats/last": (Case(before=(none_left,)),),
    "GET /v1/shards/stats": (Case(before=(none_left,)), Case(query={"parent_uid": "99"})),
    "GET /v1/shards/stats/last": (Case(before=(none_left,)),),
    "POST /v1/ocsp/test": (
        Case(before=(lambda cluster: cluster.core.state.singletons["ocsp"].set(responder_url="http://ocsp.example"),)),
    ),
}
