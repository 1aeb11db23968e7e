"""What clients of all sorts put on the wire: the simulator answers each as a server should, and goes on serving."""

from __future__ import annotations

import json
import resource
import socket
import ssl
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, suppress
from typing import Any

import pytest

from reconciler.simulator.api.json_body import MAX_BYTES
from reconciler.simulator.testing import Running, running

ROLE = b'{"name": "wired", "management": "none"}'
IDLE = 1000


@pytest.fixture(scope="module")
def server() -> Iterator[Running]:
    with running(nodes=1, seed=3) as started:
        yield started


class Line:
    """A TLS connection to a node, for bytes as they are."""

    def __init__(self, server: Running) -> None:
        host, port = server.urls[0].removeprefix("https://").split(":")
        context = ssl.create_default_context(cafile=str(server.ca_file))
        self.socket = context.wrap_socket(socket.create_connection((host, int(port)), 20), server_hostname=host)
        self.file = self.socket.makefile("rb")
        self.head = f"Host: {host}\r\nAuthorization: {server.authorization()}\r\n".encode()

    def send(self, start: bytes, *headers: bytes, body: bytes = b"") -> None:
        lines = b"".join(header + b"\r\n" for header in headers)
        self.socket.sendall(start + b"\r\n" + self.head + lines + b"\r\n" + body)

    def receive(self, *, head_only: bool = False) -> tuple[int, dict[str, str], bytes]:
        status = int(self.file.readline().split()[1])
        headers: dict[str, str] = {}
        while (line := self.file.readline().strip()) != b"":
            name, _, value = line.decode("latin-1").partition(":")
            headers[name.lower()] = value.strip()
        length = 0 if head_only else int(headers.get("content-length", 0))
        return status, headers, self.file.read(length)

    def ask(self, start: bytes, *headers: bytes, body: bytes = b"") -> tuple[int, dict[str, str], bytes]:
        self.send(start, *headers, body=body)
        return self.receive()

    def close(self) -> None:
        self.file.close()
        self.socket.close()


@pytest.fixture
def line(server: Running) -> Iterator[Line]:
    with closing(Line(server)) as made:
        yield made


def length(body: bytes) -> bytes:
    return b"Content-Length: %d" % len(body)


DRY = b"POST /v1/roles?dry_run=true HTTP/1.1"
JSON = b"Content-Type: application/json"


def test_one_connection_serves_many_requests_and_pipelines(line: Line) -> None:
    for _ in range(3):
        line.send(b"GET /v1/bdbs HTTP/1.1", b"User-Agent: curl/8.5.0", b"Accept: */*")
    assert [line.receive()[0] for _ in range(3)] == [200, 200, 200]
    status, headers, body = line.ask(b"GET /v1/bdbs HTTP/1.1")
    assert (status, headers["content-type"], headers["server"], body) == (200, "application/json", "envoy", b"[]")
    assert "cluster-state-id" in headers


def test_a_client_that_asks_to_close_is_obeyed(line: Line) -> None:
    status, headers, _ = line.ask(b"GET /v1/bdbs HTTP/1.1", b"Connection: close")
    assert (status, headers["connection"], line.file.read()) == (200, "close", b"")


def test_http_1_0_is_answered_and_closed(line: Line) -> None:
    assert line.ask(b"GET /v1/bdbs HTTP/1.0")[0] == 200
    assert line.file.read() == b""


def test_chunks_are_put_together(line: Line) -> None:
    body = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in (ROLE[:7], ROLE[7:])) + b"0\r\n\r\n"
    status, _, answer = line.ask(DRY, JSON, b"Transfer-Encoding: chunked", body=body)
    assert (status, json.loads(answer)["name"]) == (200, "wired")


def test_a_client_that_waits_for_100_continue_gets_it(line: Line) -> None:
    line.send(DRY, JSON, length(ROLE), b"Expect: 100-continue")
    assert line.receive()[0] == 100
    line.socket.sendall(ROLE)
    assert line.receive()[0] == 200


def test_a_delete_may_carry_a_body(line: Line) -> None:
    body = ROLE.replace(b"wired", b"brief")
    made = json.loads(line.ask(b"POST /v1/roles HTTP/1.1", JSON, length(body), body=body)[2])
    start = b"DELETE /v1/roles/%d HTTP/1.1" % made["uid"]
    assert line.ask(start, JSON, length(b"{}"), body=b"{}")[0] == 200
    assert line.ask(b"GET /v1/bdbs HTTP/1.1")[0] == 200


def test_a_body_on_a_get_is_ignored(line: Line) -> None:
    assert line.ask(b"GET /v1/bdbs HTTP/1.1", JSON, length(b"{"), body=b"{")[0] == 200


def test_head_answers_without_a_body(line: Line) -> None:
    line.send(b"HEAD /v1/bdbs HTTP/1.1")
    status, headers, _ = line.receive(head_only=True)
    assert (status, "GET" in headers["allow"]) == (405, True)
    assert line.ask(b"GET /v1/bdbs HTTP/1.1")[0] == 200


