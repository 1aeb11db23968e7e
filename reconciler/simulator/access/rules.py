"""Validation of users, roles, ACLs and LDAP mappings. A check gets the sent fields and, for an update, the record.

A check raises `ApiError`, or normalises *sent* in place.
"""

from __future__ import annotations

from collections.abc import Mapping

from reconciler.simulator.access.authentication import require_permission
from reconciler.simulator.api.fields import body_rules, validate
from reconciler.simulator.api.messages import ApiError, Json
from reconciler.simulator.resources.collection import Collection, Fields
from reconciler.simulator.state.model import ClusterState
from reconciler.simulator.state.records import ObjectRecord, Table, digest


def _unique(table: Table, field: str, value: Json, record: ObjectRecord | None, refusal: ApiError) -> None:
    other = table.named(field, value) if value else None
    if other is not None and other is not record:
        raise refusal


def check_role(state: ClusterState, sent: dict[str, Json], record: ObjectRecord | None) -> None:
    """Check a role: what a PUT without resources means, and that an admin role remains."""
    if record is None:
        return
    if "resources" not in sent and "resources" in record.fields and state.settings.on("role_put_resources", "clears"):
        sent["resources"] = []
    if record.fields["management"] == "admin" and sent.get("management", "admin") != "admin":
        others = {
            uid for uid, role in state.roles.items() if role is not record and role.fields["management"] == "admin"
        }
        if not any(others & set(user.fields.get("role_uids", ())) for user in state.users.alive().values()):
            raise ApiError(406, "change_last_admin_role_not_allowed", "one admin must remain")


def check_acl(state: ClusterState, sent: dict[str, Json], record: ObjectRecord | None) -> None:
    """Check an ACL: its rules."""
    if "acl" in sent and not _plausible(sent["acl"]):
        raise ApiError(400, "invalid_param", "acl is not a list of ACL rules")


def _plausible(acl: str) -> bool:
    """Return whether each word could be an ACL rule; selectors in parentheses may contain spaces."""
    starts = ("+", "-", "~", "%", "&", "(", "allkeys", "resetkeys", "allchannels", "resetchannels", "allcommands")
    words = acl.replace("(", " ( ").replace(")", " ").split()
    return bool(words) and all(word.startswith((*starts, "nocommands", "reset", "clearselectors")) for word in words)


def admin_uids(state: ClusterState) -> list[int]:
    """Return the uids of the users that are admins."""
    admin = {uid for uid, role in state.roles.items() if role.fields["management"] == "admin"}
    return [uid for uid, user in state.users.alive().items() if admin & set(user.fields.get("role_uids", ()))]


def check_user(state: ClusterState, sent: dict[str, Json], record: ObjectRecord | None) -> None:
    """Check a user: address, roles, password, and that an admin remains."""
    if "email" in sent:
        status = 409 if record is None else int(state.settings.switches["user_put_email_status"])
        refusal = ApiError(status, "email_already_exists", "the e-mail address is taken")
        _unique(state.users, "email", sent["email"], record, refusal)
    if "role" in sent and "role_uids" not in sent:
        sent["role_uids"] = role_uids(state, sent["role"])
    sent.pop("role", None)
    if not set(sent.get("role_uids", ())) <= set(state.roles.alive()):
        raise ApiError(400, "invalid_param", "role_uids contains a role that does not exist")
    _check_password(state, sent, record)
    if record is not None and "role_uids" in sent and admin_uids(state) == [record.fields["uid"]]:
        kept = any(state.roles[uid].fields["management"] == "admin" for uid in sent["role_uids"])
        if not kept:
            raise ApiError(406, "change_last_admin_role_not_allowed", "one admin must remain")


def _check_password(state: ClusterState, sent: Mapping[str, Json], record: ObjectRecord | None) -> None:
    if record is None and sent.get("auth_method", "regular") == "regular" and not sent.get("password"):
        raise ApiError(400, "missing_field", "password is needed")
    if "password" not in sent:
        return
    password = sent["password"]
    check_complexity(state, password, record, sent.get("email", ""))
    same = record is not None and record.hidden.get("password") == digest(password)
    if same and state.settings.on("same_password", "refuse"):
        raise ApiError(400, "new_password_same_as_current", "the password is in use already")


_CLASSES = (str.islower, str.isupper, str.isdigit, lambda letter: not letter.isalnum())


def check_complexity(state: ClusterState, password: str, user: ObjectRecord | None, email: str = "") -> None:
    """Raise 400 for a *password* that violates the complexity rules, where the cluster enforces them."""
    cluster = state.cluster.fields
    if not cluster.get("password_complexity"):
        return
    email = (email or (user.fields.get("email", "") if user else "")).lower()
    long = len(password) >= cluster.get("password_min_length", 8)
    mixed = all(any(map(test, password)) for test in _CLASSES)
    repeats = any(letter * 4 in password for letter in password)
    if not long or not mixed or repeats or (email and password.lower() in (email, email[::-1])):
        raise ApiError(400, "password_not_complex", "the password is too simple")


def check_mapping(state: ClusterState, sent: dict[str, Json], record: ObjectRecord | None) -> None:
    """Check an LDAP mapping: its roles."""
    if not set(sent.get("role_uids", ())) <= set(state.roles.alive()):
        raise ApiError(400, "invalid_role_uids_param", "role_uids contains a role that does not exist")


_OWN_FIELDS = frozenset({"name", "email", "password", "email_alerts", "bdbs_email_alerts", "cluster_email_alerts"})


def parse_user(collection: Collection, state: ClusterState, body: Json, record: ObjectRecord | None) -> Fields:
    """Return the fields of a user in *body*, with `role` as `role_uids`; callers may change parts of themselves."""
    sent = validate(collection.kind, body, body_rules(state.settings))
    if record is None and "role" in sent and not sent.get("role_uids"):
        sent["role_uids"] = role_uids(state, sent["role"])
    if record is not None and state.caller is record and not set(sent) - {"uid"} <= _OWN_FIELDS:
        require_permission(state, record, "update_user")
    return sent


def role_uids(state: ClusterState, management: str) -> list[int]:
    """Return a list with the uid of the first role that has this management role."""
    return [uid for uid, role in state.roles.items() if role.fields["management"] == management][:1]


def store_user(state: ClusterState, record: ObjectRecord, sent: Fields) -> None:
    """Store *sent* in *record*; a password is hidden from reads."""
    if "password" in sent:
        record.hidden["password"] = digest(sent["password"])
        record.hidden.pop("more", None)
        record.hidden.pop("locked_until", None)
        record.hidden["failures"] = []
        sent = {**sent, "password_issue_date": state.stamp(), "status": "active"}
    record.set(**{name: value for name, value in sent.items() if name not in ("password", "password_hash_method")})


def guard_user(state: ClusterState, record: ObjectRecord, verb: str) -> None:
    """Refuse to delete the last admin, and the account in use."""
    if verb != "delete":
        return
    if admin_uids(state) == [record.fields["uid"]]:
        raise ApiError(406, "change_last_admin_role_not_allowed", "one admin must remain")
    if state.caller is record and state.settings.on("delete_self", "refuse"):
        raise ApiError(406, "not_acceptable", "the account in use cannot be deleted")
