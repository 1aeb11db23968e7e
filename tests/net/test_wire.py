"""The client over real TLS, when the cluster or the way to it misbehaves."""

from __future__ import annotations

import json
import traceback
from pathlib import Path

import pytest

from reconciler.api.protocol import Call
from reconciler.client import RetryPolicy
from reconciler.errors import (
    Ambiguous,
    Forbidden,
    ReconcilerError,
    Rejected,
    Unauthorized,
    Unreachable,
    VersionUnsupported,
)
from reconciler.simulator.testing import running
from tests.net.support import PASSWORD, QUICK, RecordingClient, connected, trap, writes
from tests.support.cluster import Endpoints

ACL = Call("POST", "/v1/redis_acls", {"name": "app", "acl": "+@read ~*"})


def test_a_wrong_password_is_sent_once_and_to_one_node() -> None:
    with running(nodes=3) as server, connected(server, password="wrong") as recording:
        with pytest.raises(Unauthorized) as caught:
            recording.client.open()
        text, _, rest = str(caught.value).partition(" before ")
        assert text == (
            f"dc1: {server.urls[0]} rejected the credentials (401 invalid_credentials: login failed); not sent again"
        )
        assert rest.endswith(
            "Z, because five failed logins lock the account; "
            "a changed credential is tried at once, this one with --retry-login"
        )
        with pytest.raises(Unauthorized):
            recording.client.get("/v1/bdbs")
        assert [entry.status for entry in server.log] == [401]
        with connected(server) as right:
            assert right.client.open().status == 200


def test_parallel_reads_fail_a_wrong_password_once_together() -> None:
    from concurrent.futures import ThreadPoolExecutor

    with running(nodes=3) as server, connected(server, password="wrong") as recording:
        with ThreadPoolExecutor(8) as pool:
            reads = [pool.submit(recording.client.get, "/v1/bdbs") for _ in range(8)]
        assert all(isinstance(read.exception(), Unauthorized) for read in reads)
        assert [entry.status for entry in server.log] == [401]


def test_a_refused_connection_goes_on_to_the_next_node() -> None:
    with running(nodes=3) as server, connected(server) as recording:
        server.core.set_node(1, up=False)
        assert recording.client.open().status == 200
        assert [entry.node for entry in server.log] == [2]
        assert recording.sleeps == []


def test_no_node_at_all_is_reported_for_each() -> None:
    with running(nodes=2) as server, connected(server) as recording:
        server.core.set_node(1, up=False)
        server.core.set_node(2, up=False)
        with pytest.raises(Unreachable) as caught:
            recording.client.open()
        assert str(caught.value) == (
            "dc1: GET /v1/nodes: no node could serve the request: "
            f"{server.urls[0]}: connection refused; {server.urls[1]}: connection refused"
        )
        assert len(recording.sleeps) == 3


def test_a_name_that_does_not_resolve_is_reported() -> None:
    recording = RecordingClient(Endpoints(("https://no-such-host.invalid:9443",), insecure=True), "u", "p")
    with pytest.raises(Unreachable, match=r"no-such-host.invalid:9443: the host name cannot be resolved"):
        recording.client.open()


def test_a_node_that_never_shakes_hands_is_left_in_time() -> None:
    with trap(None) as silent:
        recording = RecordingClient(
            Endpoints((silent.url,), insecure=True), "u", "p", policy=RetryPolicy(connect_timeout=1.0, max_attempts=1)
        )
        with pytest.raises(Unreachable, match="the TLS handshake timed out"):
            recording.client.open()


def test_a_node_outside_the_cluster_is_passed_by() -> None:
    with running(nodes=1, outside=1) as server, connected(server, urls=server.urls[::-1]) as recording:
        assert recording.client.send(ACL).status == 200
        assert [(entry.node, entry.status) for entry in server.log] == [(2, 503), (1, 200)]


def test_throttling_waits_as_long_as_it_is_reported() -> None:
    with running(nodes=1) as server, connected(server) as recording:
        server.faults.add("429", retry_after=7)
        assert recording.client.open().status == 200
        assert 7 <= recording.sleeps[0] <= 7.7


def test_a_dripping_answer_is_cut_at_the_deadline() -> None:
    with running(nodes=1) as server, connected(server, policy=QUICK) as recording:
        recording.client.open()
        server.faults.add("drip", method="POST", seconds=0.4)
        with pytest.raises(Ambiguous, match=r"the outcome is unknown \(.*(deadline|in time)"):
            recording.client.send(ACL)
        assert [entry.effect for entry in writes(server)] == [True]


def test_silence_after_a_write_is_not_taken_for_a_failure() -> None:
    with running(nodes=1) as server, connected(server, policy=QUICK) as recording:
        recording.client.open()
        server.faults.add("slow", method="POST", seconds=6)
        with pytest.raises(Ambiguous, match="may have taken effect"):
            recording.client.send(ACL)
        assert len(writes(server)) == 1


