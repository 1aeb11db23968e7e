"""The simulator on real sockets: TLS, keep-alive, nodes on ports, faults on the wire, and as a process of its own."""

from __future__ import annotations

import errno
import http.client
import json
import select
import signal
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from reconciler.simulator.http.tls import make
from reconciler.simulator.testing import Running, basic, databases, running


@pytest.fixture(scope="module")
def server() -> Iterator[Running]:
    with running(nodes=2, outside=1, seed=3) as started:
        yield started


def connect(url: str, ca_file: Path | str) -> http.client.HTTPSConnection:
    context = ssl.create_default_context(cafile=str(ca_file))
    return http.client.HTTPSConnection(url.removeprefix("https://"), context=context, timeout=10)


def ask(
    line: http.client.HTTPSConnection, server: Running, method: str, path: str, body: Any = None
) -> tuple[int, bytes]:
    headers = {"Authorization": server.authorization(), "Content-Type": "application/json"}
    line.request(method, path, None if body is None else json.dumps(body), headers)
    answer = line.getresponse()
    return answer.status, answer.read()


def test_it_answers_over_tls_on_each_node_and_keeps_connections(server: Running) -> None:
    for url, expected in zip(server.urls, (200, 200, 503), strict=True):
        with closing(connect(url, server.ca_file)) as line:
            assert [ask(line, server, "GET", "/v1/bdbs")[0] for _ in range(3)] == [expected] * 3


def test_host_names_and_expired_certificates_are_checked_by_clients(server: Running) -> None:
    with closing(connect(server.urls[0].replace("127.0.0.1", "localhost"), server.ca_file)) as line:
        assert ask(line, server, "GET", "/v1/cluster")[0] == 200
    for options in ({"hosts": ("elsewhere.example",)}, {"certificate_days": -1}):
        with running(nodes=1, **options) as other, closing(connect(other.urls[0], other.ca_file)) as line:  # noqa: SIM117
            with pytest.raises(ssl.SSLCertVerificationError):
                ask(line, other, "GET", "/v1/cluster")


def test_the_certificate_authority_is_the_servers_own(server: Running, tmp_path: Path) -> None:
    with closing(connect(server.urls[0], make(tmp_path).ca)) as line, pytest.raises(ssl.SSLCertVerificationError):
        ask(line, server, "GET", "/v1/cluster")


def test_a_delete_may_have_a_body_and_chunks_are_put_together(server: Running) -> None:
    headers = {"Authorization": server.authorization(), "Content-Type": "application/json"}
    with closing(connect(server.urls[0], server.ca_file)) as line:
        line.request(
            "POST", "/v1/roles", iter([b'{"name": "chunked",', b' "management": "none"}']), headers, encode_chunked=True
        )
        answer = line.getresponse()
        made = json.loads(answer.read())
        assert answer.status == 200
        assert ask(line, server, "DELETE", f"/v1/roles/{made['uid']}", {"why": "over"})[0] == 200


def test_a_body_that_is_too_large_is_refused(server: Running) -> None:
    headers = {"Authorization": server.authorization(), "Content-Type": "application/json"}
    piece = b" " * (1 << 20)
    with closing(connect(server.urls[0], server.ca_file)) as line:
        try:
            line.request("POST", "/v1/bdbs", iter([piece] * 66), headers, encode_chunked=True)
        except OSError:  # the server need not take all of it
            return
        assert line.getresponse().status == 413


WIRE = [
    ("refuse", (http.client.RemoteDisconnected, ConnectionResetError), False),
    ("drop", (http.client.RemoteDisconnected,), False),
    ("reset", (http.client.RemoteDisconnected, ConnectionResetError), False),
    ("lost", (http.client.RemoteDisconnected,), True),
    ("truncate", (http.client.IncompleteRead,), True),
]


@pytest.mark.parametrize(("action", "errors", "effect"), WIRE)
def test_connections_really_break(
    server: Running, action: str, errors: tuple[type[Exception], ...], effect: bool
) -> None:
    server.faults.add(action)
    with closing(connect(server.urls[0], server.ca_file)) as line:
        with pytest.raises(errors):
            ask(line, server, "POST", "/v1/roles", {"name": f"role {action}", "management": "none"})
        line.close()
        names = [role["name"] for role in json.loads(ask(line, server, "GET", "/v1/roles")[1])]
    assert (f"role {action}" in names) == effect


def test_a_reset_is_a_tcp_reset(server: Running) -> None:
    server.faults.add("reset")
    host, port = server.urls[0].removeprefix("https://").split(":")
    context = ssl.create_default_context(cafile=str(server.ca_file))
    with (
        socket.create_connection((host, int(port)), 10) as plain,
        context.wrap_socket(plain, server_hostname=host) as line,
    ):
        line.sendall(b"GET /v1/bdbs HTTP/1.1\r\nHost: x\r\n\r\n")
        broken = select.poll()
        broken.register(line, 0)
        assert broken.poll(10_000)
        assert line.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == errno.ECONNRESET


