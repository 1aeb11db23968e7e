#!/usr/bin/env python3
"""Requests of CI jobs to a forge: GitHub, Gitea or GitLab. Called by the workflows; standard library only.

    forge.py comment NAME FILE         create or update the comment on the pull request with FILE
    forge.py issue NAME FILE           create or update the open issue with FILE
    forge.py close NAME                close that issue, if there is one
    forge.py fetch NAME FILE           write to FILE the plan.json of the pull request that was merged as this commit

The comment or issue is found by a marker in it, and only among those of the account of the token: text of other
accounts is never overwritten. The token is never an argument, and is sent to the forge's own host only.

Environment: FORGE (github, gitea, gitlab), FORGE_API, FORGE_PROJECT (OWNER/NAME, or GitLab's number), FORGE_PULL (the
number), FORGE_COMMIT, FORGE_TOKEN, FORGE_ACCOUNT (account of the token, where the forge hides it). GitHub Actions
and GitLab CI set all of them except the token.
"""

from __future__ import annotations

import http.client
import io
import json
import os
import re
import ssl
import sys
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

LIMIT = 32 * 1024 * 1024  # bytes of a response
ROOM = 60_000  # characters of a text; GitHub accepts 65,536
PAGES = 50
SECONDS = 30.0


class Failed(Exception):
    """A request to the forge failed, or it does not have the requested object."""


class Refused(Failed):
    """There is no approved plan for this commit."""


class Forge:
    """One project on one forge, over its REST API."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        actions, gitlab = environ.get("GITHUB_ACTIONS") == "true", environ.get("GITLAB_CI") == "true"
        self.kind = environ.get("FORGE") or ("gitlab" if gitlab else "github")
        self.api = _first(environ, "FORGE_API", "CI_API_V4_URL" if gitlab else "GITHUB_API_URL").rstrip("/")
        self.project = _first(environ, "FORGE_PROJECT", "CI_PROJECT_ID" if gitlab else "GITHUB_REPOSITORY")
        self.token = _first(environ, "FORGE_TOKEN")
        self.account = environ.get("FORGE_ACCOUNT") or ("github-actions[bot]" if actions else "")
        self.environ = environ
        if self.kind not in ("github", "gitea", "gitlab"):
            raise Failed("FORGE: must be github, gitea or gitlab")
        parts = urlsplit(self.api)
        if parts.scheme != "https" and parts.hostname not in ("127.0.0.1", "localhost", "::1"):
            raise Failed("FORGE_API: must begin with https://, since the token is sent there")
        if self.kind == "gitlab":
            self.base = f"/projects/{quote(self.project, safe='')}"
        else:
            self.base = f"/repos/{quote(self.project)}"

    def me(self) -> str:
        """Return the name of the account of the token."""
        if not self.account:
            who = self.json("GET", "/user")
            self.account = str(who.get("username" if self.kind == "gitlab" else "login"))
        return self.account

    def wrote(self, item: Mapping[str, Any]) -> bool:
        """Return whether *item* was written by the account of the token."""
        if self.kind == "gitlab":
            return bool(item["author"]["username"] == self.me())
        return bool(item["user"]["login"] == self.me())

    def pull(self) -> int:
        """Return the number of the pull request."""
        ref = re.fullmatch(r"refs/pull/([0-9]+)/merge", self.environ.get("GITHUB_REF", ""))
        text = self.environ.get("FORGE_PULL") or self.environ.get("CI_MERGE_REQUEST_IID") or (ref[1] if ref else "")
        if not text.isdecimal():
            raise Failed("FORGE_PULL: the number of the pull request is missing")
        return int(text)

    def pages(self, path: str) -> Iterator[Any]:
        """Yield every item of a list."""
        joint = "&" if "?" in path else "?"
        seen: set[int] = set()
        for page in range(1, PAGES + 1):
            items = self.json("GET", f"{path}{joint}per_page=100&limit=100&page={page}")
            items = items.get("artifacts", []) if isinstance(items, dict) else items
            new = [item for item in items if item.get("id") not in seen]
            yield from new
            seen |= {item.get("id") for item in new}
            if len(items) < 20 or not new:  # Gitea may return fewer than requested, or the same again
                return

    def json(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        """Ask for JSON."""
        return json.loads(self.call(method, self.api + path, body))

    def call(self, method: str, url: str, body: Mapping[str, Any] | None = None, *, trusted: bool = True) -> bytes:
        """Send a request and return the body; a download may redirect once, to a host that gets no token."""
        headers = {"Accept": "application/json", "User-Agent": "reconciler-ci"}
        if trusted and self.kind == "gitlab":
            headers["PRIVATE-TOKEN"] = self.token
        elif trusted:
            headers["Authorization"] = f"{'token' if self.kind == 'gitea' else 'Bearer'} {self.token}"
        data = None
        if body is not None:
            data, headers["Content-Type"] = json.dumps(body).encode(), "application/json"
        status, content, location = _exchange(method, url, data, headers)
        if method == "GET" and status in (301, 302, 303, 307, 308) and location and trusted:
            return self.call("GET", location, trusted=False)
        if not 200 <= status < 300:
            raise Failed(f"{method} {urlsplit(url).path}: {status} {content[:200].decode('utf-8', 'replace')!r}")
        return content


def _first(environ: Mapping[str, str], *names: str) -> str:
    for name in names:
        if environ.get(name):
            return environ[name]
    raise Failed(f"{names[0]}: is missing")


def _exchange(method: str, url: str, data: bytes | None, headers: Mapping[str, str]) -> tuple[int, bytes, str | None]:
    parts = urlsplit(url)
    host = parts.hostname or ""
    connection: http.client.HTTPConnection
    if parts.scheme == "https":
        connection = http.client.HTTPSConnection(
            host, parts.port, timeout=SECONDS, context=ssl.create_default_context()
        )
    elif host in ("127.0.0.1", "localhost", "::1"):
        connection = http.client.HTTPConnection(host, parts.port, timeout=SECONDS)
    else:
        raise Failed(f"{parts.scheme}://{host}: only https is supported")
    target = parts.path + (f"?{parts.query}" if parts.query else "")
    try:
        connection.request(method, target, data, dict(headers))
        response = connection.getresponse()
        content = response.read(LIMIT + 1)
        location = response.getheader("Location")
    except (OSError, http.client.HTTPException) as error:
        raise Failed(f"{method} {host}: {error}") from error
    finally:
        connection.close()
    if len(content) > LIMIT:
        raise Failed(f"{method} {host}: the response is larger than {LIMIT} bytes")
    return response.status, content, location


def mark(what: str, name: str) -> str:
    """Return the marker, an invisible line by which the text is found again."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}", name):
        raise Failed(f"{name!r}: a name may have letters, digits, dot, dash and underscore")
    return f"<!-- reconciler {what} {name} -->"


