"""Kinds that a hook reads and writes: certificates, maintenance of nodes."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from reconciler import live
from reconciler.errors import InputError
from reconciler.manifests import Resource
from reconciler.manifests.resolve import with_file_texts
from reconciler.model import Level
from reconciler.plan import Action
from reconciler.plan.read_set import ReadSet
from reconciler.render.reasons import note_text
from reconciler.simulator.cluster import pem
from tests.support.resources import KINDS, declared
from tests.support.simulation import CANARY, Simulation


@pytest.fixture
def rig(tmp_path: Path) -> Simulation:
    return Simulation(tmp_path / "state")


def pair(rig: Simulation, name: str = "new.local") -> pem.CertificatePair:
    return pem.make(name, rig.cluster.clock(), 365)


def certificate(rig: Simulation, name: str, text: str, key: str = "") -> Resource:
    spec: dict[str, Any] = {"certificate": text}
    if key:
        rig.passwords["KEY"] = key
        spec["key"] = {"valueFrom": {"env": "KEY"}}
    return declared("Certificate", name, spec)


def apply(rig: Simulation, wanted: Sequence[Resource]) -> list[tuple[str, str, Any]]:
    begun = len(rig.sent)
    report = rig.converge(wanted)
    assert [outcome.why for outcome in report.outcomes if outcome.why] == []
    assert rig.plan(wanted).changes == ()
    return [(entry.method, entry.path, json.loads(entry.body or b"null")) for entry in rig.sent[begun:]]


def test_a_certificate_is_replaced_with_its_key_and_then_equal(rig: Simulation) -> None:
    new = pair(rig)
    calls = apply(rig, [certificate(rig, "proxy", new.certificate, new.key)])
    assert [call[:2] for call in calls] == [("PUT", "/v1/cluster/certificates")]
    assert calls[0][2]["certificates"][0]["key"] == new.key
    assert rig.call("GET", "/v1/cluster/certificates").json()["proxy_cert"].split() == new.certificate.split()


def test_a_chain_that_only_wraps_otherwise_is_the_same(rig: Simulation) -> None:
    live = rig.call("GET", "/v1/cluster/certificates").json()["cm_cert"]
    first, *packed, last = live.strip().split("\n")
    text = "".join(packed)
    wrapped = "\r\n".join([first, *(text[place : place + 40] for place in range(0, len(text), 40)), last])
    assert rig.plan([certificate(rig, "cm", wrapped)]).changes == ()


def test_private_keys_of_the_cluster_are_in_nothing_that_is_read(rig: Simulation) -> None:
    keys = [v for n, v in rig.call("GET", "/v1/cluster/certificates").json().items() if n.endswith("_key")]
    assert len(keys) > 3
    shown = repr(rig.live().objects["Certificate"])
    assert not any(line in shown for key in keys for line in key.split("\n")[1:-2])


def test_certificates_between_nodes_are_none_of_ours(rig: Simulation) -> None:
    names = {one.name for one in rig.live().objects["Certificate"]}
    assert {"api", "proxy", "syncer"} <= names
    assert not any("internode" in name for name in names)
    assert not KINDS["Certificate"].name_schema["pattern"].count("internode")


def test_an_optional_certificate_comes_and_goes(rig: Simulation) -> None:
    new = pair(rig)
    wanted = [certificate(rig, "mtls_trusted_ca", new.certificate)]
    plan = rig.plan(wanted)
    assert [change.action for change in plan.changes] == [Action.CREATE]
    apply(rig, wanted)
    gone = [declared("Certificate", "mtls_trusted_ca", {}, absent=True)]
    assert [call[0] for call in apply(rig, gone)] == ["DELETE"]


def test_an_older_cluster_takes_certificates_one_by_one(tmp_path: Path) -> None:
    rig = Simulation(tmp_path / "state", server_version="7.4")
    new = pair(rig)
    calls = apply(rig, [certificate(rig, "proxy", new.certificate, new.key)])
    assert ("PUT", "/v1/cluster/update_cert") in [call[:2] for call in calls]


def test_a_changed_key_takes_its_certificate_along(rig: Simulation) -> None:
    new = pair(rig)
    wanted = [certificate(rig, "proxy", new.certificate, new.key)]
    apply(rig, wanted)
    rig.passwords["KEY"] = f"{CANARY}-another"
    change = rig.plan(wanted).changes[0]
    assert sorted(change.body) == ["certificate", "key"]


def test_text_from_a_file_is_compared_and_checked() -> None:
    resource = declared("Certificate", "proxy", {"certificate": {"valueFrom": {"file": "proxy.pem"}}})
    good = "-----BEGIN CERTIFICATE-----\nQUJD\n-----END CERTIFICATE-----\n"
    assert with_file_texts(KINDS, [resource], lambda source: good)[0].spec == {"certificate": good}
    with pytest.raises(InputError) as refused:
        with_file_texts(KINDS, [resource], lambda source: "no certificate")
    assert [(one.file, one.line, one.path) for one in refused.value.problems] == [("shop.yaml", 1, "spec.certificate")]


def maintenance(rig: Simulation, node: str, **spec: Any) -> list[tuple[str, str, Any]]:
    return apply(rig, [declared("NodeMaintenance", node, spec)])


def test_maintenance_is_switched_on_and_off_once(rig: Simulation) -> None:
    calls = maintenance(rig, "2", enabled=True, evict_ha_replica=True, skip_shards_restore=True)
    assert calls == [("POST", "/v1/nodes/2/actions/maintenance_on", {"evict_ha_replica": True})]
    assert rig.call("GET", "/v1/nodes/2/status").json()["maintenance_snapshot"]
    calls = maintenance(rig, "2", enabled=False, evict_ha_replica=True, skip_shards_restore=True)
    assert calls == [("POST", "/v1/nodes/2/actions/maintenance_off", {"skip_shards_restore": True})]
    assert not rig.call("GET", "/v1/nodes/2/status").json().get("maintenance_snapshot")


@pytest.mark.parametrize(
    ("on", "option", "sent"),
    [
        (True, {"evict_ha_replica": True}, {"evict_ha_replica": True}),
        (True, {"evict_active_active_replica": True}, {"evict_active_active_replica": True}),
        (True, {"evict_dbs": ["orders"]}, {"evict_dbs": ["1"]}),
        (True, {"overwrite_snapshot": True}, {"overwrite_snapshot": True}),
        (False, {"snapshot_name": "maintenance_mode_2"}, {"snapshot_name": "maintenance_mode_2"}),
        (False, {"skip_shards_restore": True}, {"skip_shards_restore": True}),
    ],
)
def test_each_option_goes_along_with_the_switch_that_it_is_about(
    rig: Simulation, on: bool, option: Any, sent: Any
) -> None:
    apply(rig, [declared("Database", "orders", {"memory_size": "1GiB"})])
    if not on:
        maintenance(rig, "2", enabled=True)
    calls = maintenance(rig, "2", enabled=on, **option)
    assert calls == [("POST", f"/v1/nodes/2/actions/maintenance_{'on' if on else 'off'}", sent)]


def test_a_lost_answer_switches_maintenance_on_no_second_time(rig: Simulation) -> None:
    rig.cluster.faults.add("lost", method="POST", path="/v1/nodes/2/actions", times=1)
    maintenance(rig, "2", enabled=True)
    assert maintenance(rig, "2", enabled=False)[-1][1].endswith("maintenance_off")
    assert not rig.call("GET", "/v1/nodes/2/status").json().get("maintenance_snapshot")


def test_what_maintenance_does_to_a_node_is_no_drift_of_it(rig: Simulation) -> None:
    node = declared("Node", "2", {"accept_servers": True, "max_listeners": 100})
    apply(rig, [node])
    maintenance(rig, "2", enabled=True)
    plan = rig.plan([node])
    assert plan.changes == ()
    assert ["maintenance mode" in note_text(note) for note in plan.notes if note.level is Level.HELD] == [True]


def test_no_node_is_made_by_declaring_it(rig: Simulation) -> None:
    plan = rig.plan([declared("Node", "9", {"max_redis_servers": 50})])
    assert [note_text(note) for note in plan.notes] == ["does not exist; Node is adopt-only"]


def test_fewer_threads_without_leave_to_restart_end_with_a_word_on_how_to_get_them(rig: Simulation) -> None:
    apply(rig, [declared("Proxy", "1", {"threads": 6, "max_threads": 8, "allow_restart": True})])
    fewer = {"threads": 2, "max_threads": 8}
    (outcome,) = rig.converge([declared("Proxy", "1", fewer)]).outcomes
    assert outcome.why.startswith(
        "accepted, but threads reads back 6 instead of 2 (it takes effect at the next restart"
    )
    assert "declare allow_restart: true" in outcome.why
    apply(rig, [declared("Proxy", "1", {**fewer, "allow_restart": True})])


LDAP = {"uris": ["ldaps://ldap.example.org:636"], "bind_dn": "cn=redis,dc=example,dc=org"}
PASSWORD = {"valueFrom": {"env": "BIND"}}


def test_a_secret_that_is_plainly_not_set_is_sent_and_one_that_may_be_set_is_not(rig: Simulation) -> None:
    rig.call("PUT", "/v1/cluster/ldap", LDAP)
    wanted = [declared("LDAP", "cluster", {**LDAP, "bind_pass": PASSWORD})]
    read = live.read(rig.client, KINDS, ReadSet({"LDAP": frozenset(wanted[0].spec)}), "dc1")
    assert [field.path for field in rig.plan(wanted, {"dc1": read}).changes[0].fields] == ["bind_pass"]
    rig.call("PUT", "/v1/cluster/ldap", {"bind_pass": "somebody's"})
    plan = rig.plan(wanted)
    assert plan.changes == ()
    assert ["not sent unless `reconciler apply --resend-secret" in note_text(note) for note in plan.notes] == [True]
    rig.call("PUT", "/v1/cluster/ldap", {"bind_pass": ""})
    assert apply(rig, wanted)[0][2] == {"bind_pass": f"{CANARY}-BIND"}
