"""The audit of locked packages: a known-bad version fails it, and so does everything that was not audited."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parent.parent.parent
AUDIT = ROOT / "deploy" / "checks" / "audit.py"
LOCKS = ("requirements.lock", "requirements-dev.lock", "requirements-build.lock", "deploy/checks/requirements.lock")
UNREACHABLE = "http://127.0.0.1:9/"
BAD, GOOD = "jinja2==2.11.2", "jinja2==2.11.3"


def advisory(package: str = "jinja2", fixed: str = "2.11.3", **more: Any) -> dict[str, Any]:
    """Return an advisory in the form of the database."""
    events = [{"introduced": "0"}, {"fixed": fixed}]
    affected = {"package": {"name": package, "ecosystem": "PyPI"}, "ranges": [{"type": "ECOSYSTEM", "events": events}]}
    return {"id": "PYSEC-2021-66", "affected": [affected], **more}


class Folder:
    """Lock files, a clone of the database, and a snapshot of it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.snapshot = path / "advisories.json"

    def lock(self, *pinned: str) -> Path:
        path = self.path / "x.lock"
        path.write_text("".join(f"{pin} \\\n    --hash=sha256:0\n" for pin in pinned))
        return path

    def database(self, *advisories: dict[str, Any], at: float) -> Path:
        clone = self.path / "clone"
        for number in range(1_000):
            folder = clone / "vulns" / f"other-{number}"
            folder.mkdir(parents=True)
            (folder / "PYSEC-0.yaml").write_text("id: PYSEC-0")
        for one in advisories:
            folder = clone / "vulns" / one["affected"][0]["package"]["name"]
            folder.mkdir(exist_ok=True)
            (folder / f"{one['id']}.yaml").write_text(yaml.safe_dump(one))
        date = f"{int(at)} +0000"
        who = {f"GIT_{role}_{what}": "x" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
        env = {
            **who,
            "GIT_AUTHOR_DATE": date,
            "GIT_COMMITTER_DATE": date,
            "PATH": "/usr/bin:/bin",
            "HOME": "/nonexistent",
        }
        for words in (("init", "-q"), ("commit", "-q", "--allow-empty", "-m", "x")):
            subprocess.run(["git", *words], cwd=clone, check=True, env=env)
        return clone

    def audit(self, *words: str | Path, service: str = UNREACHABLE) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, AUDIT, "--service", service, "--snapshot", self.snapshot, *words]
        return subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False, timeout=60)

    def refreshed(self, *pinned: str, days: float = 0.0, **advisories: Any) -> Path:
        lock = self.lock(*pinned)
        clone = self.database(advisory(**advisories), at=time.time() - days * 86_400)
        assert self.audit("--refresh", clone, lock).returncode == 0
        return lock


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


def test_a_known_bad_version_fails_with_the_snapshot(folder: Folder) -> None:
    done = folder.audit(folder.refreshed("Jinja2==2.11.2", "click==8.1.7"))
    assert done.returncode == 1
    assert "audit: jinja2==2.11.2: PYSEC-2021-66" in done.stderr
    assert "2 of 2 packages audited by the snapshot of" in done.stdout


def test_versions_without_advisories_pass(folder: Folder) -> None:
    done = folder.audit(folder.refreshed(GOOD, "click==8.1.7"))
    assert (done.returncode, done.stdout.rpartition(": ")[2]) == (0, "none with advisories\n")


def test_a_withdrawn_advisory_does_not_count(folder: Folder) -> None:
    assert folder.audit(folder.refreshed(BAD, withdrawn="2024-01-01T00:00:00Z")).returncode == 0


def test_a_snapshot_that_is_too_old_fails(folder: Folder) -> None:
    lock = folder.refreshed(GOOD, days=40)
    done = folder.audit(lock, "--if-possible")
    assert done.returncode == 1
    assert "days ago; at most 30 are allowed" in done.stderr
    assert folder.audit(lock, "--max-age", "50").returncode == 0


def test_a_package_that_the_snapshot_does_not_cover_fails(folder: Folder) -> None:
    folder.refreshed(GOOD)
    done = folder.audit(folder.lock(GOOD, "click==8.1.7"))
    assert done.returncode == 1
    assert "1 of 2 packages were audited; not: click" in done.stderr


def test_without_service_and_snapshot_it_fails_unless_it_is_told_to_say_so(folder: Folder) -> None:
    lock = folder.lock(GOOD)
    assert folder.audit(lock).returncode == 1
    done = folder.audit(lock, "--if-possible")
    assert done.returncode == 0
    assert done.stdout.startswith("audit: DID NOT RUN: no advisory service is reachable, and there is no snapshot")
    assert done.stdout.count("\n") == 1


def test_a_clone_of_something_else_is_refused(folder: Folder) -> None:
    clone = folder.database(at=time.time())
    (clone / "vulns/other-0/PYSEC-0.yaml").unlink()
    done = folder.audit("--refresh", clone, folder.lock(GOOD))
    assert done.returncode == 1
    assert "999 advisories; it is not a clone" in done.stderr


@pytest.fixture
def service() -> Iterator[tuple[str, list[Any]]]:
    """An advisory service that knows jinja2 only; the list has its answers, if it shall give others."""
    answers: list[Any] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            queries = json.loads(self.rfile.read(int(self.headers["content-length"])))["queries"]
            bad = [one["package"]["name"] == "jinja2" and one["version"] == "2.11.2" for one in queries]
            answer = answers or {"results": [{"vulns": [{"id": "PYSEC-2021-66"}]} if one else {} for one in bad]}
            self.send_response(200)
            self.end_headers()
            self.wfile.write(json.dumps(answer[0] if isinstance(answer, list) else answer).encode())

        def log_message(self, *words: object) -> None: ...

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/", answers
    server.shutdown()
    server.server_close()


def test_a_known_bad_version_fails_with_the_service(folder: Folder, service: tuple[str, list[Any]]) -> None:
    url, _ = service
    assert folder.audit(folder.lock(BAD, "click==8.1.7"), service=url).returncode == 1
    done = folder.audit(folder.lock(GOOD, "click==8.1.7"), service=url)
    assert (done.returncode, done.stdout[:28]) == (0, "audit: 2 of 2 packages audit")


@pytest.mark.parametrize("answer", [{"results": []}, {"results": [{}]}, {"message": "no"}, []])
def test_a_service_that_answers_for_fewer_packages_fails(
    folder: Folder, service: tuple[str, list[Any]], answer: Any
) -> None:
    url, answers = service
    answers.append(answer)
    assert folder.audit(folder.lock(GOOD, "click==8.1.7"), "--if-possible", service=url).returncode == 1


def test_every_package_of_the_locks_is_counted(folder: Folder) -> None:
    names = [
        line.partition("==")[0] for lock in LOCKS for line in (ROOT / lock).read_text().splitlines() if "==" in line
    ]
    done = folder.audit("--refresh", folder.database(at=time.time()), *(ROOT / lock for lock in LOCKS))
    assert done.returncode == 0, done.stderr
    assert json.loads(folder.snapshot.read_text())["packages"] == sorted(
        {name.lower().replace("_", "-") for name in names}
    )


@pytest.mark.parametrize("text", ["", "jinja2>=2\n", "jinja2==2.11.3\n./local\n"])
def test_a_lock_that_pins_less_than_it_lists_fails(folder: Folder, text: str) -> None:
    lock = folder.lock(GOOD)
    lock.write_text(text)
    assert folder.audit(lock, "--if-possible").returncode == 1
