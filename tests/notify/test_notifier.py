"""Sending: queues are short, whoever does not answer holds nobody up, and nothing secret is told. Over real TLS."""

from __future__ import annotations

import contextlib
import http.server
import json
import os
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from reconciler.client.webhook import Delivery, WebhookClient
from reconciler.errors import InputError
from reconciler.notify import notifying
from reconciler.notify.notifier import Notifier, Outbox
from reconciler.notify.payloads import Message
from reconciler.runtime import Runtime
from reconciler.secrets import Secret
from reconciler.settings.listen import Notify, Recipient
from reconciler.simulator.http.tls import TlsFiles, make
from reconciler.telemetry import Event
from tests.web.fake_status import NOW, OLDER, REVISION, fleet, refused, status_store

SECRETS = {"CHAT": "https://chat.example/services/T0/secret-part", "KEY": "a key, long enough", "FORGE": "glpat-1"}
CHAT = Recipient("slack", url={"valueFrom": {"env": "CHAT"}})
HOOK = Recipient("webhook", url={"valueFrom": {"env": "CHAT"}}, secret={"valueFrom": {"env": "KEY"}})
FORGE = Recipient(
    "gitlab", token={"valueFrom": {"env": "FORGE"}}, project="ops/redis", api="https://git.example/api/v4"
)


def reveal(reference: Mapping[str, Any], where: str) -> Secret:
    return Secret(SECRETS[reference["valueFrom"]["env"]])


@dataclass
class Post:
    """A sender that notes what it is given and answers as it is told."""

    answers: list[Delivery] = field(default_factory=list)
    sent: list[tuple[str, dict[str, Any], dict[str, str]]] = field(default_factory=list)
    called: threading.Event = field(default_factory=threading.Event)

    def post(self, url: Secret, body: bytes, headers: Mapping[str, str]) -> Delivery:
        self.sent.append((url.reveal(), json.loads(body), dict(headers)))
        self.called.set()
        return self.answers.pop(0) if self.answers else Delivery(True)

    def close(self) -> None:
        pass


def notifier(*recipients: Recipient, post: Post, of: Any = None, events: list[Event]) -> tuple[Notifier, list[Outbox]]:
    settings = Notify(to=recipients, settle=0, every=1)
    secrets = {"url": Secret(SECRETS["CHAT"]), "secret": Secret(SECRETS["KEY"]), "token": Secret(SECRETS["FORGE"])}
    outboxes = [Outbox(to, secrets, post, events.append) for to in recipients]
    return Notifier(status_store(of), settings, outboxes, lambda: NOW), outboxes


def test_each_recipient_gets_what_it_understands() -> None:
    post, events = Post(), []
    one, outboxes = notifier(CHAT, HOOK, FORGE, post=post, events=events)
    one.tick(100.0)
    for outbox in outboxes:
        outbox.send(lambda: 100.0)
    chat, hook, forge = post.sent
    assert chat[1]["text"].startswith("reconciler: 3 problems\n")
    assert [item["topic"] for item in hook[1]["items"]] == ["approval", "failure", "drift"]
    assert hook[2]["x-reconciler-timestamp"] == str(int(NOW))
    assert forge[0] == f"https://git.example/api/v4/projects/ops%2Fredis/statuses/{REVISION}"
    assert forge[1]["state"] == "failed"
    assert [event.attributes["result"] for event in events] == ["sent", "sent", "sent"]


def test_nothing_is_sent_twice() -> None:
    post, events = Post(), []
    one, (outbox,) = notifier(CHAT, post=post, events=events)
    for second in range(100, 400):
        one.tick(float(second))
        outbox.send(lambda: float(second))  # noqa: B023
    assert len(post.sent) == 1


