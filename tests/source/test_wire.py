"""git over https and ssh on loopback: who is trusted, who logs in, and where the login can be seen (nowhere)."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from reconciler.errors import Interrupted, SecretMissing, SourceStale, SourceUnsafe
from reconciler.secrets import Redactor, Secret, Sources
from reconciler.settings import FolderSource, GitSource, ProjectLimits
from reconciler.source import open_source
from tests.source.rig import Remote, in_thread, source, texts
from tests.source.wire import Https, Ssh, closing

TOKEN = "canary-9dKw3LmQ-git-token"


@pytest.fixture
def remote(tmp_path: Path) -> Remote:
    remote = Remote(tmp_path / "srv" / "shop.git")
    remote.add({"a.yaml": "1"})
    return remote


@pytest.fixture
def open_server(remote: Remote, tmp_path: Path) -> Iterator[Https]:
    with closing(Https(remote.folder.parent, tmp_path / "tls")) as server:
        yield server


@pytest.fixture
def server(remote: Remote, tmp_path: Path) -> Iterator[Https]:
    """A server that wants a login."""
    with closing(Https(remote.folder.parent, tmp_path / "tls", ("robot", TOKEN))) as server:
        yield server


def https(server: Https, tmp_path: Path, **more: Any) -> Any:
    outer = {"reveal": more.pop("reveal", lambda value_from: Secret(TOKEN)), "redact": more.pop("redact", str)}
    given = {"ca_cert": server.ca, "username": "robot", "password": {"valueFrom": {"env": "TOKEN"}}, **more}
    return source(f"{server.url}/shop.git", tmp_path / "state", **outer, **given)


# --- https -----------------------------------------------------------------------------------------------------------


def test_a_repository_is_followed_over_https(open_server: Https, remote: Remote, tmp_path: Path) -> None:
    follow = https(open_server, tmp_path, password=None)
    first = follow.fetch()
    follow.accept(first)
    second = remote.add({"a.yaml": "2"}, first.id)
    assert follow.fetch().id == second
    assert {login for _, login in open_server.requests} == {""}


def test_the_login_is_sent_once_it_is_asked_for(server: Https, tmp_path: Path) -> None:
    assert texts(https(server, tmp_path).fetch()) == {"a.yaml": "1"}
    assert server.requests[0][1] == ""
    assert {login for _, login in server.requests[1:]} == {f"robot:{TOKEN}"}


def test_tags_are_listed_with_the_login_too(server: Https, remote: Remote, tmp_path: Path) -> None:
    remote.add({"a.yaml": "3"}, ref="refs/tags/v1.0.0")
    assert https(server, tmp_path, semver="1.x").fetch().name == "v1.0.0"


def test_a_wrong_login_is_tried_once_and_reported(server: Https, tmp_path: Path) -> None:
    with pytest.raises(SourceStale, match="check the credentials"):
        https(server, tmp_path, reveal=lambda value_from: Secret("wrong-canary-token")).fetch()
    assert [login for _, login in server.requests] == ["", "robot:wrong-canary-token"]


def test_without_a_login_nothing_is_asked_of_anybody(server: Https, tmp_path: Path) -> None:
    with pytest.raises(SourceStale, match="check the credentials"):
        https(server, tmp_path, password=None).fetch()


def test_a_new_password_is_used_at_the_next_fetch(server: Https, tmp_path: Path) -> None:
    passwords = iter([Secret("old"), Secret(TOKEN)])
    follow = https(server, tmp_path, reveal=lambda value_from: next(passwords))
    with pytest.raises(SourceStale):
        follow.fetch()
    assert follow.fetch().files


@pytest.mark.parametrize("password", ["two\nlines", "a\rb", "nul\0", "x" * 9000])
def test_what_is_no_password_is_not_sent(server: Https, tmp_path: Path, password: str) -> None:
    with pytest.raises(SourceStale, match="must be a single line"):
        https(server, tmp_path, reveal=lambda value_from: Secret(password)).fetch()
    assert server.requests == []


def test_the_password_is_in_no_argument_no_variable_and_no_file(server: Https, tmp_path: Path) -> None:
    """Looks at every process of this user, again and again, while git waits for the server in the middle of a fetch."""
    seen: list[bytes] = []
    asked, go_on = threading.Event(), threading.Event()

    def answer(handler: Any) -> None:
        asked.set()
        go_on.wait(120)
        server.answer = None
        server._git(handler)

    server.answer = answer
    thread, found = in_thread(https(server, tmp_path).fetch)
    assert asked.wait(120)
    names = set()
    for process in Path("/proc").glob("[0-9]*"):
        if process.name == str(os.getpid()):
            continue
        with contextlib.suppress(OSError):
            line = (process / "cmdline").read_bytes()
            seen += [line, (process / "environ").read_bytes()]
            names.update(word.rpartition(b"/")[2] for word in line.split(b"\0")[:2])
    go_on.set()
    thread.join(120)
    assert found[0].files
    assert b"git" in names
    assert any(b"remote-https" in line for line in seen)
    seen += [path.read_bytes() for path in (tmp_path / "state").rglob("*") if path.is_file()]
    assert [piece for piece in seen if TOKEN.encode() in piece or TOKEN.encode().hex().encode() in piece] == []


def test_a_certificate_of_somebody_else_is_not_trusted(server: Https, tmp_path: Path) -> None:
    for ca in (None, Https(tmp_path, tmp_path / "other").ca):
        with pytest.raises(SourceStale, match=r"check https\.caCert"):
            https(server, tmp_path, ca_cert=ca).fetch()
    assert server.requests == []


def test_a_certificate_for_another_name_is_not_trusted(tmp_path: Path) -> None:
    with closing(Https(tmp_path, tmp_path / "tls", names=("git.example.com",))) as server:
        with pytest.raises(SourceStale, match=r"check https\.caCert"):
            https(server, tmp_path).fetch()
        assert server.requests == []


def test_a_redirect_is_not_followed(server: Https, tmp_path: Path) -> None:
    with closing(Https(tmp_path / "srv", tmp_path / "tls2")) as trap:
        server.answer = lambda handler: server.reply(handler, 302, {"Location": f"{trap.url}{handler.path}"})
        with pytest.raises(SourceStale, match="redirects are not followed"):
            https(server, tmp_path).fetch()
        assert trap.requests == []


def test_proxies_and_netrc_of_the_environment_are_ignored(
    server: Https, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with closing(Https(tmp_path / "srv", tmp_path / "tls2")) as trap:
        for name in ("https_proxy", "HTTPS_PROXY", "ALL_PROXY", "http_proxy"):
            monkeypatch.setenv(name, trap.url)
        (tmp_path / ".netrc").write_text("machine localhost login robot password from-netrc\n")
        monkeypatch.setenv("HOME", str(tmp_path))
        assert https(server, tmp_path).fetch().files
        assert trap.requests == []
    assert "robot:from-netrc" not in [login for _, login in server.requests]


def lying(server: Https, body: bytes, kind: str = "application/x-git-upload-pack-advertisement") -> None:
    server.answer = lambda handler: server.reply(handler, 200, {"Content-Type": kind}, body)


SERVICE = b"001e# service=git-upload-pack\n0000"
ID = b"1" * 40
LIES = {
    "nothing": b"",
    "html": b"<html>please log in</html>",
    "no service": b"0000",
    "half a packet": SERVICE + b"00ff1234",
    "a packet of odd length": SERVICE + b"zzzz",
    "a reference with options": SERVICE + b"0045" + ID + b" refs/heads/--upload-pack=x\0ofs-delta\n0000",
    "a reference outside refs": SERVICE + b"003f" + ID + b" ../../../etc/passwd\0ofs-delta \n0000",
    "another protocol": SERVICE + b"000eversion 9\n0000",
    "an error with escapes": SERVICE + b"0023ERR \x1b[31mred\x1b[0m \xe2\x80\xaeabcd12345",
    "megabytes of references": SERVICE + b"".join(b"003f%040d refs/heads/x%05d\n" % (n, n) for n in range(50_000)),
}


@pytest.mark.parametrize("lie", LIES)
def test_a_lying_server_is_refused_and_the_last_good_revision_stays(
    open_server: Https, tmp_path: Path, lie: str
) -> None:
    follow = https(open_server, tmp_path, password=None)
    follow.accept(follow.fetch())
    lying(open_server, LIES[lie])
    with pytest.raises((SourceStale, SourceUnsafe)) as caught:
        follow.fetch()
    assert str(caught.value).isprintable()
    assert texts(follow.accepted()) == {"a.yaml": "1"}


def test_a_server_that_never_answers_is_given_up(open_server: Https, tmp_path: Path) -> None:
    stop = threading.Event()
    open_server.answer = lambda handler: stop.wait(60)
    with pytest.raises(SourceStale, match="timed out"):
        https(open_server, tmp_path, password=None, timeout=1).fetch()
    stop.set()


def test_a_stop_ends_a_fetch_that_hangs_in_the_network(open_server: Https, tmp_path: Path) -> None:
    hanging, stop = threading.Event(), threading.Event()

    def answer(handler: Any) -> None:
        hanging.set()
        stop.wait(60)

    open_server.answer = answer
    thread, found = in_thread(lambda: https(open_server, tmp_path, password=None).fetch(stop))
    assert hanging.wait(120)
    stop.set()
    thread.join(120)
    assert isinstance(found[0], Interrupted)


def test_a_list_of_tags_is_bounded(open_server: Https, tmp_path: Path) -> None:
    lines = b"".join(b"003f%040d refs/tags/%07d\n" % (n, n) for n in range(350_000))
    lying(open_server, SERVICE + lines + b"0000")
    with pytest.raises(SourceUnsafe, match="listing the tags: more than"):
        https(open_server, tmp_path, password=None, semver="1.x").fetch()


# --- ssh -------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def sshd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ssh]:
    with closing(Ssh(tmp_path_factory.mktemp("ssh") / "d")) as server:
        server.wait()
        yield server


def ssh(sshd: Ssh, remote: Remote, tmp_path: Path, **more: Any) -> Any:
    given = {"ssh_key": sshd.key, "known_hosts": sshd.known_hosts, **more}
    return source(sshd.url(remote.folder), tmp_path / "state", **given)


def test_a_repository_is_followed_over_ssh(sshd: Ssh, remote: Remote, tmp_path: Path) -> None:
    follow = ssh(sshd, remote, tmp_path)
    first = follow.fetch()
    follow.accept(first)
    second = remote.add({"a.yaml": "2"}, first.id)
    assert follow.fetch().id == second


def test_the_short_form_of_an_address_works(sshd: Ssh, remote: Remote, tmp_path: Path) -> None:
    """Without a port, which it cannot have: nobody answers, and ssh is asked for the right host."""
    follow = source(
        f"{sshd.user}@localhost.invalid:{remote.folder}",
        tmp_path / "state",
        ssh_key=sshd.key,
        known_hosts=sshd.known_hosts,
    )
    with pytest.raises(SourceStale, match=r"localhost\.invalid"):
        follow.fetch()


def test_an_unknown_host_is_refused(sshd: Ssh, remote: Remote, tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.write_text("")
    for known in (empty, sshd.foreign_hosts):
        with pytest.raises(SourceStale, match=r"compare the server's key with ssh\.knownHosts"):
            ssh(sshd, remote, tmp_path, known_hosts=known).fetch()
    assert empty.read_text() == ""


def test_a_key_that_may_not_log_in_is_reported(sshd: Ssh, remote: Remote, tmp_path: Path) -> None:
    with pytest.raises(SourceStale, match="check the credentials"):
        ssh(sshd, remote, tmp_path, ssh_key=sshd.other).fetch()


def test_no_agent_and_no_configuration_of_the_user_is_used(
    sshd: Ssh, remote: Remote, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trap = tmp_path / "trap"
    trap.write_text(f"#!/bin/sh\ntouch {tmp_path}/sprung\n")
    trap.chmod(0o755)
    monkeypatch.setenv("SSH_AUTH_SOCK", str(tmp_path / "agent"))
    for name in ("GIT_SSH", "GIT_SSH_COMMAND", "GIT_PROXY_COMMAND", "GIT_ASKPASS", "SSH_ASKPASS", "GIT_EXTERNAL_DIFF"):
        monkeypatch.setenv(name, str(trap))
    assert ssh(sshd, remote, tmp_path).fetch().files
    with pytest.raises(SourceStale):
        ssh(sshd, remote, tmp_path, ssh_key=sshd.other).fetch()
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize("missing", ["ssh_key", "known_hosts"])
def test_a_file_that_is_missing_is_reported_by_its_name(
    sshd: Ssh, remote: Remote, tmp_path: Path, missing: str
) -> None:
    with pytest.raises(SourceStale, match="absent cannot be read"):
        ssh(sshd, remote, tmp_path, **{missing: tmp_path / "absent"}).fetch()


# --- opened from settings ------------------------------------------------------------------------------------------


class Settings:
    """What `open_source` takes of the settings."""

    def __init__(self, state: Path, **environ: str) -> None:
        self.state_dir, self.limits = state, ProjectLimits()
        self.redactor = Redactor()
        self.login_sources = Sources({"PATH": os.environ["PATH"], **environ}, None, redactor=self.redactor)


def test_credentials_come_from_where_the_project_file_says(server: Https, tmp_path: Path) -> None:
    where = GitSource(
        f"{server.url}/shop.git",
        branch="main",
        username="robot",
        password={"valueFrom": {"env": "TOKEN"}},
        ca_cert=server.ca,
    )
    settings: Any = Settings(tmp_path / "state", TOKEN=TOKEN)
    assert open_source(where, settings).fetch().files
    assert settings.redactor.redact(f"x {TOKEN}") == "x (secret)"
    unset: Any = Settings(tmp_path / "state")
    with pytest.raises(SecretMissing, match="TOKEN"):
        open_source(where, unset).fetch()


def test_a_state_folder_may_be_relative(remote: Remote, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    settings: Any = Settings(Path("state"))
    follow = open_source(GitSource(str(remote.folder), branch="main"), settings)
    follow.accept(follow.fetch())
    assert (tmp_path / "state/source").is_dir()


def test_a_folder_is_opened_too(tmp_path: Path) -> None:
    (tmp_path / "manifests").mkdir()
    (tmp_path / "manifests/a.yaml").write_text("1")
    settings: Any = Settings(tmp_path / "state")
    assert texts(open_source(FolderSource(tmp_path / "manifests"), settings).fetch()) == {"a.yaml": "1"}


def test_what_git_says_is_redacted(server: Https, tmp_path: Path) -> None:
    server.login = None
    server.answer = lambda handler: server.reply(handler, 500, {})
    with pytest.raises(SourceStale, match="fetching branch main: masked"):
        https(server, tmp_path, redact=lambda text: "masked").fetch()
