"""What the access of this tool rests on: its login method and its account. `live` reads it where a plan may end it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from reconciler.api.protocol import Call, Flow
from reconciler.errors import Forbidden, ReadIncomplete, Rejected, Unreachable

PASSWORD, CERTIFICATE, DIRECTORY = "password", "certificate", "directory"
NON_ADMINISTRATOR = "password of a non-administrator"


def access(user: str, method: str) -> Flow[frozenset[str]]:
    """Return the words of `x-impact.login` that apply to *user*, who logs in by *method*; with less rights, fewer."""
    try:
        users = yield from _listed("/v1/users")
        roles = yield from _listed("/v1/roles")
    except (Forbidden, Rejected, ReadIncomplete, Unreachable):
        return frozenset((method,))
    own = [one for one in users if user in (one.get("name"), one.get("email"))]
    if not own:
        return frozenset((DIRECTORY if method == PASSWORD else method,))
    mine = [role for role in roles if role.get("uid") in (own[0].get("role_uids") or ())]
    found = {method}
    if len(mine) == 1:
        found.add(f"role {mine[0].get('name')}")
    if method == PASSWORD and mine and not any(role.get("management") == "admin" for role in mine):
        found.add(NON_ADMINISTRATOR)
    return frozenset(found)


def _listed(path: str) -> Flow[Iterable[Mapping[str, Any]]]:
    response = yield Call("GET", path, missing_ok=False, shape=list, tolerant=True)
    return [one for one in response.body if isinstance(one, Mapping)]