def test_only_commits_get_a_commit_status() -> None:
    post, events = Post(), []
    status = refused(fleet())
    for revision, number in (("v1.2.3", 0), ("../../x", 0), (OLDER, 1)):
        source = type(status.source)("git", "x", REVISION, NOW, status.source.failure, revision)
        one, (outbox,) = notifier(FORGE, post=post, of=type(status)(NOW, "1", source, status.clusters), events=events)
        one.tick(1.0)
        post.sent.clear()
        outbox.send(lambda: 1.0)
        assert len(post.sent) == number


def test_who_does_not_answer_is_asked_again_later_and_later_and_then_given_up() -> None:
    post, events = Post(answers=[Delivery(False, True, "HTTP status 503")] * 6), []
    _, (outbox,) = notifier(CHAT, post=post, events=events)
    outbox.put(Message(Secret("https://chat.example/"), b"{}", {}))
    tried = []
    for second in range(400):
        before = len(post.sent)
        outbox.send(lambda: float(second))  # noqa: B023
        if len(post.sent) > before:
            tried.append(second)
    assert tried == [0, 5, 15, 35, 75, 155]
    assert [event.attributes["result"] for event in events] == ["retried"] * 5 + ["failed"]


def test_what_another_try_does_not_help_is_not_tried_again() -> None:
    post, events = Post(answers=[Delivery(False, False, "HTTP status 404")]), []
    _, (outbox,) = notifier(CHAT, post=post, events=events)
    outbox.put(Message(Secret("https://chat.example/"), b"{}", {}))
    for second in range(60):
        outbox.send(lambda: float(second))  # noqa: B023
    assert len(post.sent) == 1
    assert events[-1].attributes == {"recipient": "slack", "result": "failed", "why": "HTTP status 404"}


def test_a_queue_is_short_and_the_oldest_goes_first() -> None:
    post, events = Post(), []
    _, (outbox,) = notifier(CHAT, post=post, events=events)
    for number in range(30):
        outbox.put(Message(Secret("https://chat.example/"), json.dumps({"n": number}).encode(), {}))
    for _ in range(40):
        outbox.send(lambda: 0.0)
    assert [body["n"] for _, body, _ in post.sent] == list(range(10, 30))
    assert [event.attributes["result"] for event in events][:10] == ["dropped"] * 10


def test_the_threads_tell_what_becomes_of_the_status_and_end() -> None:
    post, events = Post(), []
    shown = status_store()
    settings = Notify(to=(CHAT,), settle=0, every=1)
    before = threading.active_count()
    with notifying(
        shown,
        settings,
        reveal=reveal,
        runtime=Runtime(observe=events.append),
        poll_interval=0.01,
        sender=lambda ca: post,
    ):
        assert post.called.wait(30)
    assert threading.active_count() == before
    assert SECRETS["CHAT"] not in str(events)


def test_a_bug_of_ours_ends_no_thread() -> None:
    class Broken(Post):
        def post(self, url: Secret, body: bytes, headers: Mapping[str, str]) -> Delivery:
            super().post(url, body, headers)
            if len(self.sent) < 3:
                raise RuntimeError("a bug")
            third.set()
            return Delivery(True)

    third, events = threading.Event(), []
    settings = Notify(to=(CHAT,), settle=0, every=1)
    with notifying(
        status_store(),
        settings,
        reveal=reveal,
        runtime=Runtime(observe=events.append),
        poll_interval=0.01,
        sender=lambda ca: Broken(),
    ):
        assert third.wait(30)
    assert "RuntimeError" in [event.attributes["why"] for event in events]


def test_a_ca_file_that_cannot_be_used_is_told_at_the_start(tmp_path: Path) -> None:
    to = Recipient("slack", url=CHAT.url, ca_cert=tmp_path / "missing.pem")
    with (
        pytest.raises(InputError, match=r"agent\.notify\.to\[0\]: .*missing\.pem cannot be used"),
        notifying(status_store(), Notify(to=(to,)), reveal=reveal, runtime=Runtime()),
    ):
        pass


# --- the way out, over real TLS ------------------------------------------------------------------------------------


