"""Runs the real command in a process of its own, and searches everything that it leaves for secrets."""

from __future__ import annotations

import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.cli import canary

ROOT = Path(__file__).resolve().parent.parent.parent
LIMIT = 60  # seconds that any command may take before its test fails

PROJECT = """\
apiVersion: reconciler/v1
clusters:
  - name: here
    urls: [{urls}]
    caCert: ca.pem
    username: {{valueFrom: {{env: REDIS_ENTERPRISE_USER}}}}
    password: {{valueFrom: {{env: REDIS_ENTERPRISE_PASSWORD}}}}
    manifests: [manifests]
secrets: {{env: [ANA_PASSWORD, BOB_PASSWORD, BACKUP_KEY]}}
"""

SHOP = """\
apiVersion: reconciler/v1
kind: RedisACL
metadata: {name: app-keys}
spec: {acl: +@read +@write ~app:*}
---
apiVersion: reconciler/v1
kind: Role
metadata: {name: app}
spec: {management: none}
---
apiVersion: reconciler/v1
kind: User
metadata: {name: ana}
spec:
  email: ana@example.com
  roles: [app]
  password: {valueFrom: {env: ANA_PASSWORD}}
---
apiVersion: reconciler/v1
kind: Database
metadata: {name: sessions}
spec:
  memory_size: 1GiB
  backup_location:
    type: s3
    bucket_name: backups
    access_key_id: AK1
    secret_access_key: {valueFrom: {env: BACKUP_KEY}}
  roles_permissions:
    - {role: app, redis_acl: app-keys}
"""


@dataclass
class Done:
    """What a command left: exit code and both streams."""

    code: int
    out: str
    err: str


@dataclass
class Cli:
    """Runs commands in one folder; every output and every file they leave is searched for canaries."""

    folder: Path
    env: dict[str, str]
    searched: int = 0
    started: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def __call__(self, *words: str, code: int | None = 0, stdin: str = "", **env: str) -> Done:
        """Run a command to its end; assert its exit code unless *code* is None."""
        process = self.start(*words, **env)
        out, err = process.communicate(stdin.encode(), timeout=LIMIT)
        done = self.done(process, out, err)
        assert code is None or done.code == code, f"exit {done.code}\n--- out\n{done.out}\n--- err\n{done.err}"
        return done

    def start(self, *words: str, **env: str) -> subprocess.Popen[bytes]:
        """Start a command in a group of its own."""
        process = subprocess.Popen(
            [sys.executable, "-m", "reconciler", *words],
            cwd=self.folder,
            env={**self.env, **env},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        self.started.append(process)
        return process

    def done(self, process: subprocess.Popen[bytes], out: bytes, err: bytes) -> Done:
        """Search what a finished command left, and return it."""
        self.search(out, "standard output")
        self.search(err, "standard error")
        self.search(b"\0".join(word.encode() for word in process.args), "argv")  # type: ignore[union-attr, arg-type]
        for path in canary.files_below(self.folder):
            self.search(path.read_bytes(), str(path))
        return Done(process.returncode, out.decode(), err.decode())

    def search(self, data: bytes, where: str) -> None:
        self.searched += len(data)
        assert canary.found_in(data) == [], f"a secret is in {where}"

    def terminal(
        self,
        *words: str,
        answers: str = "",
        asked: Callable[[], object] = lambda: None,
        code: int | None = 0,
        **env: str,
    ) -> Done:
        """Run a command on a terminal of 100 columns. Both streams are one.

        When it asks, *asked* is called and *answers* are typed.
        """
        leader, follower = pty.openpty()
        process = subprocess.Popen(
            [sys.executable, "-m", "reconciler", *words],
            cwd=self.folder,
            env={**self.env, "TERM": "xterm", "COLUMNS": "100", **env},
            stdin=follower,
            stdout=follower,
            stderr=follower,
            start_new_session=True,
        )
        self.started.append(process)
        os.close(follower)
        screen, deadline = b"", time.monotonic() + LIMIT
        while time.monotonic() < deadline:
            if not select.select([leader], [], [], 0.2)[0]:
                continue
            try:
                chunk = os.read(leader, 65536)
            except OSError:  # Linux says EIO once the last writer is gone
                break
            if not chunk:
                break
            screen += chunk
            if answers and b"yes" in screen and screen.endswith(b": "):
                asked()
                os.write(leader, f"{answers}\n".encode())
                answers = ""
        os.close(leader)
        process.wait(LIMIT)
        done = self.done(process, screen.replace(b"\r\n", b"\n"), b"")
        assert code is None or done.code == code, f"exit {done.code}\n{done.out}"
        return done

    def write(self, name: str, text: str) -> Path:
        """Write a file into the folder."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path

    def edit(self, name: str, old: str, new: str) -> None:
        """Change a file in the folder."""
        path = self.folder / name
        text = path.read_text(encoding="utf-8")
        assert old in text
        path.write_text(text.replace(old, new), encoding="utf-8")

    def stop(self) -> None:
        """End what is still running."""
        for process in self.started:
            if process.poll() is None:
                process.kill()
                process.wait()
            for stream in (process.stdin, process.stdout, process.stderr):
                if stream is not None:
                    stream.close()


def environment() -> dict[str, str]:
    """Return a clean environment with the canaries in it."""
    kept = {name: os.environ[name] for name in ("PATH", "LANG", "LC_ALL", "HOME") if name in os.environ}
    return {
        **kept,
        "PYTHONPATH": str(ROOT),
        "PYTHONWARNINGS": "error",
        "REDIS_ENTERPRISE_USER": "admin@example.com",
        "REDIS_ENTERPRISE_PASSWORD": canary.LOGIN,
        "ANA_PASSWORD": canary.ANA,
        "BOB_PASSWORD": canary.BOB,
        "BACKUP_KEY": canary.BACKUP,
    }


def wait_for(found: Callable[[], Any], what: str) -> None:
    """Wait until *found* says so."""
    deadline = time.monotonic() + LIMIT
    while not found():
        assert time.monotonic() < deadline, f"waited too long for {what}"
        time.sleep(0.01)


def interrupt(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    """Send a signal to one process."""
    os.kill(process.pid, number)


def plain(text: str) -> str:
    """Return *text* without what moves cursors and colours letters."""
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text)
