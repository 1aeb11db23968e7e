"""What one kind needs of another as a whole, though it names none of its objects: one apply does it all in order."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from reconciler.manifests import Resource
from reconciler.simulator.cluster import pem
from reconciler.simulator.cluster.licenses import make
from tests.engine.test_modules import module, packed
from tests.support.resources import declared
from tests.support.simulation import Simulation

AUDITING = {"audit_protocol": "TCP", "audit_address": "192.0.2.40", "audit_port": 12345}


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Simulation]:
    rig = Simulation(tmp_path / "state", license="trial")
    yield rig
    rig.client.close()
    rig.ledger.disconnect()


def failures(rig: Simulation, resources: list[object], **options: object) -> list[str]:
    plan = rig.plan(resources, **options)  # type: ignore[arg-type]
    found = [outcome.why for outcome in rig.apply(plan, parallelism=4).outcomes if outcome.why]
    return found or [str(change.address) for change in rig.plan(resources).changes]  # type: ignore[arg-type]


def test_racks_come_before_rack_awareness(rig: Simulation) -> None:
    nodes = [declared("Node", str(uid), {"rack_id": f"Rack-{uid}"}) for uid in (1, 2, 3)]
    assert failures(rig, [declared("ClusterPolicy", "cluster", {"rack_aware": True}), *nodes]) == []


def test_a_licence_comes_before_what_needs_it(rig: Simulation) -> None:
    licence = declared("License", "cluster", {"license": make(shards_limit=100, ram_shards_limit=100)})
    spec = {"memory_size": "1GiB", "sharding": True, "shards_count": 6}
    assert failures(rig, [declared("Database", "large", spec), licence]) == []


def test_auditing_comes_before_what_reports_to_it_and_goes_after_it(rig: Simulation) -> None:
    policy = declared("ClusterPolicy", "cluster", {"db_conns_auditing": True})
    database = declared("Database", "watched", {"memory_size": "1GiB", "db_conns_auditing": True})
    assert failures(rig, [policy, database, declared("ConnectionAuditing", "cluster", AUDITING)]) == []
    policy = declared("ClusterPolicy", "cluster", {"db_conns_auditing": False})
    database = declared("Database", "watched", {"memory_size": "1GiB", "db_conns_auditing": False})
    assert failures(rig, [declared("ConnectionAuditing", "cluster", {}, absent=True), database, policy]) == []


def certificate(rig: Simulation, name: str) -> Resource:
    pair = pem.make(f"{name}.local", rig.cluster.clock(), 365)
    rig.passwords[name] = pair.key
    keyed = {} if name == "sso_issuer" else {"key": {"valueFrom": {"env": name}}}
    return declared("Certificate", name, {"certificate": pair.certificate, **keyed})


def metadata(location: str) -> str:
    return (
        '<EntityDescriptor xmlns="urn:oasis:names:tc:SAML:2.0:metadata" entityID="urn:idp"><IDPSSODescriptor>'
        f'<SingleSignOnService Location="{location}"/></IDPSSODescriptor></EntityDescriptor>'
    )


def test_certificates_come_before_single_sign_on_and_what_the_provider_says_there_and_back(rig: Simulation) -> None:
    certificates = [certificate(rig, "sso_issuer"), certificate(rig, "sso_service")]
    for place in ("https://one.example.com/sso", "https://two.example.com/sso", "https://one.example.com/sso"):
        spec = {"control_plane": True, "idp_metadata": metadata(place)}
        assert failures(rig, [declared("SSO", "cluster", spec), *certificates]) == []
        assert rig.call("GET", "/v1/cluster/sso").json()["issuer"]["login_url"] == place
    gone = [("SSO", "cluster"), ("Certificate", "sso_issuer"), ("Certificate", "sso_service")]
    assert failures(rig, [declared(kind, name, {}, absent=True) for kind, name in gone]) == []
    assert not any(name.startswith("sso") for name in rig.call("GET", "/v1/cluster/certificates").json())


def test_leave_to_upload_comes_before_modules(tmp_path: Path) -> None:
    rig = Simulation(tmp_path / "state")
    cluster = declared("Cluster", "cluster", {"allow_modules_upload": True})
    plan = rig.plan([*module(), cluster])
    assert [change.address.kind for change in plan.changes] == ["Cluster", "Module"]
    report = rig.apply(plan, read_file=lambda path: packed())
    assert [outcome.why for outcome in report.outcomes if outcome.why] == []
