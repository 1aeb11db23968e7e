"""Starting and stopping: errors at the start, free ports, HTTPS, an end that waits for nobody."""

from __future__ import annotations

import contextlib
import http.client
import socket
import ssl
import threading
from pathlib import Path

import pytest

from reconciler.errors import InputError, SecretMissing
from reconciler.runtime import Runtime
from reconciler.settings.listen import Listen
from reconciler.simulator.http.tls import make
from reconciler.web import AgentHandle, serve
from reconciler.web.app import WebApp
from tests.web.fake_status import status_store
from tests.web.rig import Rig, serving


def test_a_port_in_use_is_told_at_the_start() -> None:
    with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as taken:
        port = taken.getsockname()[1]
        with (
            pytest.raises(InputError, match=rf"agent\.listen: 127\.0\.0\.1:{port}: address already in use"),
            serve(status_store(), Listen(port=port), AgentHandle(), runtime=Runtime()),
        ):
            pass


def test_a_host_that_is_not_ours_is_told_at_the_start() -> None:
    for host in ("192.0.2.1", "no-such-host.invalid"):
        with (
            pytest.raises(InputError, match=r"agent\.listen"),
            serve(status_store(), Listen(host=host, port=0), AgentHandle(), runtime=Runtime()),
        ):
            pass


def test_a_secret_that_is_missing_is_told_at_the_start() -> None:
    def missing(reference: object, where: str) -> None:
        raise SecretMissing([])

    listen = Listen(port=0, token={"valueFrom": {"env": "NONE"}})
    with pytest.raises(SecretMissing), serve(status_store(), listen, AgentHandle(), reveal=missing, runtime=Runtime()):  # type: ignore[arg-type]
        pass


def test_the_address_can_be_used_as_it_is_told() -> None:
    with serve(status_store(), Listen(port=0), AgentHandle(), runtime=Runtime()) as found:
        assert found.url == f"http://127.0.0.1:{found.port}/"
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", found.port, timeout=30)) as connection:
            connection.request("GET", "/")
            assert connection.getresponse().status == 200


def test_it_ends_with_connections_open_and_leaves_no_thread() -> None:
    with serving() as rig:
        idle = [rig.connection() for _ in range(5)]
        idle[0].sendall(b"GET / HTTP/1.1\r\n")
        assert rig.ask("/").status == 200
    assert "web" not in [thread.name for thread in threading.enumerate()]
    for sock in idle:
        sock.close()
    with pytest.raises(ConnectionRefusedError):
        rig.ask("/")


@pytest.mark.parametrize(
    "start", [b"", b"GET / HT", b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n"]
)
def test_health_is_served_with_more_silent_connections_than_the_limit(start: bytes) -> None:
    with serving() as rig:
        silent = [rig.connection() for _ in range(130)]
        for sock in silent:
            with contextlib.suppress(OSError):
                sock.sendall(start)
        assert [rig.ask("/healthz").status for _ in range(3)] == [200] * 3
        for sock in silent:
            sock.close()


def test_it_can_be_served_over_https(tmp_path: Path) -> None:
    files = make(tmp_path)
    with serve(
        status_store(), Listen(port=0, certificate=files.certificate, key=files.key), AgentHandle(), runtime=Runtime()
    ) as found:
        assert found.url == f"https://127.0.0.1:{found.port}/"
        trusting = ssl.create_default_context(cafile=str(files.ca))
        with contextlib.closing(
            http.client.HTTPSConnection("127.0.0.1", found.port, timeout=30, context=trusting)
        ) as connection:
            connection.request("GET", "/")
            answer = connection.getresponse()
            assert (answer.status, b"prod-eu" in answer.read()) == (200, True)
        old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        old.check_hostname, old.verify_mode = False, ssl.CERT_NONE
        with pytest.warns(DeprecationWarning, match="TLSv1_1"):
            old.maximum_version = ssl.TLSVersion.TLSv1_1
        with socket.create_connection(("127.0.0.1", found.port), timeout=30) as sock, pytest.raises(ssl.SSLError):
            old.wrap_socket(sock)


def test_a_certificate_that_cannot_be_used_is_told_at_the_start(tmp_path: Path) -> None:
    files, other = make(tmp_path / "one"), make(tmp_path / "two")
    for certificate, key in ((files.certificate, other.key), (tmp_path / "none", files.key), (files.key, files.key)):
        listen = Listen(port=0, certificate=certificate, key=key)
        with (
            pytest.raises(InputError, match=r"agent\.listen: "),
            serve(status_store(), listen, AgentHandle(), runtime=Runtime()),
        ):
            pass


def test_a_bug_of_ours_shows_no_more_than_that_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(self: object, request: object) -> None:
        raise ValueError("something-internal")

    monkeypatch.setattr(WebApp, "_fleet", broken)
    with serving() as rig:
        answer = rig.ask("/")
        assert (answer.status, b"something-internal" in answer.body) == (500, False)
        assert answer.headers["content-security-policy"].startswith("default-src 'none'")
        (event,) = [event for event in rig.events if event.name == "web.failed"]
        assert event.attributes["why"].startswith("ValueError in test_server.py:")
        assert rig.ask("/history").status == 200


def test_a_board_that_moves_is_shown_as_it_is_at_each_request() -> None:
    with serving() as rig:
        assert b"7/19" in rig.ask("/").body
        moved = rig.status_store.status.clusters["prod-eu"].progress
        assert moved is not None
        rig.status_store.update_cluster("prod-eu", progress=type(moved)(8, 19, "User/anna"))
        assert b"8/19" in rig.ask("/").body


def test_many_at_once_are_answered() -> None:
    def ask(rig: Rig, found: list[int]) -> None:
        found.append(rig.ask("/plan/staging").status)

    with serving() as rig:
        found: list[int] = []
        threads = [threading.Thread(target=ask, args=(rig, found)) for _ in range(40)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert found == [200] * 40