@dataclass
class Receiver:
    """A server that takes what is posted."""

    port: int
    ca: Path
    got: list[tuple[str, dict[str, str], bytes]]

    def url(self, path: str) -> Secret:
        return Secret(f"https://127.0.0.1:{self.port}{path}")


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> TlsFiles:
    return make(tmp_path_factory.mktemp("tls"))


@contextlib.contextmanager
def receiving(files: TlsFiles, answer: Callable[[Any], None]) -> Iterator[Receiver]:
    got: list[tuple[str, dict[str, str], bytes]] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            got.append((self.path, {name.lower(): value for name, value in self.headers.items()}, body))
            answer(self)

        def log_message(self, format: str, *values: Any) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.socket = files.context().wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield Receiver(server.server_address[1], files.ca, got)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def status(code: int, **headers: str) -> Callable[[Any], None]:
    def answer(handler: Any) -> None:
        handler.send_response(code)
        for name, value in headers.items():
            handler.send_header(name, value)
        handler.send_header("content-length", "2")
        handler.end_headers()
        handler.wfile.write(b"ok")

    return answer


def posted(receiver: Receiver, ca: Path | None, path: str = "/in", **more: Any) -> Delivery:
    poster = WebhookClient(ca, **more)
    try:
        return poster.post(receiver.url(path), b"{}", {"content-type": "application/json"})
    finally:
        poster.close()


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (200, Delivery(True)),
        (204, Delivery(True)),
        (302, Delivery(False, False, "HTTP status 302")),
        (404, Delivery(False, False, "HTTP status 404")),
        (429, Delivery(False, True, "HTTP status 429")),
        (503, Delivery(False, True, "HTTP status 503")),
    ],
)
def test_an_answer_decides_whether_to_try_again(code: int, expected: Delivery, files: TlsFiles) -> None:
    with receiving(files, status(code, location="https://evil.example/")) as receiver:
        assert posted(receiver, files.ca) == expected
        assert [(path, body) for path, _, body in receiver.got] == [("/in", b"{}")]


def test_proxies_and_logins_of_the_environment_are_ignored(
    files: TlsFiles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login evil password evil\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
    for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.setenv("SSL_CERT_FILE", os.devnull)
    with receiving(files, status(200)) as receiver:
        assert posted(receiver, files.ca) == Delivery(True)
        assert "authorization" not in receiver.got[0][1]


def test_a_certificate_that_nobody_vouches_for_gets_no_message(files: TlsFiles, tmp_path: Path) -> None:
    other = make(tmp_path / "other")
    with receiving(files, status(200)) as receiver:
        for ca in (None, other.ca):
            assert posted(receiver, ca, "/secret-part") == Delivery(
                False, True, "the server's certificate is not trusted"
            )
        assert receiver.got == []


def test_an_answer_that_never_ends_is_left(files: TlsFiles) -> None:
    def drip(handler: Any) -> None:
        handler.send_response(200)
        handler.end_headers()
        with contextlib.suppress(OSError):
            while True:
                handler.wfile.write(b"x" * 4096)

    with receiving(files, drip) as receiver:
        assert posted(receiver, files.ca) == Delivery(True)


@pytest.mark.parametrize(
    "url", ["http://chat.example/x", "https://user:pass@chat.example/", "ftp://x/", "chat", "https://", "https://[::1/"]
)
def test_only_https_without_a_login_is_sent_to(url: str) -> None:
    poster = WebhookClient()
    came = poster.post(Secret(url), b"{}", {})
    poster.close()
    assert (came.ok, came.again) == (False, False)
    assert "pass" not in came.why


def test_nobody_there_is_worth_another_try_and_the_address_is_not_told() -> None:
    poster = WebhookClient(seconds=5)
    came = poster.post(Secret("https://127.0.0.1:9/services/secret-part"), b"{}", {})
    poster.close()
    assert came == Delivery(False, True, "connection refused")
