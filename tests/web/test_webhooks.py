"""Webhooks: whoever knows the secret may say "fetch now"; nobody may say anything else."""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import http.client
import json
import random
import socket
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from reconciler.secrets import Secret
from reconciler.settings.listen import Listen
from reconciler.web.webhooks import MAX_BODY, MIN_INTERVAL, PROVIDERS, Deliveries, DeliveryResult, Throttle
from tests.web.fake_status import NOW
from tests.web.rig import HOOK_FROM, SECRET, Rig, everything, serving

ALL = Listen(port=0, hooks=dict.fromkeys(PROVIDERS, HOOK_FROM))
KEY = Secret(SECRET)


def signed(provider: str, body: bytes, delivery: str = "1", secret: str = SECRET, when: float = NOW) -> dict[str, str]:
    """Return the headers that *provider* sends."""

    def mac(data: bytes) -> str:
        return hmac.new(secret.encode(), data, hashlib.sha256).hexdigest()

    if provider == "github":
        return {"x-hub-signature-256": f"sha256={mac(body)}", "x-github-delivery": delivery}
    if provider == "gitea":
        return {"x-gitea-signature": mac(body), "x-gitea-delivery": delivery}
    if provider == "gitlab":
        return {"x-gitlab-token": secret, "x-gitlab-event-uuid": delivery}
    stamp = str(int(when))
    return {
        "x-reconciler-timestamp": stamp,
        "x-reconciler-signature": f"sha256={mac(stamp.encode() + b'.' + body)}",
    }


@pytest.fixture(scope="module")
def rig() -> Iterator[Rig]:
    with serving(listen=ALL) as one:
        yield one


@pytest.mark.parametrize("provider", sorted(PROVIDERS))
def test_a_signed_delivery_means_fetch_now_and_a_replay_means_nothing(provider: str) -> None:
    with serving(listen=ALL) as rig:
        body = json.dumps({"ref": "refs/heads/main", "provider": provider}).encode()
        headers = signed(provider, body)
        first = rig.ask(f"/hooks/{provider}", "POST", body, **headers)
        assert (first.status, first.text) == (202, "fetch scheduled\n")
        again = rig.ask(f"/hooks/{provider}", "POST", body, **headers)
        assert (again.status, again.text) == (200, "duplicate delivery\n")
        assert rig.fetches == [1]


@pytest.mark.parametrize("provider", sorted(PROVIDERS))
def test_a_delivery_without_the_secret_is_refused(provider: str, rig: Rig) -> None:
    body = b'{"ref": "refs/heads/main"}'
    right = signed(provider, body)
    forged = [
        {},
        signed(provider, body, secret="another secret, long enough"),
        {name: value[:-1] for name, value in right.items()},
        {name: f"{value}0" for name, value in right.items()},
        dict.fromkeys(right, ""),
        dict.fromkeys(right, "sha256=" + "é" * 64),
    ]
    if provider != "gitlab":  # a token says nothing of the body
        forged.append(signed(provider, body + b" "))
    for headers in forged:
        data = "".join(f"{name}: {value}\r\n" for name, value in headers.items()).encode("latin-1")
        length = str(len(body)).encode()
        head = f"POST /hooks/{provider} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n".encode()
        answer = rig.raw(head + data + b"Content-Length: " + length + b"\r\n\r\n" + body)
        assert answer.startswith(b"HTTP/1.1 403 "), headers
    assert rig.fetches == []


def test_without_a_secret_there_is_no_such_address() -> None:
    with serving(listen=Listen(port=0, hooks={"gitlab": HOOK_FROM})) as rig:
        body = b"{}"
        assert rig.ask("/hooks/github", "POST", body, **signed("github", body)).status == 404
        assert rig.ask("/hooks/", "POST", body).status == 404
        assert rig.ask("/hooks/gitlab/x", "POST", body, **signed("gitlab", body)).status == 404
    with serving() as rig:
        assert rig.ask("/hooks/gitlab", "POST", body, **signed("gitlab", body)).status == 404
        assert rig.fetches == []


def test_a_token_of_the_page_opens_no_webhook_and_webhooks_need_none() -> None:
    listen = Listen(port=0, token=HOOK_FROM, hooks={"github": HOOK_FROM})
    with serving(listen=listen) as rig:
        assert rig.ask("/hooks/github", "POST", b"{}", Authorization=f"Bearer {SECRET}").status == 403
        assert rig.ask("/hooks/github", "POST", b"{}", **signed("github", b"{}")).status == 202


def test_a_replay_with_another_id_or_an_old_time_is_a_replay() -> None:
    seen = Deliveries()
    body = b'{"after": "8f14e45f"}'
    assert seen.check("github", KEY, signed("github", body, "1"), body, NOW) is DeliveryResult.ACCEPTED
    assert seen.check("github", KEY, signed("github", body, "2"), body, NOW) is DeliveryResult.DUPLICATE
    assert seen.check("gitlab", KEY, signed("gitlab", body, "1"), body, NOW) is DeliveryResult.ACCEPTED
    generic = signed("generic", body)
    assert seen.check("generic", KEY, generic, body, NOW) is DeliveryResult.ACCEPTED
    assert seen.check("generic", KEY, generic, body, NOW) is DeliveryResult.DUPLICATE
    assert seen.check("generic", KEY, signed("generic", body, when=NOW + 1), body, NOW) is DeliveryResult.ACCEPTED
    for off in (-301, 301):
        assert (
            seen.check("generic", KEY, signed("generic", body, when=NOW + off), body, NOW)
            is DeliveryResult.INVALID_SIGNATURE
        )


