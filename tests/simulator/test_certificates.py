"""Certificates, single sign-on, OCSP and the licence of a cluster."""

from __future__ import annotations

import base64
import ssl
from typing import Any
from xml.etree import ElementTree

import pytest

from reconciler.simulator.cluster import licenses, pem
from reconciler.simulator.core import Core, SimulatorSettings
from reconciler.simulator.testing import Caller, VirtualClock, running

PATH = "/v1/cluster/certificates"
NOW = VirtualClock().now
IDP = """<EntityDescriptor xmlns="urn:oasis:names:tc:SAML:2.0:metadata" entityID="urn:idp">
<IDPSSODescriptor><SingleSignOnService Location="https://idp.example/sso"/></IDPSSODescriptor></EntityDescriptor>"""


class Cluster(Caller):
    def __init__(self, **settings: Any) -> None:
        self.clock = VirtualClock()
        super().__init__(Core(SimulatorSettings(**settings), clock=self.clock, seed=7))

    def put(self, name: str, pair: pem.CertificatePair, path: str = PATH, **more: Any) -> tuple[int, str]:
        item = {"name": name, "certificate": pair.certificate, "key": pair.key, **more}
        answer = self("PUT", path, {"certificates": [item]} if path == PATH else item)
        return answer.status, answer.json()["error_code"] if answer.body else ""


def test_a_cluster_shows_its_certificates_with_their_keys() -> None:
    found = Cluster()("GET", PATH).json()
    assert {"api_cert", "api_key", "proxy_cert", "syncer_key", "cm_cert", "metrics_exporter_cert"} <= set(found)
    for name, text in found.items():
        assert (
            pem.key_matches(found[f"{name[:-5]}_key"], pem.read_certificate(text))
            if name.endswith("_cert")
            else "KEY" in text
        )


@pytest.mark.parametrize("path", [PATH, "/v1/cluster/update_cert"])
def test_a_certificate_is_replaced_or_refused(path: str) -> None:
    cluster, pair, other = Cluster(), pem.make("new.example", NOW), pem.make("other.example", NOW)
    assert cluster.put("proxy", pair, path) == (200, "")
    assert cluster("GET", PATH).json()["proxy_cert"] == pair.certificate
    assert cluster.put("nothing", pair, path) == (403, "unknown_certificate")
    assert cluster.put("proxy", pair._replace(certificate="text"), path) == (400, "invalid_certificate")
    assert cluster.put("proxy", pair._replace(key=other.key), path) == (400, "invalid_certificate")
    assert cluster.put("proxy", pem.make("old.example", NOW, days=-1), path) == (406, "certificate_expired")
    assert cluster("GET", PATH).json()["proxy_cert"] == pair.certificate


def test_of_several_certificates_all_or_none_are_taken() -> None:
    cluster, pair = Cluster(), pem.make("new.example", NOW)
    items = [{"name": name, "certificate": pair.certificate, "key": pair.key} for name in ("proxy", "nothing")]
    assert cluster("PUT", PATH, {"certificates": items}).status == 403
    assert cluster("GET", PATH).json()["proxy_cert"] != pair.certificate


def test_only_what_a_cluster_can_do_without_is_deleted() -> None:
    cluster = Cluster()
    assert cluster("DELETE", f"{PATH}/proxy").status == 403
    assert cluster("DELETE", f"{PATH}/ldap_client").status == 404
    cluster.put("ldap_client", pem.make("client", NOW))
    assert cluster("DELETE", f"{PATH}/ldap_client").status == 200
    assert "ldap_client_cert" not in cluster("GET", PATH).json()


def test_only_internal_certificates_rotate() -> None:
    cluster = Cluster()
    before = cluster("GET", PATH).json()
    assert cluster("POST", f"{PATH}/rotate", {"name": "proxy"}).status == 403
    assert cluster("POST", f"{PATH}/rotate", {"name": "nothing"}).status == 400
    assert cluster("POST", f"{PATH}/rotate").status == 200
    after = cluster("GET", PATH).json()
    changed = {name for name in before if before[name] != after[name] and name.endswith("_cert")}
    assert changed == {"ccs_internode_encryption_cert", "data_internode_encryption_cert"}


