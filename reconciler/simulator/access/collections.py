"""Users, roles, Redis ACLs and LDAP mappings: the collections of access control, a row each."""

from __future__ import annotations

from collections.abc import Mapping

from reconciler.simulator.access.rules import (
    check_acl,
    check_mapping,
    check_role,
    check_user,
    guard_user,
    parse_user,
    store_user,
)
from reconciler.simulator.api.messages import ApiError, Json
from reconciler.simulator.resources.collection import Collection, Fields, ReferencedBy
from reconciler.simulator.resources.collection_registry import serve
from reconciler.simulator.resources.operation import Operation
from reconciler.simulator.state.model import ClusterState
from reconciler.simulator.state.records import ObjectRecord, Table

_ACTION: Mapping[str, Json] = {"mode": "sync-maybe-action"}
_MIXED: Mapping[str, Json] = {"mixed": [501, "unsupported_resource"]}
_BOTH = {**_ACTION, **_MIXED}
_UNSUPPORTED = "unsupported_resource"
_NAMES = {"name": "name_already_exists"}

USERS = Collection(
    "user",
    "/v1/users",
    "user",
    {
        "list": Operation("view_all_users_info", (200, 403)),
        "get": Operation("view_user_info", (200, 403, 404), ()),
        "create": Operation(
            "create_new_user",
            (200, 400, 403, 409),
            ("email_already_exists", "name_already_exists", "password_not_complex"),
            ("dry_run",),
            _ACTION,
        ),
        "update": Operation(
            "update_user",
            (200, 400, 403, 404, 406),
            (
                "change_last_admin_role_not_allowed",
                "email_already_exists",
                "new_password_same_as_current",
                "password_not_complex",
            ),
            ("dry_run",),
            _ACTION,
        ),
        "delete": Operation("delete_user", (200, 403, 404, 406), (), columns=_ACTION),
    },
    required=("role_uids",),
    unique=_NAMES,
    missing_code="user_not_exist",
    dry_run=True,
    delayed=True,
    machine="User",
    defaults=lambda state: {
        "auth_method": "regular",
        "certificate_subject_line": "",
        "email": "",
        "email_alerts": True,
        "password_issue_date": state.stamp(),
        "status": "active",
    },
    parse=parse_user,
    check=check_user,
    store=store_user,
    view=lambda state, fields: _with_role(state, fields),
    guard=guard_user,
)


def _with_role(state: ClusterState, fields: Fields) -> Fields:
    """Return the fields of a user with the management role of the first of its roles."""
    roles = [state.roles[uid] for uid in fields.get("role_uids", ()) if uid in state.roles]
    if not roles or not state.settings.on("user_role_field", "both"):
        return fields
    return {**fields, "role": roles[0].fields["management"]}


def _guard_role(state: ClusterState, record: ObjectRecord, verb: str) -> None:
    if record.hidden.get("builtin") and state.settings.on("builtin_roles", "guarded"):
        raise ApiError(406, "read_only_object", "a built-in role cannot change")


ROLES = Collection(
    "role",
    "/v1/roles",
    "role",
    {
        "list": Operation("view_all_roles_info", (200, 403, 501), (_UNSUPPORTED,), columns=_MIXED),
        "get": Operation("view_role_info", (200, 403, 404, 501), (_UNSUPPORTED,), columns=_MIXED),
        "create": Operation(
            "create_role",
            (200, 400, 403, 409, 501),
            ("missing_field", "name_already_exists", _UNSUPPORTED),
            ("dry_run",),
            _BOTH,
        ),
        "update": Operation(
            "update_role",
            (200, 400, 403, 404, 406, 409, 501),
            ("change_last_admin_role_not_allowed", "name_already_exists", _UNSUPPORTED),
            ("dry_run",),
            _BOTH,
        ),
        "delete": Operation("delete_role", (200, 403, 404, 406, 501), (_UNSUPPORTED,), columns=_BOTH),
    },
    unique=_NAMES,
    missing_code="role_not_exist",
    referenced_by=(
        ReferencedBy("bdb", "roles_permissions", "role_uid", "role_in_bdbs"),
        ReferencedBy("user", "role_uids", switch="role_with_users"),
        ReferencedBy("ldap_mapping", "role_uids", switch="role_with_users"),
    ),
    dry_run=True,
    delayed=True,
    machine="Role",
    check=check_role,
    guard=_guard_role,
)


