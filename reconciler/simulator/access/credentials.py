"""Endpoints for the caller's own account: tokens, passwords, permissions. `authentication` checks the login itself."""

from __future__ import annotations

from collections.abc import Mapping

from reconciler.simulator.access import authentication
from reconciler.simulator.access.collections import ACLS
from reconciler.simulator.access.rules import check_complexity
from reconciler.simulator.api.fields import body_rules, schema_error, validate
from reconciler.simulator.api.messages import ApiError, Json, Request, Response, json_response
from reconciler.simulator.api.routes import serves
from reconciler.simulator.data.tables import table
from reconciler.simulator.resources.collection_handlers import create
from reconciler.simulator.state.model import ClusterState
from reconciler.simulator.state.records import ObjectRecord, digest


def _caller(state: ClusterState) -> ObjectRecord:
    if state.caller is None:
        raise ApiError(401, "invalid_credentials", "credentials are needed")
    return state.caller


@serves("POST /v1/users/authorize")
def authorize(state: ClusterState, request: Request, body: Json) -> Response:
    """Issue a token to the user in the Authorization header; before 7.8 the credentials are in the body."""
    body = {} if body is None else body
    ttl = validate("jwt_authorize", body, body_rules(state.settings)).get("ttl", authentication.TOKEN_SECONDS)
    user = state.caller
    if user is None:
        user = authentication.authenticate(state, str(body.get("username", "")), str(body.get("password", "")))
    return json_response({"access_token": authentication.new_token(state, user, ttl)})


@serves("POST /v1/users/refresh_jwt")
def refresh(state: ClusterState, request: Request, body: Json) -> Response:
    """Issue a new token for one that is still valid."""
    if not authentication.has_token(request):
        raise ApiError(401, "invalid_credentials", "a token is needed")
    sent = {} if body is None else validate("jwt_authorize", body, body_rules(state.settings))
    return json_response(
        {"access_token": authentication.new_token(state, _caller(state), sent.get("ttl", authentication.TOKEN_SECONDS))}
    )


def _whose(state: ClusterState, sent: Mapping[str, Json]) -> ObjectRecord:
    """Return the user named in *sent*, by default the caller; only admins may name others."""
    caller, name = _caller(state), sent.get("username")
    if name is None:
        return caller
    user = authentication.find_account(state, name)
    if user is not caller:
        roles = [state.roles[uid].fields["management"] for uid in caller.fields["role_uids"] if uid in state.roles]
        if "admin" not in roles:
            raise ApiError(403, "unauthorized_action", "only admins change the passwords of others")
    if user is None:
        raise ApiError(404, "user_not_exist", f"no user {name}")
    return user


def _new_password(state: ClusterState, sent: Mapping[str, Json], user: ObjectRecord) -> str:
    password = sent.get("new_password")
    if not isinstance(password, str) or not password:
        raise schema_error("new_password", "missing")
    check_complexity(state, password, user)
    return digest(password)


def _stored(state: ClusterState, user: ObjectRecord, passwords: list[str]) -> Response:
    user.hidden["password"], user.hidden["more"] = passwords[0], passwords[1:]
    user.hidden.pop("locked_until", None)
    user.hidden["failures"] = []
    user.set(password_issue_date=state.stamp(), status="active")
    state.changed(state.users)
    return json_response(None)


def _held(user: ObjectRecord) -> list[str]:
    return [one for one in (user.hidden.get("password"), *user.hidden.get("more", ())) if one]


@serves("PUT /v1/users/password")
def replace_password(state: ClusterState, request: Request, body: Json) -> Response:
    """Replace all passwords of a user."""
    sent = validate("user_password_request", body, body_rules(state.settings))
    user = _whose(state, sent)
    password = _new_password(state, sent, user)
    if _held(user) == [password] and state.settings.on("same_password", "refuse"):
        raise ApiError(400, "new_password_same_as_current", "the password is in use already")
    return _stored(state, user, [password])


@serves("POST /v1/users/password")
def add_password(state: ClusterState, request: Request, body: Json) -> Response:
    """Add a password to a user."""
    sent = validate("user_password_request", body, body_rules(state.settings))
    user = _whose(state, sent)
    password = _new_password(state, sent, user)
    if password in _held(user):
        raise ApiError(400, "new_password_same_as_current", "the password is in use already")
    return _stored(state, user, [*_held(user), password])


@serves("DELETE /v1/users/password")
def delete_password(state: ClusterState, request: Request, body: Json) -> Response:
    """Delete one password of a user; the last one cannot be deleted."""
    sent = validate("user_password_request", body, body_rules(state.settings))
    user, old = _whose(state, sent), sent.get("old_password")
    if not isinstance(old, str):
        raise schema_error("old_password", "missing")
    held = _held(user)
    if digest(old) not in held:
        raise ApiError(400, "invalid_param", "that is not a password of the user")
    if len(held) == 1:
        raise ApiError(400, "cannot_delete_last_password", "one password must remain")
    return _stored(state, user, [one for one in held if one != digest(old)])


def _permissions(management: str) -> Json:
    own = [name for name, roles in table("permissions").items() if management in roles]
    return {"api_permissions": sorted(own), "ui_permissions": []}


_MANAGEMENT = ("admin", "cluster_member", "cluster_viewer", "db_member", "db_viewer", "none", "user_manager")


@serves("GET /v1/users/permissions")
def permissions(state: ClusterState, request: Request) -> Response:
    """Show what each management role may do."""
    return json_response({name: _permissions(name) for name in _MANAGEMENT})


@serves("GET /v1/users/permissions/{role}")
def permissions_of(state: ClusterState, request: Request, role: str) -> Response:
    """Show what one management role may do."""
    if role not in _MANAGEMENT:
        raise ApiError(404, "role_not_exist", f"no role {role}")
    return json_response(_permissions(role))


@serves("GET /v1/users/role")
def own_role(state: ClusterState, request: Request) -> Response:
    """Show the management role of the caller."""
    roles = [state.roles[uid] for uid in _caller(state).fields["role_uids"] if uid in state.roles]
    return json_response({"role": roles[0].fields["management"] if roles else "none"})


@serves("POST /v1/redis_acls/validate")
def validate_acl(state: ClusterState, request: Request, body: Json) -> Response:
    """Validate an ACL: a dry run of its creation."""
    return create(ACLS, state, request._replace(query={"dry_run": "true"}), body)