def text_of(path: Path, line: str) -> str:
    """Return the marker and the text of *path*, cut to the limit of a forge; an open code fence is closed."""
    text = path.read_text(encoding="utf-8", errors="replace")
    if len(text) > ROOM:
        text = text[:ROOM].rpartition("\n")[0]
        fences = re.findall(r"^(`{3,})", text, re.MULTILINE)
        closed = f"\n{fences[-1]}" if len(fences) % 2 else ""
        text = f"{text}{closed}\n\n**Truncated:** the full text is in the log and the artifacts of the job.\n"
    return f"{line}\n{text}"


def comment(forge: Forge, name: str, path: Path) -> str:
    """Create or update the comment on the pull request."""
    line = mark("plan", name)
    body = {"body": text_of(path, line)}
    number = forge.pull()
    if forge.kind == "gitlab":
        place, method = f"{forge.base}/merge_requests/{number}/notes", "PUT"
        each = place
    else:
        place, method = f"{forge.base}/issues/{number}/comments", "PATCH"
        each = f"{forge.base}/issues/comments"
    for found in forge.pages(place):
        if found["body"].startswith(line) and forge.wrote(found):
            if found["body"] != body["body"]:
                forge.json(method, f"{each}/{found['id']}", body)
            return f"comment {found['id']} is up to date"
    return f"comment {forge.json('POST', place, body)['id']} was written"


def _issue(forge: Forge, line: str) -> tuple[int, str] | None:
    gitlab = forge.kind == "gitlab"
    listed = forge.pages(f"{forge.base}/issues?state={'opened' if gitlab else 'open'}")
    for found in listed:
        text = found.get("description" if gitlab else "body") or ""
        if text.startswith(line) and forge.wrote(found):
            return found["iid" if gitlab else "number"], text
    return None


def issue(forge: Forge, name: str, path: Path) -> str:
    """Create the issue, or update the open one."""
    line = mark("drift", name)
    gitlab = forge.kind == "gitlab"
    body = {"description" if gitlab else "body": text_of(path, line)}
    found = _issue(forge, line)
    if found is None:
        made = forge.json("POST", f"{forge.base}/issues", {"title": f"reconciler: {name} has drifted", **body})
        return f"issue {made['iid' if gitlab else 'number']} was opened"
    number, before = found
    if before not in body.values():
        forge.json("PUT" if gitlab else "PATCH", f"{forge.base}/issues/{number}", body)
    return f"issue {number} is up to date"


