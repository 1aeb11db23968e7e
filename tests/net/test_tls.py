"""Whom the client trusts, over real TLS: and that an untrusted node never gets a byte of the request."""

from __future__ import annotations

from pathlib import Path

import pytest

from reconciler.client import Client
from reconciler.client.tls import normal_pin, peer_fingerprint
from reconciler.errors import ClusterError, InputError, Untrusted
from reconciler.secrets import Secret
from reconciler.simulator.testing import Running, running
from tests.net.support import RecordingClient, connected, trap
from tests.support.cluster import Endpoints


def shown_by(server: Running) -> str:
    host, _, port = server.urls[0].removeprefix("https://").rpartition(":")
    found = peer_fingerprint(host, int(port), seconds=60)
    assert found is not None
    return found


def refusal(server: Running, **where: object) -> str:
    with connected(server, **where) as recording, pytest.raises(Untrusted) as caught:
        recording.client.open()
    assert server.log == []
    assert recording.sleeps == []
    return str(caught.value)


def test_the_right_ca_file_is_trusted() -> None:
    with running() as server, connected(server) as recording:
        assert recording.client.open().status == 200


def test_the_certificate_itself_may_be_the_trusted_file(tmp_path: Path) -> None:
    import ssl

    with running() as server:
        host, _, port = server.urls[0].removeprefix("https://").rpartition(":")
        own = tmp_path / "node.pem"
        own.write_text(ssl.get_server_certificate((host, int(port))))
        with connected(server, ca_cert=own) as recording:
            assert recording.client.open().status == 200


def test_a_wrong_ca_is_refused_with_the_fingerprint_and_what_to_do() -> None:
    with running(nodes=1) as server, running() as other:
        text = refusal(server, ca_cert=other.ca_file)
        expected = (
            f"dc1: the certificate of {server.urls[0]} is not signed by a CA in {other.ca_file}; "
            f"its SHA-256 is {shown_by(server)}; "
            "use --ca-cert with the right file, or verify that SHA-256 and use --pin"
        )
        assert text == expected


def test_the_system_does_not_trust_a_private_authority() -> None:
    with running() as server:
        assert "not signed by a CA that this system trusts" in refusal(server, ca_cert=None)


def test_an_expired_certificate_is_refused() -> None:
    with running(certificate_days=-1) as server:
        text = refusal(server)
        assert "has expired" in text
        assert shown_by(server) in text


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_a_certificate_for_another_name_is_refused(host: str) -> None:
    with running(hosts=("cluster.example",)) as server:
        urls = tuple(url.replace("127.0.0.1", host) for url in server.urls)
        assert f"is not valid for the host name {host}" in refusal(server, urls=urls)


def test_the_right_pin_needs_no_authority_and_no_name() -> None:
    with running(hosts=("cluster.example",), certificate_days=-1) as server:
        pin = ":".join(shown_by(server).upper()[at : at + 2] for at in range(0, 64, 2))
        with connected(server, ca_cert=None, pin=f"sha256:{pin}") as recording:
            assert recording.client.open().status == 200


def test_a_wrong_pin_is_refused_before_anything_is_sent() -> None:
    with running() as server:
        text = refusal(server, pin="ab" * 32)
        assert "does not match the pinned fingerprint" in text
        assert shown_by(server) in text


def test_a_wrong_pin_is_not_mended_by_insecure() -> None:
    with running() as server:
        assert "does not match the pinned fingerprint" in refusal(server, pin="ab" * 32, insecure=True)


def test_insecure_works_and_says_so_each_time() -> None:
    with running() as server, connected(server, ca_cert=None, insecure=True) as recording:
        for _ in range(2):
            recording.client.open()
        said = [event.attributes["message"] for event in recording.events if event.name == "tls.unverified"]
        assert len(said) == 2
        assert said[0].startswith("dc1: TLS verification is disabled")


def test_one_untrusted_node_does_not_stop_the_others() -> None:
    with running() as server, running() as other, connected(server, urls=(*other.urls, *server.urls)) as recording:
        assert recording.client.open().status == 200
        recording.client.get("/v1/bdbs")
        assert other.log == []


def test_a_plain_port_is_no_tls() -> None:
    with trap(b"HTTP/1.1 400 Bad Request\r\n\r\n") as plain:
        client = RecordingClient(Endpoints((plain.url,), insecure=True), "u", "p").client
        with pytest.raises(ClusterError, match="TLS handshake failed"):
            client.open()
        assert not any(b"Authorization" in data for data in plain.received)


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:9443", "https://user:word@127.0.0.1:9443", "ftp://a", "https://", "a"]
)
def test_only_plain_https_addresses_are_taken(url: str) -> None:
    with pytest.raises(ClusterError, match="https://host:port") as caught:
        Client(Endpoints((url,)), ("u", Secret("p")))
    assert "word" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (None, "no such file or directory"),
        ("nothing", "it contains no certificate"),
        ("-----BEGIN CERTIFICATE-----\n!!\n-----END CERTIFICATE-----\n", "it is not a certificate in PEM format"),
    ],
)
def test_a_ca_file_that_cannot_be_used_is_invalid_input(tmp_path: Path, content: str | None, why: str) -> None:
    path = tmp_path / "ca.pem"
    if content is not None:
        path.write_text(content)
    with pytest.raises(InputError) as caught:
        Client(Endpoints(("https://a:1",), ca_cert=path), ("u", Secret("p")))
    assert str(caught.value) == (
        f"{path}: dc1: the CA file cannot be used: {why} "
        "(set --ca-cert or caCert to the cluster's CA certificate in PEM format)"
    )


def test_a_pin_has_64_hex_digits() -> None:
    assert normal_pin("AB:" * 31 + "ab") == "ab" * 32
    with pytest.raises(ValueError, match="64 hex digits"):
        normal_pin("ab")
    with pytest.raises(InputError, match="the pin cannot be used: a pin is the SHA-256"):
        Client(Endpoints(("https://a:1",), pin="ab"), ("u", Secret("p")))