def _guard_acl(state: ClusterState, record: ObjectRecord, verb: str) -> None:
    if record.hidden.get("builtin"):
        raise ApiError(409, "read_only_object", "a predefined ACL cannot change")


def _predefined(table: Table, body: Json) -> set[Json]:
    return {item["uid"] for item in body if item.get("name") == "Full Access"}


ACLS = Collection(
    "redis_acl",
    "/v1/redis_acls",
    "ACL",
    {
        "list": Operation("view_all_redis_acls_info", (200, 403, 501), (_UNSUPPORTED,), columns=_MIXED),
        "get": Operation("view_redis_acl_info", (200, 403, 404, 501), (_UNSUPPORTED,), columns=_MIXED),
        "create": Operation(
            "create_redis_acl",
            (200, 400, 403, 409, 501),
            ("invalid_param", "missing_field", "name_already_exists", _UNSUPPORTED),
            ("dry_run",),
            _BOTH,
        ),
        "update": Operation(
            "update_redis_acl",
            (200, 400, 403, 404, 409, 501),
            ("invalid_param", "name_already_exists", _UNSUPPORTED),
            ("dry_run",),
            _BOTH,
        ),
        "delete": Operation("delete_redis_acl", (200, 403, 404, 406, 409, 501), (_UNSUPPORTED,), columns=_BOTH),
    },
    unique=_NAMES,
    missing_code="redis_acl_not_exist",
    referenced_by=(ReferencedBy("bdb", "roles_permissions", "redis_acl_uid", "acl_in_use"),),
    dry_run=True,
    delayed=True,
    machine="Acl",
    defaults=lambda state: {"min_version": "6.2", "max_version": "9999"},
    check=check_acl,
    guard=_guard_acl,
    builtin=_predefined,
)

MAPPINGS = Collection(
    "ldap_mapping",
    "/v1/ldap_mappings",
    "LDAP mapping",
    {
        "list": Operation("view_all_ldap_mappings_info", (200, 403)),
        "get": Operation(
            "view_ldap_mapping_info", (200, 403, 404, 501), ("ldap_mapping_not_exist", _UNSUPPORTED), columns=_MIXED
        ),
        "create": Operation(
            "create_ldap_mapping",
            (200, 400, 403, 409, 501),
            (
                "invalid_dn_param",
                "invalid_name_param",
                "invalid_role_uids_param",
                "missing_field",
                "name_already_exists",
                _UNSUPPORTED,
            ),
            columns=_BOTH,
        ),
        "update": Operation(
            "update_ldap_mapping",
            (200, 400, 403, 404, 409, 501),
            (
                "invalid_account_id_param",
                "invalid_dn_param",
                "invalid_name_param",
                "invalid_role_uids_param",
                "ldap_mapping_not_exist",
                "name_already_exists",
                _UNSUPPORTED,
            ),
            columns=_BOTH,
        ),
        "delete": Operation(
            "delete_ldap_mapping", (200, 403, 404, 406, 501), ("ldap_mapping_not_exist", _UNSUPPORTED), columns=_BOTH
        ),
    },
    unique=_NAMES,
    missing_code="ldap_mapping_not_exist",
    dry_run=True,
    delayed=True,
    machine="LdapMapping",
    defaults=lambda state: {
        "bdbs_email_alerts": [],
        "cluster_email_alerts": False,
        "email": "",
        "email_alerts": True,
    },
    check=check_mapping,
)

for _collection in (USERS, ROLES, ACLS, MAPPINGS):
    serve(_collection)
