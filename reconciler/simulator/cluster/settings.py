"""The settings of a cluster that are singletons: the cluster itself, its policy, schedules, services and so on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from reconciler.simulator.api.fields import schema_error
from reconciler.simulator.api.messages import ApiError, Json, Request, Response, json_response
from reconciler.simulator.api.routes import serves
from reconciler.simulator.cluster.certificates import shown_in_cluster
from reconciler.simulator.resources.operation import Operation
from reconciler.simulator.resources.singletons import Singleton, initial_fields, serve_singleton, store_singleton
from reconciler.simulator.state.model import ClusterState
from reconciler.simulator.state.records import ObjectRecord
from reconciler.simulator.state.snapshots import add_section

Fields = Mapping[str, Any]

_PORTS = ("cm_port", "cnm_http_port", "cnm_https_port", "crdb_coordinator_port", "envoy_admin_port")
_MORE_PORTS = ("envoy_mgmt_server_port", "gossip_envoy_admin_port")


def _cluster(single: Singleton, state: ClusterState) -> ObjectRecord:
    return state.cluster


def _check_cluster(state: ClusterState, new: Fields, sent: Fields) -> None:
    ports = [new[name] for name in (*_PORTS, *_MORE_PORTS) if new.get(name)]
    for name in (*_PORTS, *_MORE_PORTS):
        if name in sent and (ports.count(sent[name]) > 1 or sent[name] in state.ports):
            raise ApiError(400, "bad_nginx_conf", f"{name}: port {sent[name]} is in use")
    if not str(new.get("debuginfo_path", "/")).startswith("/"):
        raise ApiError(400, "bad_debuginfo_path", "debuginfo_path must be an absolute path")
    trusted = state.singletons["cluster_certificates"].fields.get("mtls_trusted_ca_cert")
    if sent.get("mtls_certificate_authentication") and not trusted:
        raise schema_error("mtls_certificate_authentication", "needs the certificate mtls_trusted_ca")


def _after_cluster(state: ClusterState, sent: Fields) -> None:
    state.settings.handle_redirects = bool(state.cluster.fields.get("handle_redirects"))
    if "mask_bdb_credentials" in sent:
        state.changed(state.bdbs)
        for record in state.bdbs.values():
            record.texts = {}


def _check_policy(state: ClusterState, new: Fields, sent: Fields) -> None:
    old = state.singletons["cluster_settings"].fields
    if old.get("rack_aware") and not new.get("rack_aware"):
        raise schema_error("rack_aware", "cannot be turned off")
    if new.get("rack_aware") and not old.get("rack_aware"):
        bare = [uid for uid, node in state.nodes.items() if not node.fields.get("rack_id")]
        if bare:
            raise schema_error("rack_aware", f"node {bare[0]} has no rack_id")
    offered = {item.get("redis_version") for item in state.version["databases"]}
    if sent.get("default_provisioned_redis_version", next(iter(offered))) not in offered:
        raise schema_error("default_provisioned_redis_version", "no such version is offered")
    if sent.get("db_conns_auditing") and not state.singletons["db_conns_auditing_config"].fields:
        raise schema_error("db_conns_auditing", "auditing is not configured")


def _after_policy(state: ClusterState, sent: Fields) -> None:
    mirrored = {name: sent[name] for name in sent if name in state.cluster.fields}
    if mirrored:
        state.cluster.set(**mirrored)


def _suffix_of(text: str) -> int:
    number, unit = (text[:-1], text[-1]) if text[-1].isalpha() else (text, "")
    return int(number) << 10 * "BKMGTPE".find(unit or "B")


def _check_metrics(state: ClusterState, new: Fields, sent: Fields) -> None:
    if not sent:
        raise schema_error("body", "contains no known setting")
    for name in ("key_size_buckets", "key_items_buckets"):
        texts = [text for text in str(sent.get(name, "")).split(",") if text]
        numbers = [_suffix_of(text) for text in texts]
        if any(int(text.rstrip("BKMGTPE")) > 1023 for text in texts) or numbers != sorted(set(numbers)):
            raise schema_error(name, "must ascend, with numbers from 1 to 1023")


def _adjust_ldap(state: ClusterState, new: dict[str, Json], sent: Fields) -> None:
    """Clear the other field of an exclusive pair, unless clients have to do so explicitly."""
    for mine, other in _LDAP_PAIRS:
        if sent.get(mine) and sent.get(other):
            raise ApiError(400, "illegal_fields_combination", f"{mine} and {other} exclude each other")
        for one, two in ((mine, other), (other, mine)):
            if sent.get(one) and new.get(two) and state.settings.on("ldap_pairs", "replace"):
                new[two] = {} if two.endswith("_query") else ""


_LDAP_PAIRS = (("user_dn_template", "user_dn_query"), ("dn_group_attr", "dn_group_query"))


def _check_ldap(state: ClusterState, new: Fields, sent: Fields) -> None:
    for one, two in _LDAP_PAIRS:
        if new.get(one) and new.get(two):
            raise ApiError(400, "illegal_fields_combination", f"{one} and {two} exclude each other")
    if (new.get("control_plane") or new.get("data_plane")) and not new.get("uris"):
        raise schema_error("uris", "LDAP needs a server")
    if new.get("cba_identity_source") == "subject_oid" and not new.get("cba_identity_oid"):
        raise schema_error("cba_identity_oid", "missing")


def _check_sso(state: ClusterState, new: Fields, sent: Fields) -> None:
    if not new.get("control_plane"):
        return
    for name in ("id", "login_url"):
        if not new["issuer"].get(name):
            raise ApiError(400, "missing_param", f"issuer.{name} is needed")
    certificates = state.singletons["cluster_certificates"].fields
    for name in ("sso_service", "sso_issuer"):
        if not certificates.get(f"{name}_cert"):
            raise ApiError(406, "missing_certificate", f"the certificate {name} is needed")


def _adjust_sso(state: ClusterState, new: dict[str, Json], sent: Fields) -> None:
    address = new["service"].get("address", "")
    base = {"acs_url": f"{address}/cluster/sso/saml/acs", "slo_url": f"{address}/cluster/sso/saml/slo"}
    new["service"] = {**new["service"], "saml2": {"entity_id": f"{address}/sp", **base}}
    new["issuer"] = {**new["issuer"], "metadata": state.singletons["sso"].fields["issuer"].get("metadata", "")}


def _check_ocsp(state: ClusterState, new: Fields, sent: Fields) -> None:
    if new.get("ocsp_functionality") and not new.get("responder_url"):
        raise ApiError(400, "no_responder_url", "the proxy certificate has no OCSP responder")


def _adjust_auditing(state: ClusterState, new: dict[str, Json], sent: Fields) -> None:
    new.update({**initial_fields("db_conns_auditing_config", state.settings.server_version), **new})


def _check_auditing(state: ClusterState, new: Fields, sent: Fields) -> None:
    for name in ("audit_protocol", "audit_address"):
        if not new.get(name):
            raise schema_error(name, "missing")
    if new["audit_protocol"] == "TCP" and not new.get("audit_port"):
        raise schema_error("audit_port", "missing")


_READ, _WRITE = Operation("view_cluster_info"), Operation("update_cluster")
_OBJECT = {"answer": "object"}  # no documented object
_NO_OCSP = "ocsp_unsupported_by_capability"
_OCSP = {"mixed": [406, _NO_OCSP]}
_NO_AUDITING = "db_conns_auditing_unsupported_by_capability"
_AUDITING = {"mixed": [406, _NO_AUDITING]}

SINGLETONS: tuple[Singleton, ...] = (
    Singleton(
        "cluster",
        "/v1/cluster",
        _READ,
        Operation(
            "update_cluster",
            codes=("bad_debuginfo_path", "bad_nginx_conf", "config_edit_conflict"),
            query=("dry_run",),
        ),
        check=_check_cluster,
        after=_after_cluster,
        record=_cluster,
        beside=shown_in_cluster,
    ),
    Singleton(
        "cluster_settings",
        "/v1/cluster/policy",
        _READ,
        _WRITE,
        replies=False,
        check=_check_policy,
        after=_after_policy,
    ),
    Singleton(
        "services_configuration", "/v1/cluster/services_configuration", _READ, Operation("update_cluster", (200,))
    ),
    Singleton("cm_settings", "/v1/cm_settings", _READ, _WRITE, "7.8"),
    Singleton("job_scheduler", "/v1/job_scheduler", _READ, Operation("update_cluster", (200, 400, 409)), "7.8"),
    Singleton(
        "diagnostics",
        "/v1/diagnostics",
        Operation("view_cluster_info", columns=_OBJECT),
        Operation("update_cluster", (200, 400, 409), columns=_OBJECT),
        "7.22",
    ),
    Singleton("metrics_config", "/v1/metrics_config", _READ, _WRITE, "8.2", check=_check_metrics),
    Singleton(
        "ocsp",
        "/v1/ocsp",
        Operation("view_ocsp_config", (200, 406, 500), (_NO_OCSP,), columns=_OCSP),
        Operation("config_ocsp", (200, 400, 406, 500), ("invalid_schema", "no_responder_url", _NO_OCSP), columns=_OCSP),
        check=_check_ocsp,
    ),
    Singleton(
        "db_conns_auditing_config",
        "/v1/cluster/auditing/db_conns",
        Operation("view_cluster_info", (200, 406), (_NO_AUDITING,), columns=_AUDITING),
        Operation("update_cluster", (200, 406), (_NO_AUDITING,), columns=_AUDITING),
        check=_check_auditing,
        adjust=_adjust_auditing,
    ),
    Singleton(
        "ldap",
        "/v1/cluster/ldap",
        Operation("view_ldap_config", (200, 500)),
        Operation("config_ldap", (200, 400, 500), ("illegal_fields_combination",)),
        replies=False,
        check=_check_ldap,
        adjust=_adjust_ldap,
    ),
    Singleton(
        "sso",
        "/v1/cluster/sso",
        Operation("view_sso"),
        Operation("config_sso", (200, 400, 406), ("missing_certificate", "missing_param")),
        "8.0",
        replies=False,
        check=_check_sso,
        adjust=_adjust_sso,
    ),
)

for _single in SINGLETONS:
    serve_singleton(_single)
    if _single.kind != "cluster":
        store_singleton(_single.kind, _single.path)


def _load_cluster(state: ClusterState, body: Json) -> None:
    state.cluster = ObjectRecord(dict(body))


add_section("/v1/cluster", _load_cluster, lambda state: state.cluster.fields)


@serves("PUT /v1/cluster/policy/restore_default")
def restore_policy(state: ClusterState, request: Request, body: Json) -> Response:
    """Reset every policy to its default, except rack awareness, which cannot be turned off."""
    fields = initial_fields("cluster_settings", state.settings.server_version)
    record = state.singletons["cluster_settings"]
    record.set(**{**fields, "rack_aware": record.fields["rack_aware"]})
    _after_policy(state, record.fields)
    state.changed()
    return json_response(None)


@serves("DELETE /v1/cluster/ldap")
def delete_ldap(state: ClusterState, request: Request) -> Response:
    """Delete the LDAP configuration."""
    state.singletons["ldap"] = ObjectRecord(initial_fields("ldap", state.settings.server_version))
    state.changed()
    return json_response(None)


@serves("DELETE /v1/cluster/auditing/db_conns")
def delete_auditing(state: ClusterState, request: Request) -> Response:
    """Delete the auditing configuration, unless it is in use."""
    if not state.singletons["db_conns_auditing_config"].fields:
        raise ApiError(404, "db_conns_audit_config_not_found", "auditing is not configured")
    if state.singletons["cluster_settings"].fields.get("db_conns_auditing"):
        raise ApiError(406, "cannot_delete_audit_config_when_policy_enabled", "new databases are audited by policy")
    if any(bdb.fields.get("db_conns_auditing") for bdb in state.bdbs.values()):
        raise ApiError(406, "cannot_delete_audit_config_when_bdb_enabled", "a database is audited")
    state.singletons["db_conns_auditing_config"] = ObjectRecord({})
    state.changed()
    return json_response(None)