@pytest.mark.parametrize("fault", ["drop", "reset", "refuse", "lost", "truncate", "not_json", "wrong_type", "502"])
def test_a_read_survives_a_broken_answer(fault: str) -> None:
    with running(nodes=1) as server, connected(server) as recording:
        recording.client.open()
        server.faults.add(fault, path="bdbs")
        assert recording.client.get("/v1/bdbs", shape=list).body == []


@pytest.mark.parametrize("fault", ["drop", "reset", "lost", "truncate", "not_json", "wrong_type", "502_after"])
def test_a_write_with_a_broken_answer_is_sent_once(fault: str) -> None:
    with running(nodes=2) as server, connected(server) as recording:
        recording.client.open()
        server.faults.add(fault, method="POST")
        with pytest.raises(Ambiguous):
            recording.client.send(ACL)
        assert sum(entry.method == "POST" for entry in server.log) == 1


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_elsewhere_is_never_followed(status: int) -> None:
    with (
        running(nodes=1) as server,
        running(nodes=1) as elsewhere,
        connected(server, ca_cert=None, insecure=True) as recording,
    ):
        recording.client.open()
        server.faults.add("redirect", times=100, status=status, location=elsewhere.urls[0] + "/v1/redis_acls")
        with pytest.raises(Ambiguous if status < 304 else Unreachable):
            recording.client.send(ACL)
        with pytest.raises(Unreachable):
            recording.client.get("/v1/bdbs")
        assert elsewhere.log == []


def test_a_redirect_among_the_configured_nodes_is_followed() -> None:
    with running(nodes=3, handle_redirects=False) as server, connected(server, urls=server.urls[::-1]) as recording:
        assert recording.client.send(ACL).status == 200
        assert [(entry.node, entry.status, entry.effect) for entry in server.log] == [(3, 307, False), (1, 200, True)]


def test_proxies_of_the_environment_are_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    with trap() as proxy, running(nodes=1) as server:
        for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy", "HTTP_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        with connected(server) as recording:
            assert recording.client.open().status == 200
        assert proxy.received == []