def test_logins_by_certificate_need_the_authority_first() -> None:
    cluster, ca = Cluster(), pem.make("ca", NOW)
    assert cluster("PUT", "/v1/cluster", {"mtls_certificate_authentication": True}).status == 400
    assert (
        cluster("PUT", PATH, {"certificates": [{"name": "mtls_trusted_ca", "certificate": ca.certificate}]}).status
        == 200
    )
    assert cluster("PUT", "/v1/cluster", {"mtls_certificate_authentication": True}).status == 200


def test_the_responder_of_ocsp_comes_from_the_proxy_certificate() -> None:
    cluster = Cluster()
    assert cluster("GET", "/v1/ocsp/status").json()["cert_status"] == "UNKNOWN"
    assert cluster("POST", "/v1/ocsp/test").status == 406
    cluster.put("proxy", pem.make("new.example", NOW, responder="http://ocsp.example"))
    assert cluster("PUT", "/v1/ocsp", {"ocsp_functionality": True}).json()["responder_url"] == "http://ocsp.example"
    assert cluster("POST", "/v1/ocsp/test").json()["cert_status"] == "GOOD"


def test_hashing_changes_once() -> None:
    cluster, path = Cluster(), "/v1/cluster/change_password_hashing_algorithm"
    assert [cluster("PATCH", path, {"algorithm": "PBKDF2"}).status for _ in range(2)] == [200, 400]
    assert cluster("GET", "/v1/cluster").json()["password_hashing_algorithm"] == "PBKDF2"
    assert cluster("PATCH", path, {"algorithm": "MD5"}).status == 400


def test_single_sign_on_needs_certificates_and_an_issuer() -> None:
    cluster, path = Cluster(), "/v1/cluster/sso"
    assert cluster("GET", f"{path}/saml/metadata/sp").json()["error_code"] == "missing_certificate"
    idp = {"idp_metadata": base64.b64encode(IDP.encode()).decode()}
    assert cluster("POST", f"{path}/saml/metadata/idp", idp).status == 406
    assert cluster("PUT", path, {"control_plane": True}).json()["error_code"] == "missing_param"
    cluster.put("sso_service", pem.make("sp", NOW))
    assert cluster("POST", f"{path}/saml/metadata/idp", {"idp_metadata": "PGE+"}).status == 400
    issuer = cluster("POST", f"{path}/saml/metadata/idp", idp).json()["issuer"]
    assert (issuer["id"], issuer["login_url"]) == ("urn:idp", "https://idp.example/sso")
    assert cluster("PUT", path, {"control_plane": True}).status == 406
    ca = {"name": "sso_issuer", "certificate": pem.make("idp", NOW).certificate}
    cluster("PUT", PATH, {"certificates": [ca]})
    assert cluster("PUT", path, {"control_plane": True}).body == b""
    metadata = cluster("GET", f"{path}/saml/metadata/sp")
    assert ElementTree.fromstring(metadata.body).get("entityID") == "https://cluster.local:8443/sp"
    assert cluster("DELETE", path).status == 200
    assert "sso_service_cert" not in cluster("GET", PATH).json()
    assert cluster("GET", path).json()["control_plane"] is False


def test_a_database_has_a_certificate_of_its_own_or_none() -> None:
    cluster, path, pair = Cluster(), "/v1/bdbs/1/certificates", pem.make("db", NOW)
    cluster("POST", "/v1/bdbs", {"name": "a", "memory_size": 1 << 20})
    assert cluster("GET", path).status == 404
    body = {"cert": pair.certificate, "private_key": pair.key}
    assert cluster("POST", path, body, dry_run="true").status == 200
    assert cluster("GET", "/v1/bdbs/certificates").json() == []
    shown = cluster("POST", path, body).json()
    assert "private_key" not in shown
    assert [shown] == cluster("GET", "/v1/bdbs/certificates").json()
    assert [cluster("DELETE", path).status for _ in range(2)] == [200, 404]


# The licence


