"""Who is calling and what they may do: Basic authentication, the lockout after bad logins, the permission table."""

from __future__ import annotations

import base64
from collections.abc import Mapping

from .data import table
from .messages import ApiError, Request
from .state import Record, State, digest

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


def _account(state: State, name: str) -> Record | None:
    found = state.users.named("email", name) or state.users.named("name", name) if name else None
    if found is None and name == state.settings.username:
        found = next((user for user in state.users.values() if user.hidden.get("operator")), None)
    return found


def login(state: State, request: Request) -> Record:
    """Return the user that *request* speaks for, or raise 401. Bad logins count, and too many lock the account."""
    header = request.headers.get("authorization", "")
    known = state.logins.get(header)
    if known is not None and known[0] == state.users.version and "locked_until" not in known[1].hidden:
        known[1].fields["last_login"] = int(state.now)
        return known[1]
    name, password = _credentials(request.headers)
    user = _account(state, name)
    if user is None:
        raise _denied()
    _locked(state, user)
    if user.hidden.get("password") != digest(password) or user.hidden.get("gone"):
        _count_failure(state, user)
        raise _denied()
    user.hidden["failures"] = []
    user.set(last_login=int(state.now))
    if len(state.logins) > 64:
        state.logins.clear()
    state.logins[header] = (state.users.version, user)
    return user


def _locked(state: State, user: Record) -> None:
    until = user.hidden.get("locked_until")
    if until is None:
        return
    if state.now < until:
        raise _denied("the account is locked")
    del user.hidden["locked_until"]
    user.set(status="active")


def _count_failure(state: State, user: Record) -> None:
    settings = state.settings
    recent = [moment for moment in user.hidden.get("failures", ()) if moment > state.now - settings.login_window]
    user.hidden["failures"] = [*recent, state.now]
    if settings.login_attempts and len(recent) + 1 >= settings.login_attempts:
        user.hidden["locked_until"] = state.now + settings.lockout_seconds if settings.lockout_seconds else float("inf")
        user.set(status="locked")


def permit(state: State, user: Record, permission: str | None, own: bool = False) -> None:
    """Raise 403 unless one of the roles of *user* has *permission*; people may read and edit themselves (*own*)."""
    if permission is None or own:
        return
    allowed = table("permissions")[permission]
    roles = [state.roles[uid].fields["management"] for uid in user.fields["role_uids"] if uid in state.roles]
    if not any(role in allowed for role in roles):
        raise ApiError(403, "unauthorized_action", f"permission {permission} is needed")
