"""Servers of git on this machine: https through git's own CGI program, ssh through a real sshd; and a lying one."""

from __future__ import annotations

import base64
import contextlib
import os
import pwd
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from reconciler.simulator.http.tls import make
from tests.source.rig import run, tool


class Https:
    """git over https for the repositories in one folder; with *login* (user, password) only for those who know it."""

    def __init__(
        self, folder: Path, tls: Path, login: tuple[str, str] | None = None, names: tuple[str, ...] = ("localhost",)
    ) -> None:
        self.folder, self.login = folder, login
        self.requests: list[tuple[str, str]] = []  # path and the login that came with it
        self.answer: Any = None  # a function (handler) that answers instead of git
        made = make(tls, names, days=1)
        self.ca = made.ca
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(made.certificate, made.key)
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.server.daemon_threads = True
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True, do_handshake_on_connect=False)
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self.thread.start()

    @property
    def url(self) -> str:
        return f"https://localhost:{self.server.server_address[1]}"

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *words: object) -> None:
                """Say nothing."""

            def do_GET(self) -> None:
                outer.serve(self)

            do_POST = do_GET

        return Handler

    def serve(self, handler: BaseHTTPRequestHandler) -> None:
        given = handler.headers.get("Authorization", "")
        login = base64.b64decode(given.removeprefix("Basic ")).decode() if given else ""
        self.requests.append((handler.path, login))
        if self.login is not None and login != ":".join(self.login):
            self.reply(handler, 401, {"WWW-Authenticate": 'Basic realm="git"'})
        elif self.answer is not None:
            self.answer(handler)
        else:
            self._git(handler)

    def reply(
        self, handler: BaseHTTPRequestHandler, status: int, headers: Mapping[str, str], body: bytes = b""
    ) -> None:
        handler.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(body)

    def _git(self, handler: BaseHTTPRequestHandler) -> None:
        """Hand the request to `git http-backend`, as a web server does."""
        path, _, query = handler.path.partition("?")
        body = handler.rfile.read(int(handler.headers.get("Content-Length") or 0))
        env = {
            "PATH": os.environ["PATH"],
            "GIT_PROJECT_ROOT": str(self.folder),
            "GIT_HTTP_EXPORT_ALL": "1",
            "GIT_CONFIG_GLOBAL": "/dev/null",
            "REQUEST_METHOD": handler.command,
            "PATH_INFO": path,
            "QUERY_STRING": query,
            "CONTENT_TYPE": handler.headers.get("Content-Type", ""),
            "CONTENT_LENGTH": str(len(body)),
            "HTTP_CONTENT_ENCODING": handler.headers.get("Content-Encoding", ""),
            "GIT_PROTOCOL": handler.headers.get("Git-Protocol", ""),
            "REMOTE_ADDR": "127.0.0.1",
        }
        done = subprocess.run([tool("git"), "http-backend"], input=body, env=env, capture_output=True, check=False)
        head, _, content = done.stdout.partition(b"\r\n\r\n")
        headers = dict(line.split(": ", 1) for line in head.decode().splitlines() if ": " in line)
        self.reply(handler, int(headers.pop("Status", "200").split()[0]), headers, content)


class Ssh:
    """git over ssh as the user who runs the tests, with one key that may log in."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.folder = folder
        self.key, self.other = folder / "client", folder / "stranger"
        for path in (self.key, self.other, folder / "host"):
            run(tool("ssh-keygen"), "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", str(path))
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        (folder / "authorized").write_text((folder / "client.pub").read_text())
        host = (folder / "host.pub").read_text()
        self.known_hosts = folder / "known hosts"
        self.known_hosts.write_text(f"[localhost]:{self.port} {host}")
        self.foreign_hosts = folder / "foreign_hosts"
        self.foreign_hosts.write_text(f"[localhost]:{self.port} {(folder / 'stranger.pub').read_text()}")
        config = (
            f"Port {self.port}\nListenAddress 127.0.0.1\nHostKey {folder}/host\nPidFile none\nUsePAM no\n"
            f"AuthorizedKeysFile {folder}/authorized\nStrictModes no\nPasswordAuthentication no\n"
            "KbdInteractiveAuthentication no\nPermitRootLogin prohibit-password\nLogLevel ERROR\n"
        )
        (folder / "config").write_text(config)
        if os.geteuid() == 0:
            Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
        self.user = pwd.getpwuid(os.geteuid()).pw_name
        with (folder / "log").open("wb") as log:
            self.process = subprocess.Popen([tool("sshd"), "-D", "-e", "-f", str(folder / "config")], stderr=log)

    def url(self, path: Path) -> str:
        return f"ssh://{self.user}@localhost:{self.port}{path}"

    def wait(self) -> None:
        """Return once it answers."""
        for _ in range(1000):
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 5) as connection:
                assert connection.recv(4) == b"SSH-"
                return
            assert self.process.poll() is None, (self.folder / "log").read_text()
            threading.Event().wait(0.01)
        raise AssertionError("sshd does not answer")

    def close(self) -> None:
        self.process.terminate()
        self.process.wait()


@contextlib.contextmanager
def closing(server: Any) -> Iterator[Any]:
    try:
        yield server
    finally:
        server.close()