def test_a_licence_is_absent_on_trial_full_or_expired() -> None:
    assert Cluster(license="none")("GET", "/v1/license").status == 404
    trial = Cluster(license="trial")
    body = trial("GET", "/v1/license").json()
    assert (body["shards_limit"], body["key"], body["cluster_name"], body["expired"]) == (4, "", None, False)
    trial.clock.sleep(31 * 86400)
    assert trial("GET", "/v1/license").json()["expired"] is True
    assert Cluster(license="expired")("GET", "/v1/license").json()["expired"] is True
    assert Cluster()("GET", "/v1/license").json()["expired"] is False


@pytest.mark.parametrize("license_", ["none", "trial"])
def test_four_shards_are_all_that_is_free(license_: str) -> None:
    cluster = Cluster(license=license_)
    for name, status in (("a", 200), ("b", 406)):
        body = {"name": name, "memory_size": 1 << 20, "replication": True, "shards_count": 2, "sharding": True}
        answer = cluster("POST", "/v1/bdbs", {**body, "shard_key_regex": [{"regex": "(?<tag>.*)"}]})
        assert answer.status == status
        cluster.clock.sleep(60)


def test_an_expired_licence_stops_databases_and_nothing_else() -> None:
    cluster = Cluster(license="expired")
    answer = cluster("POST", "/v1/bdbs", {"name": "a", "memory_size": 1 << 20})
    assert (answer.status, answer.json()["error_code"]) == (403, "license_expired")
    assert cluster("PUT", "/v1/cluster", {"email_alerts": True}).status == 200
    assert cluster("PUT", "/v1/license", {"license": licenses.make()}).status == 200
    assert cluster("POST", "/v1/bdbs", {"name": "a", "memory_size": 1 << 20}).status == 200


@pytest.mark.parametrize(
    ("text", "status"),
    [
        ("text", 400),
        ("----- LICENSE START -----\n----- LICENSE END -----\n", 400),
        ("----- LICENSE START -----\nEXAMPLE\n----- LICENSE END -----\n", 200),
        (licenses.make(cluster_name="another.example"), 406),
        (licenses.make(expiration_date="2021-01-01T00:00:00Z"), 406),
        (licenses.make(activation_date="2098-01-01T00:00:00Z"), 406),
        (licenses.make(shards_limit=0), 406),
        (licenses.make(shards_limit=10, owner="Me"), 200),
        (licenses.make(activation_date="soon"), 400),
    ],
)
def test_a_licence_is_taken_or_refused_with_the_old_one_kept(text: str, status: int) -> None:
    cluster = Cluster()
    cluster("POST", "/v1/bdbs", {"name": "a", "memory_size": 1 << 20})
    cluster.clock.sleep(60)
    before = cluster("GET", "/v1/license").json()["license"]
    assert cluster("PUT", "/v1/license", {"license": text}).status == status
    assert cluster("GET", "/v1/license").json()["license"] == (text if status == 200 else before)


def test_a_refused_licence_can_leave_none() -> None:
    cluster = Cluster(switches={"license_failure": "remove"})
    assert cluster("PUT", "/v1/license", {"license": licenses.make(shards_limit=None)}).status == 200
    assert cluster("PUT", "/v1/license", {"license": licenses.make(cluster_name="another")}).status == 406
    assert cluster("GET", "/v1/license").status == 404


def test_a_read_of_the_cluster_shows_the_certificates_of_proxy_and_syncer() -> None:
    cluster, pair = Cluster(), pem.make("new.example", NOW)
    assert cluster("GET", "/v1/cluster").json()["syncer_certificate"] == cluster("GET", PATH).json()["syncer_cert"]
    cluster.put("proxy", pair)
    assert cluster("GET", "/v1/cluster").json()["proxy_certificate"] == pair.certificate


def test_a_new_api_certificate_is_what_the_next_connection_meets() -> None:
    with running(nodes=1) as server:
        host, port = server.urls[0].removeprefix("https://").split(":")

        def met() -> str:
            return ssl.get_server_certificate((host, int(port)), timeout=5)

        caller, pair = Caller(server.core), pem.make("new.example", server.core.state.now)
        assert met() == caller("GET", PATH).json()["api_cert"]
        body = {"certificates": [{"name": "api", "certificate": pair.certificate, "key": pair.key}]}
        assert caller("PUT", PATH, body).status == 200
        assert met() == pair.certificate
