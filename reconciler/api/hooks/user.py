"""What a user does that data cannot say: it may be us, and it can have several passwords while one follows another."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from reconciler.api.hooks.base import Door, Hook, Posted, Writing
from reconciler.api.protocol import Account, Call, Flow, ask
from reconciler.errors import ActionFailed, Conflict, Rejected

SAME = "new_password_same_as_current"
_PATH = "/v1/users/password"
# Older builds ignore the user name there and change the password of the account that asks (RS161290).
_FIRST_SAFE: Mapping[tuple[int, ...], tuple[int, ...]] = {(7, 8): (7, 8, 6, 119), (7, 22): (7, 22, 0, 216)}


def _write_passwords(writing: Writing, passwords: Any) -> Flow[str]:
    """Add what is new and show that it logs in; then take away what is declared no more."""
    paths = {f"passwords[{index}]": password for index, password in enumerate(passwords)}
    changed = writing.changed
    if "passwords" in changed:  # a create has sent the first one
        changed = dict.fromkeys([*paths][1:], True)
    added = [password for path, password in paths.items() if changed.get(path)]
    again = [password for path, password in paths.items() if changed.get(path) is False]
    leaving = (writing.wire.get("retire") or {}).get("passwords", [])
    gone = [password for password in leaving if password not in passwords] if "passwords[]" in changed else []
    if not (added or again or "passwords[]" in changed):
        return ""
    yield from _refuse_unsafe_build()
    user = str(writing.live.get("email") or writing.live.get("name") or writing.address.name)
    if again or ("passwords[]" in changed and not gone):
        yield from _only(user, passwords[0])  # what was there cannot be named, so all of it goes
        added = passwords[1:]
    for password in added:
        yield from _added(user, password)
    for password in gone:
        yield from _taken_away(user, password)
    return ""


def _refuse_unsafe_build() -> Flow[None]:
    answer = yield from ask("GET", "/v1/nodes")
    nodes = answer.body if isinstance(answer.body, list) else []
    for build in sorted({str(node.get("software_version", "")) for node in nodes if isinstance(node, Mapping)}):
        number = tuple(map(int, re.findall(r"\d+", build)))[:4]
        if number < _FIRST_SAFE.get(tuple(number[:2]), (7, 8, 6, 119)):
            raise Conflict(
                f"build {build} would change the password of the account that asks instead (RS161290); "
                "declare one password, as `password`"
            )


def _added(user: str, password: str) -> Flow[None]:
    try:
        yield from ask("POST", _PATH, {"username": user, "new_password": password})
    except Rejected as error:
        if error.error_code != SAME:
            raise
    if not (yield from _logs_in(user, password)):
        raise ActionFailed(f"the new password of {user} was added and does not log in; the others still do")


def _only(user: str, password: str) -> Flow[None]:
    try:
        yield from ask("PUT", _PATH, {"username": user, "new_password": password})
    except Rejected as error:
        if error.error_code != SAME:
            raise


def _taken_away(user: str, password: str) -> Flow[None]:
    try:
        yield from ask("DELETE", _PATH, {"username": user, "old_password": password})
    except Rejected:
        if (yield from _logs_in(user, password)):
            raise


def _logs_in(user: str, password: str) -> Flow[bool]:
    answer = yield Call("GET", "/v1/nodes", login=Account(user, password))
    return bool(answer.status != 401)


def post(writing: Writing) -> Flow[Posted]:
    """Create a user with its first password; a create takes one, the others follow."""
    passwords = writing.beside.get("passwords") or ()
    wire = {**writing.wire, **({"password": passwords[0]} if passwords else {})}
    answer = yield from ask("POST", writing.kind.rest.path, wire)
    uid = answer.body.get("uid") if isinstance(answer.body, Mapping) else None
    return Posted(uid if isinstance(uid, int) else None)


HOOK = Hook(
    apart=frozenset({"retire"}),
    logs_in_by=("name", "email"),
    secret_is_so=frozenset({SAME}),
    doors={"passwords": Door(_write_passwords)},
    post=post,
)
