"""Authentication and permissions: passwords, tokens, lockout after failed logins, the permission table."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Callable, Mapping

from reconciler.simulator.access.client_certificates import client_authority, user_of
from reconciler.simulator.api.fields import is_available
from reconciler.simulator.api.messages import ApiError, Json, Request, encode
from reconciler.simulator.data.tables import table
from reconciler.simulator.state.clock import format_time
from reconciler.simulator.state.model import ClusterState
from reconciler.simulator.state.records import ObjectRecord, digest

_CHALLENGE = {"www-authenticate": 'Basic realm="simulator"'}


def _denied(description: str = "login failed") -> ApiError:
    return ApiError(401, "invalid_credentials", description, _CHALLENGE)


def _credentials(headers: Mapping[str, str]) -> tuple[str, str]:
    scheme, _, token = headers.get("authorization", "").partition(" ")
    if scheme.lower() != "basic":
        raise _denied("credentials are needed")
    try:
        name, colon, password = base64.b64decode(token.strip(), validate=True).decode("utf-8").partition(":")
    except ValueError:  # not ASCII, not base64, not UTF-8
        raise _denied() from None
    if not colon:
        raise _denied()
    return name, password


def find_account(state: ClusterState, name: str) -> ObjectRecord | None:
    """Return the user with this e-mail address or name."""
    found = state.users.named("email", name) or state.users.named("name", name) if name else None
    if found is None and name == state.settings.username:
        found = next((user for user in state.users.values() if user.hidden.get("operator")), None)
    return found


_OPEN: Mapping[str, Callable[[ClusterState], bool]] = {
    "body": lambda state: True,
    "healthcheck": lambda state: (
        state.singletons["cluster_settings"].fields.get("master_healthcheck_api_auth") is False
    ),
}


def is_open(state: ClusterState, row: Mapping[str, Json]) -> bool:
    """Return whether the operation of *row* needs no login: column `open` names the rule and the last version."""
    rule, last = row.get("open", ("", ""))
    return bool(rule) and is_available({"until": last}, state.settings.server_version) and _OPEN[rule](state)


def login(state: ClusterState, request: Request) -> ObjectRecord:
    """Return the user who makes *request*, or raise 401. Failed logins are counted, and too many lock the account."""
    given = "authorization" in request.headers
    wins = state.settings.on("certificate_and_header", "certificate")
    if request.certificate and client_authority(state) and (wins or not given):
        user = user_of(state, request.certificate)
        if user is None:
            raise _denied("the client certificate belongs to no user")
        return user
    if has_token(request):
        return _by_token(state, request)
    if state.cluster.fields.get("control_plane_basic_authentication") is False:
        raise _denied("logins with a password are disabled")
    header = request.headers.get("authorization", "")
    known = state.logins.get(header)
    if known is not None and known[0] == state.users.version and "locked_until" not in known[1].hidden:
        _current(state, known[1])
        known[1].fields["last_login"] = int(state.now)
        return known[1]
    user = authenticate(state, *_credentials(request.headers))
    if len(state.logins) > 64:
        state.logins.clear()
    state.logins[header] = (state.users.version, user)
    return user


def authenticate(state: ClusterState, name: str, password: str) -> ObjectRecord:
    """Return the user with *name* and *password*, or raise 401."""
    user = find_account(state, name)
    if user is None:
        raise _denied()
    _locked(state, user)
    held = (user.hidden.get("password"), *user.hidden.get("more", ()))
    if digest(password) not in held or user.hidden.get("gone"):
        _count_failure(state, user)
        raise _denied()
    _current(state, user)
    user.hidden["failures"] = []
    user.set(last_login=int(state.now))
    return user


def _current(state: ClusterState, user: ObjectRecord) -> None:
    """Raise 401 where the password of *user* is older than the cluster allows."""
    days = state.cluster.fields.get("password_expiration_duration", 0)
    if not days:
        return
    issued = str(user.fields.get("password_issue_date", ""))
    if issued and issued <= format_time(max(0, state.now - days * 86400)):
        user.set(status="password_expired")
        raise ApiError(401, "password_expired", "the password has expired", _CHALLENGE)


# Tokens

TOKEN_SECONDS = 300


def has_token(request: Request) -> bool:
    """Return whether *request* carries a token instead of a password."""
    return request.headers.get("authorization", "").partition(" ")[0].lower() in ("bearer", "jwt")


def _by_token(state: ClusterState, request: Request) -> ObjectRecord:
    scheme, _, token = request.headers["authorization"].partition(" ")
    wanted = state.settings.switches["jwt_scheme"]
    uid, until = state.tokens.get(token.strip(), (0, 0.0))
    user = state.users.get(uid)
    if wanted not in ("both", scheme.lower()) or until <= state.now or user is None or user.hidden.get("gone"):
        raise _denied("the token is invalid or has expired")
    return user


def _part(value: Json) -> str:
    return base64.urlsafe_b64encode(encode(value).encode()).decode().rstrip("=")


def new_token(state: ClusterState, user: ObjectRecord, seconds: int) -> str:
    """Return a token for *user* that is valid for *seconds*."""
    state.tokens = {token: held for token, held in state.tokens.items() if held[1] > state.now}
    claims = {"sub": str(user.fields["uid"]), "iat": int(state.now), "exp": int(state.now + seconds)}
    text = f"{_part({'alg': 'HS256', 'typ': 'JWT'})}.{_part({**claims, 'jti': state.new_id()})}"
    state.token_key = state.token_key or state.random.randbytes(32)
    seal = hmac.new(state.token_key, text.encode(), hashlib.sha256).digest()
    token = f"{text}.{base64.urlsafe_b64encode(seal).decode().rstrip('=')}"
    state.tokens[token] = (user.fields["uid"], state.now + seconds)
    return token


# Lockout


def _locked(state: ClusterState, user: ObjectRecord) -> None:
    until = user.hidden.get("locked_until")
    if until is None:
        return
    if state.now < until:
        raise _denied("the account is locked")
    del user.hidden["locked_until"]
    user.set(status="active")


def _count_failure(state: ClusterState, user: ObjectRecord) -> None:
    policy = state.singletons["cluster_settings"].fields
    window, allowed = policy["login_lockout_counter_reset_after"], policy["login_lockout_threshold"]
    recent = [moment for moment in user.hidden.get("failures", ()) if moment > state.now - window]
    user.hidden["failures"] = [*recent, state.now]
    if allowed and len(recent) + 1 >= allowed:
        seconds = policy["login_lockout_duration"]
        user.hidden["locked_until"] = state.now + seconds if seconds else float("inf")
        user.set(status="locked")


def require_permission(state: ClusterState, user: ObjectRecord, permission: str | None, own: bool = False) -> None:
    """Raise 403 unless one of the roles of *user* grants *permission*, or *own*: users may read and edit themselves."""
    if permission is None or own:
        return
    allowed = table("permissions")[permission]
    roles = [state.roles[uid].fields["management"] for uid in user.fields.get("role_uids", ()) if uid in state.roles]
    if not any(role in allowed for role in roles):
        raise ApiError(403, "unauthorized_action", f"permission {permission} is needed")