def close(forge: Forge, name: str) -> str:
    """Close the open issue, if there is one."""
    found = _issue(forge, mark("drift", name))
    if found is None:
        return "no issue is open"
    if forge.kind == "gitlab":
        forge.json("PUT", f"{forge.base}/issues/{found[0]}", {"state_event": "close"})
    else:
        forge.json("PATCH", f"{forge.base}/issues/{found[0]}", {"state": "closed"})
    return f"issue {found[0]} was closed"


def fetch(forge: Forge, name: str, path: Path) -> str:
    """Write the plan of the pull request that was merged as this commit."""
    mark("plan", name)
    environ = forge.environ
    commit = _first(environ, "FORGE_COMMIT", "CI_COMMIT_SHA" if forge.kind == "gitlab" else "GITHUB_SHA")
    if forge.kind == "gitlab":
        content, origin = _from_gitlab(forge, name, commit)
    elif forge.kind == "github":
        content, origin = _from_github(forge, name, commit)
    else:
        raise Failed("fetch: this forge has no artifacts by commit; plan and apply in one pipeline")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return f"{path} is the plan of {origin}"


def _from_github(forge: Forge, name: str, commit: str) -> tuple[bytes, str]:
    pulls = [pull for pull in forge.pages(f"{forge.base}/commits/{commit}/pulls") if pull.get("merged_at")]
    if len(pulls) != 1:
        raise Refused(f"commit {commit} comes from {len(pulls)} pull requests: no plan was approved for this commit")
    head = pulls[0]["head"]["sha"]
    artifact = f"reconciler-plan-{name}-{head}"
    found = [
        item
        for item in forge.pages(f"{forge.base}/actions/artifacts?name={artifact}")
        # A fork can create artifacts with any name, too.
        if item["name"] == artifact
        and not item["expired"]
        and item["workflow_run"]["head_sha"] == head
        and item["workflow_run"]["head_repository_id"] == item["workflow_run"]["repository_id"]
    ]
    if not found:
        raise Refused(f"pull request {pulls[0]['number']} has no artifact {artifact}, or it expired: plan again")
    newest = max(found, key=lambda item: int(item["id"]))
    archive = forge.call("GET", f"{forge.api}{forge.base}/actions/artifacts/{newest['id']}/zip")
    try:
        with zipfile.ZipFile(io.BytesIO(archive)) as opened, opened.open("plan.json") as member:
            content = member.read(LIMIT + 1)
    except (zipfile.BadZipFile, KeyError) as error:
        raise Refused(f"artifact {artifact} holds no plan.json: plan again") from error
    if len(content) > LIMIT:
        raise Refused(f"artifact {artifact}: plan.json is larger than {LIMIT} bytes")
    return content, f"pull request {pulls[0]['number']}"


def _from_gitlab(forge: Forge, name: str, commit: str) -> tuple[bytes, str]:
    merged = [
        item
        for item in forge.pages(f"{forge.base}/repository/commits/{commit}/merge_requests")
        if item["state"] == "merged"
    ]
    if len(merged) != 1:
        raise Refused(
            f"commit {commit} is the merge of {len(merged)} merge requests: no plan was approved for this commit"
        )
    request = merged[0]
    pipelines = [item["id"] for item in forge.pages(f"{forge.base}/merge_requests/{request['iid']}/pipelines")]
    for pipeline in sorted(pipelines, reverse=True):
        for job in forge.pages(f"{forge.base}/pipelines/{pipeline}/jobs?scope[]=success"):
            if job["name"] == f"reconciler-plan-{name}":
                url = f"{forge.api}{forge.base}/jobs/{job['id']}/artifacts/reconciler-plan/plan.json"
                return forge.call("GET", url), f"merge request {request['iid']}"
    raise Refused(f"merge request {request['iid']} has no job reconciler-plan-{name} that succeeded: plan again")


def main(words: list[str], environ: Mapping[str, str]) -> int:
    """Run the command line *words*; return 0 done, 1 failed, 3 invalid arguments, 5 refused."""
    does = {"comment": comment, "issue": issue, "fetch": fetch}
    try:
        match words:
            case ["close", name]:
                result = close(Forge(environ), name)
            case [("comment" | "issue" | "fetch") as word, name, path]:
                result = does[word](Forge(environ), name, Path(path))
            case _:
                sys.stderr.write(f"{__doc__}\n")
                return 3
    except (Failed, OSError, ValueError, KeyError, TypeError) as error:
        sys.stderr.write(
            f"forge: {error if isinstance(error, Failed | OSError) else f'unexpected response: {error!r}'}\n"
        )
        return 5 if isinstance(error, Refused) else 1
    sys.stdout.write(f"{result}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], os.environ))