def test_slow_and_dripping_answers_arrive_whole(server: Running) -> None:
    server.faults.load([{"action": "slow", "seconds": 0.01}, {"action": "drip", "seconds": 0.001}])
    with closing(connect(server.urls[0], server.ca_file)) as line:
        whole = ask(line, server, "GET", "/v1/cluster")
        assert [whole, ask(line, server, "GET", "/v1/cluster")] == [ask(line, server, "GET", "/v1/cluster")] * 2


def test_a_node_that_is_down_refuses_connections(server: Running) -> None:
    with closing(connect(server.urls[1], server.ca_file)) as line:
        assert ask(line, server, "GET", "/v1/bdbs")[0] == 200
        server.core.set_node(2, up=False)
        with pytest.raises((http.client.RemoteDisconnected, ConnectionError)):
            ask(line, server, "GET", "/v1/bdbs")
        with pytest.raises(ConnectionRefusedError):
            connect(server.urls[1], server.ca_file).connect()
        server.core.set_node(2, up=True)
        line.close()
        assert ask(line, server, "GET", "/v1/bdbs")[0] == 200


def test_garbage_instead_of_http_is_refused(server: Running) -> None:
    host, port = server.urls[0].removeprefix("https://").split(":")
    context = ssl.create_default_context(cafile=str(server.ca_file))
    with (
        socket.create_connection((host, int(port)), 10) as plain,
        context.wrap_socket(plain, server_hostname=host) as line,
    ):
        line.sendall(b"\x00\x01 nonsense\r\n\r\n")
        assert line.recv(100).startswith(b"HTTP/1.1 400")


def test_many_clients_at_once_lose_nothing(server: Running) -> None:
    def make_roles(worker: int) -> list[int]:
        with closing(connect(server.urls[worker % 2], server.ca_file)) as line:
            bodies = [{"name": f"w{worker} n{number}", "management": "none"} for number in range(20)]
            return [json.loads(ask(line, server, "POST", "/v1/roles", body)[1])["uid"] for body in bodies]

    with ThreadPoolExecutor(8) as pool:
        uids = [uid for found in pool.map(make_roles, range(8)) for uid in found]
    assert len(set(uids)) == 160


def start(*options: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "reconciler.simulator", "--port", "0", *options]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_as_a_process_it_says_where_it_is_and_saves_at_the_end(tmp_path: Path, number: signal.Signals) -> None:
    source, target, faults = tmp_path / "in.json", tmp_path / "out.json", tmp_path / "faults.json"
    source.write_text(json.dumps(databases(5)))
    faults.write_text(json.dumps([{"action": "503", "call": 2}]))
    files = (
        "--snapshot",
        str(source),
        "--save",
        str(target),
        "--faults",
        str(faults),
        "--tls-dir",
        str(tmp_path / "tls"),
    )
    with start(
        "--nodes", "2", "--outside", "1", "--seed", "1", "--username", "me", "--password", "secret", *files
    ) as process:
        assert process.stdout is not None
        about = json.loads(process.stdout.readline())
        assert (len(about["urls"]), about["username"]) == (3, "me")
        headers = {"Authorization": basic("me", "secret")}
        with closing(connect(about["urls"][1], about["ca_file"])) as line:
            statuses = []
            for _ in range(2):
                line.request("GET", "/v1/bdbs?fields=uid", None, headers)
                answer = line.getresponse()
                statuses.append((answer.status, len(json.loads(answer.read()))))
        process.send_signal(number)
        _, log = process.communicate(timeout=30)
    assert statuses == [(200, 5), (503, 2)]
    assert process.returncode == 0
    assert "GET /v1/bdbs 200" in log
    assert "secret" not in log
    assert json.loads(target.read_text())["/v1/bdbs"] == json.loads(source.read_text())["/v1/bdbs"]


@pytest.mark.parametrize(
    ("options", "code"), [(("--snapshot", "/nowhere.json"), 3), (("--switch", "nonsense=1"), 3), (("--nodes", "x"), 2)]
)
def test_as_a_process_it_refuses_nonsense(options: tuple[str, ...], code: int) -> None:
    with start(*options) as process:
        out, errors = process.communicate(timeout=30)
    assert (process.returncode, out) == (code, "")
    assert "simulate: " in errors


def test_a_taken_port_is_said_clearly(server: Running) -> None:
    port = server.urls[0].rsplit(":", 1)[1]
    with start("--port", port) as process:
        _, errors = process.communicate(timeout=30)
    assert process.returncode == 1
    assert "cannot listen" in errors