def test_netrc_is_ignored(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with running(nodes=1) as server:
        netrc = tmp_path / ".netrc"
        netrc.write_text(f"machine 127.0.0.1 login {server.username} password {server.password}\n")
        netrc.chmod(0o600)
        monkeypatch.setenv("HOME", str(tmp_path))
        monkeypatch.setenv("NETRC", str(netrc))
        with connected(server, password="wrong") as recording, pytest.raises(Unauthorized):
            recording.client.open()


def answered(status: str, body: bytes, headers: str = "") -> bytes:
    head = f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n{headers}\r\n"
    return head.encode() + body


@pytest.mark.parametrize(
    ("answer", "error", "text"),
    [
        (
            answered("505 HTTP Version Not Supported", b""),
            VersionUnsupported,
            "does not support the required API version",
        ),
        (answered("403 Forbidden", b'{"error_code":"forbidden"}'), Forbidden, "403 forbidden; the account lacks"),
        (
            answered("403 Forbidden", b'{"description":"License expired"}'),
            Forbidden,
            "the cluster's licence has expired",
        ),
        (answered("501 Not Implemented", b"<html>"), Rejected, "501 Not Implemented"),
        (answered("406 No", b'{"message":"bad\\u001b[31m\\r\\nline"}'), Rejected, "406 bad [31m  line"),
        (answered("400 No", json.dumps({"description": "x" * 5000}).encode()), Rejected, "x" * 299 + "…"),
        (answered("200 OK", b"\x1f\x8b", "Content-Encoding: gzip\r\n"), ReconcilerError, "is compressed"),
        (answered("200 OK", b"[" * 100_000), ReconcilerError, "nested too deeply"),
        (answered("200 OK", b'{"a":' * 100 + b"1" + b"}" * 100), ReconcilerError, "nested deeper than 64"),
        (answered("200 OK", b"[" + b"9" * 5000 + b"]"), ReconcilerError, "number that is out of range"),
        (answered("200 OK", b"[NaN]"), ReconcilerError, "number that is out of range"),
        (answered("200 OK", b"\xff\xfe"), ReconcilerError, "not UTF-8"),
        (answered("200 OK", b""), ReconcilerError, "not JSON"),
        (answered("100 Continue", b""), Unreachable, ""),
        (answered("200 OK", b"[" + b"9" * 4000 + b"]"), ReconcilerError, "number that is out of range"),
        (answered("200 OK", b"[" + b"[]," * 5_000_000 + b"[]]"), ReconcilerError, "more than 4,000,000 values"),
        (answered("200 OK", b"[]", "Content-Length: 7\r\n"), Unreachable, "two different Content-Length headers"),
        (answered("200 OK", b"[]", "Content-Length: +2\r\n"), Unreachable, "Content-Length is not a number"),
        (answered("200 OK", b"[]", "Transfer-Encoding: chunked\r\n"), Unreachable, "both Content-Length and Transfer"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-5\r\n[]", ReconcilerError, "cut off"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffff\r\n[]", ReconcilerError, "cut off"),
        (b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 200 + b"\r\n[]", Unreachable, "not an HTTP response"),
        (b"HTTP/1.1 200 OK\r\nA: " + b"b" * 100_000 + b"\r\n\r\n[]", Unreachable, "not an HTTP response"),
        (b"HTTP/1.1 2OO OK\r\n\r\n", Unreachable, "not an HTTP response"),
        (b"HTTP/9.9 200 OK\r\n\r\n[]", Unreachable, "not an HTTP response"),
        (
            answered("200 OK", b"<!DOCTYPE html><html></html>"),
            ReconcilerError,
            "it is a web page, so this may be another",
        ),
        (answered("404 Not Found", b"\n<html>nginx</html>"), Rejected, "it is a web page, so this may be another port"),
        (
            answered("307 Over There", b"", "Location: https://[::1\r\n"),
            Unreachable,
            "redirects to an unusable location",
        ),
        (answered("307 Over There", b"", "Location: https://\xff\xfe/\r\n"), Unreachable, "an unusable location"),
        (answered("307 Over There", b"", "Location: https://a:99999999/\r\n"), Unreachable, "an unusable location"),
        (answered("307 Over There", b"", f"Location: https://{'a.' * 30_000}b/\r\n"), Unreachable, "unusable location"),
        (b"220 mail.example ESMTP\r\n", Unreachable, "not an HTTP response"),
        (b"", Unreachable, "not an HTTP response"),
    ],
)
def test_malformed_responses_are_reported_clearly(answer: bytes, error: type[ReconcilerError], text: str) -> None:
    with trap(answer, tls=True) as odd:
        recording = RecordingClient(Endpoints((odd.url,), ca_cert=odd.ca_file), "u", PASSWORD)
        with pytest.raises(error) as caught:
            recording.client.get("/v1/bdbs")
        assert text in str(caught.value)
        assert PASSWORD not in str(caught.value)


def test_plain_http_and_usual_ports_of_others_get_a_hint_at_the_port_of_the_api() -> None:
    with trap(b"HTTP/1.1 400 Bad Request\r\n\r\n") as plain:
        recording = RecordingClient(
            Endpoints((plain.url,), insecure=True), "u", "p", policy=RetryPolicy(max_attempts=1)
        )
        with pytest.raises(Unreachable, match=r"does not speak TLS, so this may be another port .* 9443"):
            recording.client.open()
    recording = RecordingClient(
        Endpoints(("https://127.0.0.1:443",), insecure=True), "u", "p", policy=RetryPolicy(max_attempts=1)
    )
    with pytest.raises(Unreachable, match=r"port 443 is unusual for the REST API; the default is 9443"):
        recording.client.open()


def test_an_answer_without_end_is_not_read_to_its_end() -> None:
    endless = b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n" + b" " * (65 << 20)
    with trap(endless, tls=True) as odd:
        recording = RecordingClient(
            Endpoints((odd.url,), ca_cert=odd.ca_file), "u", "p", policy=RetryPolicy(max_attempts=1)
        )
        with pytest.raises(ReconcilerError, match="larger than 64 MiB"):
            recording.client.get("/v1/bdbs")


def test_no_credential_is_in_an_exception_or_its_locals() -> None:
    import base64

    with running(nodes=1) as server:
        recording = RecordingClient(
            Endpoints(server.urls, ca_cert=server.ca_file), server.username, PASSWORD, redact=lambda text: text.upper()
        )
        with pytest.raises(Unauthorized) as caught:
            recording.client.open()
        inner = caught.value.with_traceback(caught.value.__traceback__.tb_next)  # type: ignore[union-attr]
        shown = "".join(traceback.TracebackException.from_exception(inner, capture_locals=True).format())
        encoded = base64.b64encode(f"{server.username}:{PASSWORD}".encode()).decode()
        assert "LOGIN FAILED" in shown
        for secret in (PASSWORD, encoded):
            assert secret not in shown
            assert secret not in repr(vars(recording.client))
            assert secret not in repr(recording.events)


def test_a_server_that_repeats_the_password_does_not_get_it_printed() -> None:
    echo = json.dumps({"description": f"bad login with {PASSWORD}"}).encode()
    with trap(answered("400 Bad Request", echo), tls=True) as odd:
        client = RecordingClient(Endpoints((odd.url,), ca_cert=odd.ca_file), "u", PASSWORD).client
        with pytest.raises(Rejected, match=r"bad login with \(secret\)") as caught:
            client.get("/v1/bdbs")
        assert PASSWORD not in caught.value.description
