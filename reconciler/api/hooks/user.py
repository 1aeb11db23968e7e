"""The hook of a user: it may be the management account, and it can have several passwords during a rotation."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from reconciler.api.hooks.base import Created, Hook, SubResource, WriteContext
from reconciler.api.protocol import Call, Flow, Login, request
from reconciler.errors import ActionFailed, Conflict, Rejected

SAME = "new_password_same_as_current"
_PATH = "/v1/users/password"
# Older builds ignore the user name there and change the password of the calling account (RS161290).
_FIRST_SAFE: Mapping[tuple[int, ...], tuple[int, ...]] = {(7, 8): (7, 8, 6, 119), (7, 22): (7, 22, 0, 216)}


def _write_passwords(context: WriteContext, passwords: Any) -> Flow[str]:
    """Add new passwords and verify that they log in; then remove those that are no longer declared."""
    paths = {f"passwords[{index}]": password for index, password in enumerate(passwords)}
    changed = context.changed
    if "passwords" in changed:  # the create has sent the first one
        changed = dict.fromkeys([*paths][1:], True)
    added = [password for path, password in paths.items() if changed.get(path)]
    again = [password for path, password in paths.items() if changed.get(path) is False]
    leaving = (context.wire.get("retire") or {}).get("passwords", [])
    gone = [password for password in leaving if password not in passwords] if "passwords[]" in changed else []
    if not (added or again or "passwords[]" in changed):
        return ""
    yield from _refuse_unsafe_build()
    user = str(context.live.get("email") or context.live.get("name") or context.address.name)
    if again or ("passwords[]" in changed and not gone):
        yield from _set_only_password(user, passwords[0])  # the former passwords are not known, so all are removed
        added = passwords[1:]
    for password in added:
        yield from _add_password(user, password)
    for password in gone:
        yield from _remove_password(user, password)
    return ""


def _refuse_unsafe_build() -> Flow[None]:
    response = yield from request("GET", "/v1/nodes")
    nodes = response.body if isinstance(response.body, list) else []
    for build in sorted({str(node.get("software_version", "")) for node in nodes if isinstance(node, Mapping)}):
        number = tuple(map(int, re.findall(r"\d+", build)))[:4]
        if number < _FIRST_SAFE.get(tuple(number[:2]), (7, 8, 6, 119)):
            raise Conflict(
                f"build {build} would change the password of the calling account instead (RS161290); "
                "declare one password, as `password`"
            )


def _add_password(user: str, password: str) -> Flow[None]:
    try:
        yield from request("POST", _PATH, {"username": user, "new_password": password})
    except Rejected as error:
        if error.error_code != SAME:
            raise
    if not (yield from _logs_in(user, password)):
        raise ActionFailed(f"the new password of {user} was added but does not log in; the others still do")


def _set_only_password(user: str, password: str) -> Flow[None]:
    try:
        yield from request("PUT", _PATH, {"username": user, "new_password": password})
    except Rejected as error:
        if error.error_code != SAME:
            raise


def _remove_password(user: str, password: str) -> Flow[None]:
    try:
        yield from request("DELETE", _PATH, {"username": user, "old_password": password})
    except Rejected:
        if (yield from _logs_in(user, password)):
            raise


def _logs_in(user: str, password: str) -> Flow[bool]:
    response = yield Call("GET", "/v1/nodes", login=Login(user, password))
    return bool(response.status != 401)


def create(context: WriteContext) -> Flow[Created]:
    """Create a user with its first password; the others are added afterwards."""
    passwords = context.separate.get("passwords") or ()
    wire = {**context.wire, **({"password": passwords[0]} if passwords else {})}
    response = yield from request("POST", context.kind.rest.path, wire)
    uid = response.body.get("uid") if isinstance(response.body, Mapping) else None
    return Created(uid if isinstance(uid, int) else None)


HOOK = Hook(
    separate_fields=frozenset({"retire"}),
    login_fields=("name", "email"),
    same_secret_codes=frozenset({SAME}),
    sub_resources={"passwords": SubResource(_write_passwords)},
    create=create,
)
