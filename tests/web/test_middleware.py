"""What every request passes: host names, tokens, methods, other sites; and the headers of every answer."""

from __future__ import annotations

import base64
from collections.abc import Iterator

import pytest

from reconciler.errors import InputError
from reconciler.secrets import Secret
from reconciler.settings.listen import Listen
from reconciler.web.auth import AllowedHosts, TokenAuth, TokenResult, host_of
from reconciler.web.middleware import HEADERS
from tests.web.rig import HOOK_FROM, SECRET, TOKEN, TOKEN_FROM, Rig, serving

PAGES = (
    *("/", "/cluster/prod-eu", "/plan/prod-eu", "/drift/staging", "/history", "/run/r2"),
    *("/metrics", "/style.css", "/icon.svg"),
)


@pytest.fixture(scope="module")
def page() -> Iterator[Rig]:
    """One that has another name, and no token."""
    with serving(listen=Listen(port=0, hosts=("page.example",))) as rig:
        yield rig


@pytest.fixture(scope="module")
def guarded() -> Iterator[Rig]:
    """One with a token; its time moves on by a minute with every test."""
    with serving(listen=Listen(port=0, token=TOKEN_FROM)) as rig:
        yield rig


@pytest.fixture(autouse=True)
def _a_minute_later(guarded: Rig) -> None:
    guarded.time[0] += 61.0


def basic(password: str, user: str = "anybody") -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def test_every_answer_has_the_headers_that_keep_browsers_in_check() -> None:
    with serving(listen=Listen(port=0, hooks={"github": HOOK_FROM})) as rig:
        answers = [rig.ask(path) for path in (*PAGES, "/healthz", "/readyz", "/nothing", "/cluster/none")]
        answers += [rig.ask("/", "POST"), rig.ask("/hooks/github", "POST", b"x"), rig.ask("/", Host="evil.example")]
    for answer in answers:
        for name, value in HEADERS:
            assert answer.headers[name.decode()] == value.decode()
        assert "server" not in answer.headers
        assert "set-cookie" not in answer.headers


def test_the_policy_allows_no_script_no_form_and_no_frame() -> None:
    policy = dict(HEADERS)[b"content-security-policy"].decode()
    assert policy.split("; ") == [
        "default-src 'none'",
        "style-src 'self'",
        "img-src 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
        "form-action 'none'",
    ]


@pytest.mark.parametrize(
    "method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "PROPFIND", "QUERY"]
)
def test_nothing_but_reading_is_possible(method: str, page: Rig) -> None:
    for path in (*PAGES, "/healthz", "/nothing"):
        data = f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 0\r\n\r\n"
        assert page.raw(data.encode()).startswith(b"HTTP/1.1 405 ")


def test_head_answers_as_get_without_a_body() -> None:
    with serving() as rig:
        for path in PAGES:
            get, head = rig.ask(path), rig.ask(path, "HEAD")
            assert (head.status, head.body) == (200, b"")
            assert head.headers["content-type"] == get.headers["content-type"]


def test_a_post_from_another_site_is_forbidden() -> None:
    with serving(listen=Listen(port=0, hooks={"github": HOOK_FROM})) as rig:
        for path in ("/", "/hooks/github", "/healthz"):
            assert rig.ask(path, "POST", b"x", Sec_Fetch_Site="cross-site").status == 403
            assert rig.ask(path, "POST", b"x", Origin="https://evil.example").status == 403


