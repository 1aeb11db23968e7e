"""Changes that would end the access of this tool for good: held, whatever consent there is, and never sent."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from reconciler import live, reconcile
from reconciler.client import Client
from reconciler.errors import PlanStale
from reconciler.manifests import Resource
from reconciler.model import Address, LiveObject, LiveState, Owned
from reconciler.plan import Options, Plan
from reconciler.plan.read_set import read_sets
from reconciler.render.reasons import note_text
from reconciler.simulator.testing import Caller
from tests.support.cluster import SimulatedCluster
from tests.support.planning import make_plan
from tests.support.resources import KINDS, declared

CONSENT = ("may-cut-off", "irreversible")


def read(client: Client, resources: Iterable[Resource], leaving: Iterable[Address] = ()) -> dict[str, LiveState]:
    sets = read_sets(KINDS, resources, leaving, ["dc1"])
    return {"dc1": live.read(client, KINDS, sets["dc1"], "dc1")}


def planned(client: Client, *resources: Resource) -> Plan:
    return make_plan(KINDS, resources, read(client, resources))


def held(plan: Plan) -> list[str]:
    assert plan.changes == ()
    return [note_text(note) for note in plan.notes]


def with_account(management: str, cluster: SimulatedCluster) -> Client:
    """Return a client whose account has the one role `tool`."""
    call = Caller(cluster.core)
    role = call("POST", "/v1/roles", {"name": "tool", "management": management}).json()["uid"]
    user = {"email": "tool@example.com", "name": "tool", "password": "simulator", "role_uids": [role]}
    assert call("POST", "/v1/users", user).status == 200
    return as_account(cluster, "tool@example.com")


def as_account(cluster: SimulatedCluster, user: str) -> Client:
    settings = cluster.core.settings
    before = settings.username
    settings.username = user
    try:
        return cluster.client()
    finally:
        settings.username = before


def test_basic_authentication_is_not_switched_off_by_a_tool_that_needs_it() -> None:
    cluster = SimulatedCluster()
    change = declared("Cluster", "cluster", {"control_plane_basic_authentication": False}, allow=CONSENT)
    assert held(planned(cluster.client(), change)) == [
        "control_plane_basic_authentication: it would end the password by which this tool has access, and this tool "
        "could not take it back; give it another login first, or make this change by other means"
    ]
    assert cluster.sent == []


def test_other_settings_of_the_same_object_are_planned_once_that_one_is_removed() -> None:
    plan = planned(SimulatedCluster().client(), declared("Cluster", "cluster", {"email_alerts": True}))
    assert len(plan.changes) == 1


def test_the_only_role_of_the_account_does_not_lose_all_permissions() -> None:
    client = with_account("admin", SimulatedCluster())
    assert (
        "it would end the role by which"
        in held(planned(client, declared("Role", "tool", {"management": "none"}, allow=CONSENT)))[0]
    )
    (change,) = planned(client, declared("Role", "tool", {"management": "cluster_member"}, allow=CONSENT)).changes
    assert change.impacts[0].impact == "may-cut-off"  # another administrator can take it back


def test_the_role_of_another_account_can_lose_all_permissions() -> None:
    cluster = SimulatedCluster()
    with_account("admin", cluster)
    assert len(planned(cluster.client(), declared("Role", "tool", {"management": "none"})).changes) == 1


def test_enforced_single_sign_on_is_refused_to_an_account_that_is_no_administrator() -> None:
    cluster = SimulatedCluster()
    settings = {"enforce_control_plane": True}
    before = {"issuer": {"id": "urn:a", "login_url": "https://idp.example.com/sso"}, **settings}
    change = declared("SSO", "cluster", before, allow=CONSENT)
    client = with_account("user_manager", cluster)
    assert "password of a non-administrator" in "".join(note_text(note) for note in planned(client, change).notes)
    assert len(planned(cluster.client(), change).changes) == 1


def test_a_directory_account_does_not_switch_the_directory_off() -> None:
    state = {"dc1": LiveState("dc1", {"LDAP": (ldap(),)}, access=frozenset({"directory"}))}
    for change in (
        declared("LDAP", "cluster", {"control_plane": False}, allow=CONSENT),
        declared("LDAP", "cluster", {}, absent=True, allow=CONSENT),
    ):
        assert "end the directory by which" in held(make_plan(KINDS, [change], state))[0]


def ldap() -> LiveObject:
    return LiveObject("LDAP", "cluster", "cluster", spec={"control_plane": True})


def test_a_certificate_login_is_not_switched_off_by_a_tool_that_uses_it() -> None:
    one = LiveObject("Cluster", "cluster", "cluster", spec={"mtls_certificate_authentication": True})
    state = LiveState("dc1", {"Cluster": (one,)}, access=frozenset({"certificate"}))
    change = declared("Cluster", "cluster", {"mtls_certificate_authentication": False}, allow=CONSENT)
    assert "end the certificate by which" in held(make_plan(KINDS, [change], {"dc1": state}))[0]
    basic = declared("Cluster", "cluster", {"control_plane_basic_authentication": False}, allow=CONSENT)
    assert len(make_plan(KINDS, [basic], {"dc1": state}).changes) == 1  # passwords are not needed


def test_the_authority_of_the_own_client_certificate_is_not_deleted() -> None:
    one = LiveObject("Certificate", "mtls_trusted_ca", "mtls_trusted_ca", spec={"certificate": "PEM"})
    state = LiveState("dc1", {"Certificate": (one,)}, access=frozenset({"certificate"}))
    gone = declared("Certificate", "mtls_trusted_ca", {}, absent=True, allow=CONSENT)
    assert "end the certificate by which" in held(make_plan(KINDS, [gone], {"dc1": state}))[0]
    pruned = make_plan(
        KINDS,
        [declared("Role", "other", {"management": "db_viewer"})],
        {"dc1": LiveState("dc1", {"Certificate": (one,), "Role": ()}, access=frozenset({"certificate"}))},
        {Address("dc1", "Certificate", "mtls_trusted_ca"): Owned("mtls_trusted_ca", "", {})},
        Options(prune=True),
    )
    assert [change.address.kind for change in pruned.changes] == ["Role"]


def test_a_saved_plan_that_was_made_with_another_login_is_refused() -> None:
    client = with_account("admin", cluster := SimulatedCluster())
    role = declared("Role", "tool", {"management": "none"})
    plan = planned(cluster.client(), role)
    sets = read_sets(KINDS, [role], [], ["dc1"])
    with pytest.raises(PlanStale, match="management: was harmless, is the end of the role that is used"):
        reconcile.refuse_if_stale(plan, {"dc1": live.read(client, KINDS, sets["dc1"], "dc1")})


def test_what_access_rests_on_is_read_only_where_a_plan_may_end_it() -> None:
    cluster = SimulatedCluster()
    planned(cluster.client(), declared("Role", "app", {"management": "db_viewer"}))
    assert "/v1/users" not in {entry.path for entry in cluster.log}


def test_an_account_without_permission_to_read_users_plans_as_before() -> None:
    client = with_account("cluster_member", SimulatedCluster())
    assert len(planned(client, declared("Role", "other", {"management": "none"})).changes) == 1