CONTENT: list[tuple[bytes, int]] = [
    (b"Content-Type: application/json; charset=utf-8", 200),
    (b"content-type:APPLICATION/JSON", 200),
    (b"Content-Type: text/plain", 400),
    (b"Content-Type: application/x-www-form-urlencoded", 400),
    (b"X-Nothing: 1", 400),
]


@pytest.mark.parametrize(("header", "status"), CONTENT)
def test_the_content_type_is_looked_at(line: Line, header: bytes, status: int) -> None:
    assert line.ask(DRY, header, length(ROLE), body=ROLE)[0] == status


BODIES: list[tuple[bytes, int]] = [
    (b"", 400),
    (b"{", 400),
    (b"null", 400),
    (b"[]", 400),
    (b'"text"', 400),
    (b"\xff\xfe{}", 400),
    (b'{"name": "\xff"}', 400),
    (b'{"name": NaN, "management": "none"}', 400),
    (b"[" * 100_000, 400),
    (b'{"name": "x", "memory_size": 1e999}', 400),
    (b'{"name": ' + b"9" * 5000 + b', "management": "none"}', 400),
    (b'{"name": "\\ud800", "management": "none"}', 400),
]


@pytest.mark.parametrize(("body", "status"), BODIES, ids=range(len(BODIES)))
def test_no_body_upsets_it(line: Line, body: bytes, status: int) -> None:
    for start in (b"POST /v1/roles HTTP/1.1", b"POST /v1/bdbs HTTP/1.1"):
        got, _, answer = line.ask(start, JSON, length(body), body=body)
        expected = 406 if body == b"" and b"bdbs" in start else status  # an empty body is an empty object
        assert (got, sorted(json.loads(answer))) == (expected, ["description", "error_code"])


TARGETS: list[tuple[bytes, int]] = [
    (b"/", 404),
    (b"/v1", 404),
    (b"/v1//bdbs", 404),
    (b"/v1/bdbs/%31", 404),
    (b"/v1/bdbs/" + b"9" * 2000, 404),
    (b"/v1/bdbs/-1", 404),
    (b"/v1/bdbs/1.0", 404),
    (b"/v1/bdbs/%D9%A1", 404),
    (b"/v1/bdbs/%00", 404),
    (b"/v1/bdbs/%FF", 404),
    (b"/v1/bdbs/../cluster", 404),
    (b"/v1/bdbs?fields=" + b"a," * 3000, 200),
    (b"/v1/bdbs?fields=&fields=uid&%FF=%FF", 200),
]


@pytest.mark.parametrize(("target", "status"), TARGETS, ids=range(len(TARGETS)))
def test_no_path_upsets_it(line: Line, target: bytes, status: int) -> None:
    assert line.ask(b"GET " + target + b" HTTP/1.1")[0] == status


LOGINS = [b"Basic", b"Basic !!!", b"Basic \xff", b"Basic Og==", b"Bearer x.y.z", b"JWT", b"Digest a=b"]


@pytest.mark.parametrize("value", [*LOGINS, b"Basic " + b"QQ" * 9000])
def test_no_login_upsets_it(server: Running, line: Line, value: bytes) -> None:
    line.head = b"Host: x\r\n"
    status, headers, _ = line.ask(b"GET /v1/bdbs HTTP/1.1", b"Authorization: " + value)
    assert (status, headers["www-authenticate"].split()[0]) == (401, "Basic")


def test_a_body_of_64_mib_is_read_and_one_byte_more_is_not(line: Line) -> None:
    full = ROLE + b" " * (MAX_BYTES - len(ROLE))
    assert line.ask(DRY, JSON, length(full), body=full)[0] == 200
    with suppress(OSError):  # it may hang up before it has taken everything
        line.send(DRY, JSON, length(full + b" "), body=full + b" ")
    assert line.receive()[0] == 413


def test_a_client_that_goes_away_in_the_middle_harms_nobody(server: Running) -> None:
    for start in (b"", b"GET /v1", b"POST /v1/roles HTTP/1.1\r\nContent-Length: 50\r\n\r\n{"):
        with closing(Line(server)) as gone:
            gone.socket.sendall(start)
    with closing(Line(server)) as line:
        assert line.ask(b"GET /v1/bdbs HTTP/1.1")[0] == 200


def test_a_thousand_idle_connections_leave_room_for_work(server: Running) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, max(soft, 4 * IDLE)), hard))
    with ExitStack() as stack:
        lines: list[Any] = [stack.enter_context(closing(Line(server))) for _ in range(IDLE)]
        began = time.monotonic()
        for _ in range(200):
            assert lines[-1].ask(b"GET /v1/bdbs HTTP/1.1")[0] == 200
        assert time.monotonic() - began < 10
        assert [one.ask(b"GET /v1/bdbs HTTP/1.1")[0] for one in lines[::100]] == [200] * 10
