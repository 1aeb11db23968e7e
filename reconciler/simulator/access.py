"""Users, roles, Redis ACLs and LDAP mappings: collections of plain objects, with guards for what is built in."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from . import actions, auth
from .access_rules import admins, check_acl, check_mapping, check_role, check_user
from .messages import ApiError, Json, Request, Response, answer, is_dry_run
from .shapes import absent, accept, how
from .state import Record, State, Table, digest

Checks = Callable[[State, dict[str, Json], "Record | None"], None]


class Family(NamedTuple):
    """What differs between the four kinds."""

    kind: str
    word: str
    missing: str
    table: Callable[[State], Table]
    check: Checks
    required: tuple[str, ...]


def _users(state: State) -> Table:
    return state.users


def _roles(state: State) -> Table:
    return state.roles


def _acls(state: State) -> Table:
    return state.acls


def _mappings(state: State) -> Table:
    return state.mappings


USERS = Family("user", "user", "user_not_exist", _users, check_user, ("role_uids",))
ROLES = Family("role", "role", "role_not_exist", _roles, check_role, ("name", "management"))
ACLS = Family("redis_acl", "ACL", "redis_acl_not_exist", _acls, check_acl, ("name", "acl"))


MAPPINGS = Family(
    "ldap_mapping", "LDAP mapping", "ldap_mapping_not_exist", _mappings, check_mapping, ("name", "dn", "role_uids")
)


def shown(state: State, family: Family, record: Record) -> Json:
    """Return what a read of *record* shows."""
    later = absent(family.kind, state.settings.server_version)
    fields = {name: value for name, value in record.fields.items() if name not in later}
    if family is USERS and state.settings.on("user_role_field", "both"):
        roles = [state.roles[uid] for uid in record.fields.get("role_uids", ()) if uid in state.roles]
        if roles:
            return {**fields, "role": roles[0].fields["management"]}
    return fields


def list_all(family: Family, state: State, request: Request) -> Response:
    """GET of a collection."""
    return answer([shown(state, family, record) for record in family.table(state).values()])


def _found(family: Family, state: State, uid: str) -> Record:
    table = family.table(state)
    if not uid.isdecimal() or int(uid) not in table:
        raise ApiError(404, family.missing, f"no {family.word} with uid {uid}")
    return table[int(uid)]


def get(family: Family, state: State, request: Request, uid: str) -> Response:
    """GET of one object."""
    return answer(shown(state, family, _found(family, state, uid)))


def _accepted(family: Family, state: State, body: Json) -> dict[str, Json]:
    return accept(family.kind, body, how(state.settings))


def _keep(state: State, record: Record, sent: dict[str, Json]) -> None:
    """Put *sent* into *record*; a password goes where no read finds it."""
    if "password" in sent:
        record.hidden["password"] = digest(sent["password"])
        record.hidden.pop("more", None)
        record.hidden.pop("locked_until", None)
        record.hidden["failures"] = []
        sent = {**sent, "password_issue_date": state.stamp(), "status": "active"}
    visible = {name: value for name, value in sent.items() if name not in ("password", "password_hash_method")}
    record.set(**visible)
    record.fields = dict(sorted(record.fields.items()))


def create(family: Family, state: State, request: Request, body: Json) -> Response:
    """POST to a collection."""
    sent = _accepted(family, state, body)
    if family is USERS and "role" in sent:
        sent.setdefault("role_uids", [])
        if not sent["role_uids"]:
            del sent["role_uids"]
    needed = [name for name in family.required if name not in sent and not (name == "role_uids" and "role" in sent)]
    if needed:
        raise ApiError(400, "missing_field", f"{needed[0]} is needed")
    table = family.table(state)
    if sent.get("uid") in table:
        raise ApiError(409, "uid_exists", f"uid {sent['uid']} is taken")
    family.check(state, sent, None)
    uid = sent.get("uid", table.next_uid)
    record = Record({**_first(family, state), "uid": uid})
    _keep(state, record, sent)
    if is_dry_run(request):
        return answer(shown(state, family, record))
    table[table.claim(uid)] = record
    state.changed(table)
    return answer({**shown(state, family, record), **_action(family, state, "Create", uid)})


def _first(family: Family, state: State) -> dict[str, Json]:
    if family is USERS:
        fields = {"auth_method": "regular", "certificate_subject_line": "", "email_alerts": True}
        return {**fields, "email": "", "password_issue_date": state.stamp(), "status": "active"}
    if family is MAPPINGS:
        return {"bdbs_email_alerts": [], "cluster_email_alerts": False, "email": "", "email_alerts": True}
    return {"min_version": "6.2", "max_version": "9999"} if family is ACLS else {}


def _action(family: Family, state: State, verb: str, uid: int) -> dict[str, Json]:
    if state.settings.on("access_actions", "off"):
        return {}
    action = actions.begin(state, f"SM{verb}{_machine(family)}", family.kind, uid)
    actions.finish(state, action)
    return {"action_uid": action.fields["action_uid"]}


def _machine(family: Family) -> str:
    return family.word.title().replace(" ", "")


def _guard(family: Family, state: State, record: Record) -> None:
    if not record.hidden.get("builtin"):
        return
    if family is ACLS:
        raise ApiError(409, "read_only_object", "a predefined ACL cannot change")
    if family is ROLES and state.settings.on("builtin_roles", "guarded"):
        raise ApiError(406, "read_only_object", "a built-in role cannot change")


_OWN = frozenset({"name", "email", "password", "email_alerts", "bdbs_email_alerts", "cluster_email_alerts"})


def update(family: Family, state: State, request: Request, uid: str, body: Json) -> Response:
    """PUT of one object: partial."""
    record = _found(family, state, uid)
    _guard(family, state, record)
    sent = _accepted(family, state, body)
    if sent.pop("uid", record.fields["uid"]) != record.fields["uid"]:
        raise ApiError(400, "invalid_param", "uid is fixed")
    if state.caller is record and not set(sent) <= _OWN:
        auth.permit(state, record, "update_user")
    family.check(state, sent, record)
    if is_dry_run(request):
        copy = Record(record.fields, dict(record.hidden))
        _keep(state, copy, sent)
        return answer(shown(state, family, copy))
    _keep(state, record, sent)
    state.changed(family.table(state))
    return answer({**shown(state, family, record), **_action(family, state, "Update", record.fields["uid"])})


def delete(family: Family, state: State, request: Request, uid: str) -> Response:
    """DELETE of one object: it lingers for a moment and is gone."""
    record = _found(family, state, uid)
    _guard(family, state, record)
    if family is USERS:
        _guard_user(state, request, record)
    _release(family, state, record)
    if is_dry_run(request):
        return answer(None)
    action = actions.begin(state, f"SMDelete{_machine(family)}", family.kind, record.fields["uid"])
    table = family.table(state)

    def finish() -> None:
        actions.finish(state, action)
        if table.get(record.fields["uid"]) is record:
            del table[record.fields["uid"]]
            table.version += 1

    record.hidden["gone"] = True
    state.changed(table)
    state.later(state.settings.access_delete_seconds, finish)
    return answer({"action_uid": action.fields["action_uid"]})


def _guard_user(state: State, request: Request, record: Record) -> None:
    if admins(state) == [record.fields["uid"]]:
        raise ApiError(406, "change_last_admin_role_not_allowed", "one admin must remain")
    if state.caller is record and state.settings.on("delete_self", "refuse"):
        raise ApiError(406, "not_acceptable", "the account in use cannot be deleted")


def _bindings(bdb: Record) -> list[Json]:
    return list(bdb.fields.get("roles_permissions", ()))  # a snapshot may lack them


def _release(family: Family, state: State, record: Record) -> None:
    """Refuse to delete what is in use, or take it out of what uses it, as the switches say."""
    uid = record.fields["uid"]
    if family in (USERS, MAPPINGS):
        return
    field, switch = ("role_uid", "role_in_bdbs") if family is ROLES else ("redis_acl_uid", "acl_in_use")
    bound = [bdb for bdb in state.bdbs.values() if any(item[field] == uid for item in _bindings(bdb))]
    people = [*state.users.values(), *state.mappings.values()] if family is ROLES else []
    holders = [one for one in people if uid in one.fields.get("role_uids", ())]
    if (bound and state.settings.on(switch, "refuse")) or (holders and state.settings.on("role_with_users", "refuse")):
        raise ApiError(406, "in_use", f"the {family.word} is in use")
    for bdb in bound:
        bdb.set(roles_permissions=[item for item in _bindings(bdb) if item[field] != uid])
    for user in holders:
        user.set(role_uids=[other for other in user.fields.get("role_uids", ()) if other != uid])
    if bound:
        state.changed(state.bdbs)
