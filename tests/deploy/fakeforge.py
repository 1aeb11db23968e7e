"""A forge on loopback: as much of GitHub's, Gitea's and GitLab's API as a CI job uses, written from their documents.

It keeps comments, issues and artifacts in memory, checks the token on every call, and remembers who asked for what.
"""

from __future__ import annotations

import http.server
import io
import json
import threading
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

TOKEN = "canary-forge-Tq8v3"
BOT = "github-actions[bot]"


@dataclass
class Asked:
    """One call."""

    method: str
    path: str
    body: Any
    authorized: bool


@dataclass
class FakeForge:
    """What the forge holds; `asked` is its log."""

    kind: str
    url: str = ""
    page: int = 100  # how many items a page has at most, whatever is asked for
    asked: list[Asked] = field(default_factory=list)
    comments: list[dict[str, Any]] = field(default_factory=list)
    issues: list[dict[str, Any]] = field(default_factory=list)
    pulls: list[dict[str, Any]] = field(default_factory=list)
    artifacts: list[dict[str, Any]] = field(default_factory=list)
    pipelines: list[dict[str, Any]] = field(default_factory=list)
    jobs: list[dict[str, Any]] = field(default_factory=list)
    files: dict[int, bytes] = field(default_factory=dict)

    @property
    def account(self) -> str:
        return BOT if self.kind == "github" else "reconciler"

    @property
    def writes(self) -> list[tuple[str, str]]:
        """Return the calls that changed something."""
        return [(call.method, call.path) for call in self.asked if call.method != "GET"]

    def by(self, who: str, **more: Any) -> dict[str, Any]:
        """Return an item that *who* wrote."""
        return {"author": {"username": who}} | more if self.kind == "gitlab" else {"user": {"login": who}} | more

    def environment(self) -> dict[str, str]:
        """Return what a job sees; no job number, no commit."""
        same = {"FORGE_TOKEN": TOKEN}
        if self.kind == "github":
            return same | {
                "GITHUB_ACTIONS": "true",
                "GITHUB_API_URL": self.url,
                "GITHUB_REPOSITORY": "acme/redis",
                "GITHUB_REF": "refs/pull/7/merge",
                "GITHUB_SHA": "c0ffee",
            }
        if self.kind == "gitlab":
            return same | {
                "GITLAB_CI": "true",
                "CI_API_V4_URL": self.url,
                "CI_PROJECT_ID": "42",
                "CI_MERGE_REQUEST_IID": "7",
                "CI_COMMIT_SHA": "c0ffee",
            }
        return same | {"FORGE": "gitea", "FORGE_API": self.url, "FORGE_PROJECT": "acme/redis", "FORGE_PULL": "7"}

    def answer(self, method: str, path: str, query: dict[str, list[str]], body: Any) -> Any:
        """Return the answer to a call; None is 404, bytes is a file."""
        where = unquote(path).removeprefix("/repos/acme/redis").removeprefix("/projects/42")
        if where == "/user":
            return {"username": "reconciler", "login": "reconciler"}
        if where in ("/issues/7/comments", "/merge_requests/7/notes"):
            return self.collection(method, self.comments, query, body)
        if where == "/issues":
            return self.collection(method, self.issues, query, body)
        listed = {
            "/commits/c0ffee/pulls": self.pulls,
            "/repository/commits/c0ffee/merge_requests": self.pulls,
            "/merge_requests/7/pipelines": self.pipelines,
            "/pipelines/900/jobs": self.jobs,
        }
        if where in listed:
            return self.sheet(listed[where], query)
        if where == "/actions/artifacts":
            named = [item for item in self.artifacts if item["name"] == query["name"][0]]
            return {"total_count": len(named), "artifacts": self.sheet(named, query)}
        return self.one(method, where.split("/"), body)

    def one(self, method: str, steps: list[str], body: Any) -> Any:
        """Return the answer to a call about one thing."""
        match steps:
            case ["", "issues", "comments", number] | ["", "merge_requests", "7", "notes", number]:
                return self.edit(self.comments, "id", int(number), body)
            case ["", "issues", number]:
                edited = self.edit(self.issues, "iid" if self.kind == "gitlab" else "number", int(number), body)
                if body.get("state_event") == "close":
                    edited["state"] = "closed"
                return edited
            case ["", "actions", "artifacts", number, "zip"]:
                return {"location": f"{self.url}/storage/{number}"}
            case ["", "storage", number] | ["", "jobs", number, "artifacts", "reconciler-plan", "plan.json"]:
                return self.files.get(int(number))
        return None

    def collection(self, method: str, items: list[dict[str, Any]], query: dict[str, list[str]], body: Any) -> Any:
        if method == "GET":
            open_ones = [item for item in items if item.get("state", "open") == "open"]
            return self.sheet(open_ones, query)
        number = 100 + len(items)
        items.append(self.by(self.account, id=number, number=number, iid=number, state="open", **body))
        return items[-1]

    def sheet(self, items: list[dict[str, Any]], query: dict[str, list[str]]) -> list[dict[str, Any]]:
        start = (int(query["page"][0]) - 1) * self.page
        return items[start : start + self.page]

    @staticmethod
    def edit(items: list[dict[str, Any]], key: str, number: int, body: dict[str, Any]) -> dict[str, Any]:
        (item,) = (item for item in items if item[key] == number)
        item.update(body)
        return item


def archive(content: bytes, name: str = "plan.json") -> bytes:
    """Return a zip, as artifacts come."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as opened:
        opened.writestr(name, content)
    return made.getvalue()


@contextmanager
def forge(kind: str) -> Iterator[FakeForge]:
    """Serve a forge on a free port of loopback."""
    fake = FakeForge(kind)

    class Handler(http.server.BaseHTTPRequestHandler):
        def handle_any(self) -> None:
            parts = urlsplit(self.path)
            sent = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            body = json.loads(sent) if sent else None
            given = self.headers.get("PRIVATE-TOKEN") or (self.headers.get("Authorization") or " ").split(" ", 1)[1]
            fake.asked.append(Asked(self.command, parts.path, body, given == TOKEN))
            if given != TOKEN and not parts.path.startswith("/storage/"):
                self.say(401, b"{}")
                return
            found = fake.answer(self.command, parts.path, parse_qs(parts.query), body)
            if found is None:
                self.say(404, b'{"message": "Not Found"}')
            elif isinstance(found, bytes):
                self.say(200, found)
            elif isinstance(found, dict) and "location" in found:
                self.say(302, b"", found["location"])
            else:
                self.say(201 if self.command == "POST" else 200, json.dumps(found).encode())

        def say(self, status: int, content: bytes, location: str = "") -> None:
            self.send_response(status)
            if location:
                self.send_header("Location", location)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *words: object) -> None:
            pass

        do_GET = do_POST = do_PUT = do_PATCH = handle_any

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        fake.url = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield fake
        server.shutdown()
        thread.join()