def test_ten_thousand_bodies_lead_to_nothing() -> None:
    chance = random.Random(5)
    seen = Deliveries()
    results = set()
    for number in range(10_000):
        body = chance.randbytes(chance.choice((0, 1, 7, 200, 3000)))
        provider = chance.choice(sorted(PROVIDERS))
        headers = signed(provider, body, str(number), secret="not the secret, but long enough")
        for name in list(headers):
            match chance.randrange(5):
                case 0:
                    del headers[name]
                case 1:
                    headers[name] = chance.randbytes(chance.randrange(80)).decode("latin-1")
                case 2:
                    headers[name] = headers[name].upper()
                case 3:
                    headers[name] += chance.choice((" ", "\x00", ",", "0", "=" * 1000))
        results.add(seen.check(provider, KEY, headers, body, NOW))
    assert results == {DeliveryResult.INVALID_SIGNATURE}
    assert len(seen._seen) == 0


def test_what_is_remembered_is_bounded() -> None:
    seen = Deliveries()
    for number in range(5000):
        body = str(number).encode()
        assert seen.check("github", KEY, signed("github", body, str(number)), body, NOW) is DeliveryResult.ACCEPTED
    assert len(seen._seen) == 4096


def test_signed_bodies_of_every_kind_mean_the_same_and_are_not_read() -> None:
    with serving(listen=ALL) as rig:
        bodies = [
            b"",
            b"\xff\xfe\x00",
            b"[" * 100_000,
            b'{"a":' * 10_000,
            b"9" * 5000,
            b'"\\ud800"',
            b"<x/>",
            b"--- !!python",
        ]
        for number, body in enumerate(bodies):
            answer = rig.ask("/hooks/github", "POST", body, **signed("github", body, str(number)))
            assert (answer.status, answer.text) == (202, "fetch scheduled\n")
        assert rig.fetches == [1]  # the others come within ten seconds and are one fetch at their end


def test_there_is_one_fetch_in_ten_seconds_and_none_is_forgotten() -> None:
    now = [100.0]
    throttle = Throttle(lambda: now[0])
    assert throttle.ask() == 0.0
    now[0] = 104.0
    assert throttle.ask() == MIN_INTERVAL - 4.0
    now[0] = 105.0
    assert throttle.ask() is None  # the one at 110 covers it
    now[0] = 110.5
    assert throttle.ask() == 9.5
    now[0] = 150.0
    assert throttle.ask() == 0.0


def test_however_often_somebody_asks_fetches_stay_ten_seconds_apart() -> None:
    chance, now, fetches = random.Random(1), [0.0], []
    throttle = Throttle(lambda: now[0])
    for _ in range(5000):
        now[0] += chance.expovariate(1.0)
        delay = throttle.ask()
        if delay is not None:
            fetches.append(now[0] + delay)
        assert any(now[0] <= at for at in fetches)  # whoever asks gets a fetch that starts after asking
    assert all(later - earlier >= MIN_INTERVAL - 1e-6 for earlier, later in pairwise(fetches))


# --- large and slow ------------------------------------------------------------------------------------------------


def resident() -> int:
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) * 1024


def test_a_body_that_says_that_it_is_too_large_is_not_read(rig: Rig) -> None:
    for length in (MAX_BODY + 1, 1 << 30, 10**30):
        head = f"POST /hooks/github HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n\r\n"
        answer = rig.raw(head.encode())
        assert answer[9:12] in (b"413", b"400")
    body = b"x" * MAX_BODY
    assert rig.ask("/hooks/github", "POST", body, **signed("github", body)).status == 202


def test_a_gigabyte_without_an_announced_length_takes_no_memory(rig: Rig) -> None:
    rig.ask("/")
    piece = f"{65536:x}\r\n".encode() + b"x" * 65536 + b"\r\n"
    before, sent = resident(), 0
    with rig.connection() as sock:
        sock.sendall(b"POST /hooks/github HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n")
        try:
            while sent < 1 << 30:
                sock.sendall(piece)
                sent += len(piece)
        except (BrokenPipeError, ConnectionResetError):
            pass
    assert sent < 64 << 20  # the rest was not taken: the connection was closed
    assert resident() - before < 5 << 20


def served_again(rig: Rig) -> bool:
    """Ask until there is a response: with a short time limit, a busy machine can be too slow for it now and then."""
    for _ in range(100):
        with contextlib.suppress(ConnectionError, http.client.HTTPException):
            if rig.ask("/healthz").status == 200:
                return True
    return False


def test_whoever_sends_slowly_is_cut_off() -> None:
    with serving(listen=ALL, request_timeout=0.3) as rig:
        head = b"POST /hooks/github HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n12"
        for start in (b"", b"GET / HTTP/1.1\r\nHost: local", head):
            with rig.connection() as sock:
                sock.sendall(start)
                assert everything(sock) == b""
        assert served_again(rig)


def test_whoever_reads_slowly_is_cut_off() -> None:
    """The buffers of the connection are small, so that few responses fill them, however busy the machine is."""

    def ask_and_never_read(sock: socket.socket) -> None:
        while True:
            sock.sendall(b"GET /style.css HTTP/1.1\r\nHost: localhost\r\n\r\n" * 50)

    with serving(request_timeout=0.3) as rig, socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, 536)  # the server's buffer grows with the segments
        sock.settimeout(30)
        sock.connect(("127.0.0.1", rig.port))
        with pytest.raises((BrokenPipeError, ConnectionResetError)):
            ask_and_never_read(sock)


def test_silent_connections_do_not_keep_others_out_for_long() -> None:
    with serving(request_timeout=0.3) as rig, contextlib.ExitStack() as stack:
        idle = [stack.enter_context(rig.connection()) for _ in range(150)]
        assert [everything(sock) for sock in idle] == [b""] * 150
        assert served_again(rig)