def test_another_site_may_link_here_and_not_embed() -> None:
    with serving() as rig:
        assert rig.ask("/", Sec_Fetch_Site="cross-site", Sec_Fetch_Mode="navigate").status == 200
        assert rig.ask("/", Sec_Fetch_Site="cross-site", Sec_Fetch_Mode="no-cors").status == 403
        assert rig.ask("/", Sec_Fetch_Site="same-site", Sec_Fetch_Mode="cors").status == 403
        assert rig.ask("/style.css", Sec_Fetch_Site="same-origin", Sec_Fetch_Mode="no-cors").status == 200


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1", 200),
        ("127.0.0.1:8080", 200),
        ("localhost", 200),
        ("LOCALHOST.", 200),
        ("[::1]:80", 200),
        ("127.9.9.9", 200),
        ("page.example", 200),
        ("evil.example", 421),
        ("127.0.0.1.evil.example", 421),
        ("localhost.evil.example", 421),
        ("page.example.evil.example", 421),
        ("192.168.0.1", 421),
        ("[2001:db8::1]", 421),
        ("page.example@evil.example", 400),
        ("page.example/evil", 400),
        ("page.example#evil", 400),
        ("evil.example\\page.example", 400),
        ("page.example:80:80", 400),
        ("page.example:port", 400),
        ("[::1", 400),
        ("[page.example]", 400),
        ("page.example, evil.example", 400),
        ("", 400),
    ],
)
def test_a_request_for_another_host_is_refused(host: str, status: int, page: Rig) -> None:
    answer = page.raw(f"GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
    assert answer.startswith(f"HTTP/1.1 {status} ".encode())
    assert b"evil" not in answer.partition(b"\r\n\r\n")[2]


def test_two_host_headers_and_none_are_refused() -> None:
    with serving() as rig:
        two = rig.raw(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n")
        none = rig.raw(b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n")
        old = rig.raw(b"GET / HTTP/1.0\r\n\r\n")
    assert [answer[9:12] for answer in (two, none, old)] == [b"400", b"400", b"400"]


def test_headers_of_proxies_are_not_believed() -> None:
    with serving() as rig:
        headers = {"X-Forwarded-Host": "evil.example", "X-Forwarded-Proto": "https", "Forwarded": "host=evil.example"}
        answer = rig.ask("/nothing/", **headers)
    assert (answer.status, b"evil" in answer.body, "location" in answer.headers) == (404, False, False)


def test_an_absolute_target_and_odd_paths_lead_nowhere() -> None:
    with serving() as rig:
        for target in (
            "http://evil.example/", "//evil.example/", "/../../etc/passwd", "/style.css/../../server.py",
            "/%2e%2e/%2e%2e/etc/passwd", "/static/style.css", "/hooks/github", "/cluster/", "/run/", "/history/", "*",
        ):  # fmt: skip
            answer = rig.raw(f"GET {target} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n".encode())
            assert answer[9:12] in (b"404", b"405"), target


def test_bytes_that_are_no_http_do_no_harm() -> None:
    with serving() as rig:
        for data in (
            b"\x16\x03\x01\x02\x00\x01",
            b"GET / HTTP/1.1\r\nHost 127.0.0.1\r\n\r\n",
            b"\x00" * 64 + b"\r\n\r\n",
        ):
            assert rig.raw(data).startswith(b"HTTP/1.1 400 ")
        too_much = rig.raw(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX: " + b"x" * 40_000)
        assert too_much[:12] in (b"HTTP/1.1 431", b"HTTP/1.1 400")
        assert rig.ask("/").status == 200


# --- tokens --------------------------------------------------------------------------------------------------------


def test_with_a_token_nothing_is_shown_without_it() -> None:
    with serving(listen=Listen(port=0, token=TOKEN_FROM)) as rig:
        for path in PAGES:
            bare = rig.ask(path)
            assert bare.status == 401
            assert bare.headers["www-authenticate"].startswith("Basic ")
            assert b"prod-eu" not in bare.body
            assert rig.ask(path, Authorization=f"Bearer {TOKEN}").status == 200
            assert rig.ask(path, Authorization=basic(TOKEN)).status == 200
        assert rig.ask(f"/?token={TOKEN}").status == 401


@pytest.mark.parametrize(
    "header",
    [
        *("Bearer", "Bearer ", f"Bearer {TOKEN[:-1]}", f"Bearer {TOKEN}x", f"Bearer {TOKEN.upper()}"),
        *(f"Token {TOKEN}", TOKEN, "Basic", "Basic !!!", "Basic AAA", basic(""), basic("", TOKEN)),
    ],
)
def test_a_wrong_token_is_refused(header: str, guarded: Rig) -> None:
    assert guarded.ask("/", Authorization=header).status == 401


def test_two_authorization_headers_are_none() -> None:
    with serving(listen=Listen(port=0, token=TOKEN_FROM)) as rig:
        one = f"Authorization: Bearer {TOKEN}\r\n"
        answer = rig.raw(f"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{one}{one}\r\n".encode())
    assert answer.startswith(b"HTTP/1.1 401 ")


def test_guessing_is_slowed_down_and_the_right_token_always_works() -> None:
    with serving(listen=Listen(port=0, token=TOKEN_FROM)) as rig:
        wrong = [rig.ask("/", Authorization=f"Bearer guess {n}").status for n in range(12)]
        assert wrong == [401] * 10 + [429] * 2
        assert rig.ask("/", Authorization=f"Bearer {TOKEN}").status == 200
        assert rig.ask("/").status == 401  # asking without any is no guess
        rig.time[0] = 61.0
        assert rig.ask("/", Authorization="Bearer guess").status == 401


def test_guesses_from_many_addresses_are_limited_and_remembered_in_bounded_space() -> None:
    tokens = TokenAuth(Secret(TOKEN), lambda: 0.0)
    answers = [tokens.check("Bearer wrong", f"10.0.{n // 250}.{n % 250}") for n in range(5000)]
    assert answers.count(TokenResult.WRONG) == 200
    assert answers[-1] is TokenResult.RATE_LIMITED


def test_a_hundred_wrong_tokens_behind_one_proxy_do_not_lock_out_the_right_one() -> None:
    tokens = TokenAuth(Secret(TOKEN), lambda: 0.0)
    for _ in range(1000):
        tokens.check("Bearer wrong", "10.0.0.1")
    assert tokens.check("Bearer wrong", "10.0.0.1") is TokenResult.RATE_LIMITED
    assert tokens.check(f"Bearer {TOKEN}", "10.0.0.1") is TokenResult.VALID
    assert tokens.check(f"Bearer {TOKEN}", "10.0.0.2") is TokenResult.VALID


def test_addresses_of_one_ipv6_network_are_one_asker() -> None:
    tokens = TokenAuth(Secret(TOKEN), lambda: 0.0)
    answers = [tokens.check("Bearer wrong", f"2001:db8::{n:x}") for n in range(12)]
    assert answers.count(TokenResult.RATE_LIMITED) == 2


def test_probes_need_no_token_and_tell_no_details_without_one() -> None:
    with serving(listen=Listen(port=0, token=TOKEN_FROM)) as rig:
        for path in ("/healthz", "/readyz"):
            assert rig.ask(path, Host="10.1.2.3:8080").text == '{"status": "ok"}\n'
            assert '"checks"' in rig.ask(path, Authorization=f"Bearer {TOKEN}").text
            assert rig.ask(path, Host="evil.example").text == '{"status": "ok"}\n'


def test_the_token_is_nowhere_on_the_pages_or_in_events() -> None:
    with serving(listen=Listen(port=0, token=TOKEN_FROM, hooks={"github": HOOK_FROM})) as rig:
        seen = b"".join(rig.ask(path, Authorization=f"Bearer {TOKEN}").body for path in PAGES)
        rig.ask("/hooks/github", "POST", b"{}", X_Hub_Signature_256=f"sha256={SECRET}")
        assert TOKEN.encode() not in seen
        assert SECRET.encode() not in seen
        assert TOKEN not in str(rig.events)
        assert SECRET not in str(rig.events)


def test_a_short_token_is_refused_at_the_start() -> None:
    listen = Listen(port=0, token=TOKEN_FROM)
    with (
        pytest.raises(InputError, match=r"agent\.listen\.token: has fewer than 16 characters"),
        serving(listen=listen, reveal=lambda reference, where: Secret("short")),
    ):
        pass


def test_names_and_addresses_where_others_can_connect() -> None:
    hosts = AllowedHosts(Listen(host="0.0.0.0", token=TOKEN_FROM, hosts=("agent.example",)))
    allowed = ["agent.example", "10.1.2.3", "fd00::1", "127.0.0.1"]
    assert [host for host in [*allowed, "localhost", "evil.example"] if hosts.allow(host)] == allowed


def test_hosts_are_read_strictly() -> None:
    assert host_of(b"Agent.Example:8080") == "agent.example"
    assert host_of("bücher.example".encode()) is None
    assert host_of(b"a" * 254) is None
