"""Messages as bytes for each kind of recipient. Pure; `herald` sends them.

Nothing here is a link or markup that a name could have brought: what is foreign was spelt out by `decide`, and Slack's
own three characters are escaped.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote

from reconciler.notify.decide import CommitState, News
from reconciler.secrets import Secret
from reconciler.settings.listen import Notify, Recipient

MOST: Final = 20  # things in one message; the rest is counted
_MARKS: Final = {"began": "●", "changed": "●", "ended": "✓"}
_LONGEST: Final = 140  # characters of a description on GitHub
_GITLAB: Final = {"pending": "running", "success": "success", "failure": "failed"}


@dataclass(frozen=True, slots=True, repr=False)
class Letter:
    """What to send to one recipient; shows nothing of itself, since headers can hold a token."""

    url: Secret
    body: bytes
    headers: dict[str, str]


def lines(news: Sequence[News], settings: Notify) -> list[str]:
    """Return a message as lines of text."""
    worse = sum(one.state != "ended" for one in news)
    better = len(news) - worse
    parts = [f"{worse} {'problem' if worse == 1 else 'problems'}"] if worse else []
    parts += [f"{better} over"] if better else []
    shown = [f"{_MARKS[one.state]} {one.text}" for one in news[:MOST]]
    rest = [f"… and {len(news) - MOST} more"] if len(news) > MOST else []
    return [f"{settings.name}: {', '.join(parts)}", *shown, *rest, *([settings.link] if settings.link else [])]


def slack(url: Secret, news: Sequence[News], settings: Notify) -> Letter:
    """Return a message for Slack and what understands the same."""
    text = "\n".join(lines(news, settings))
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return Letter(url, _json({"text": text}), {"content-type": "application/json"})


def webhook(url: Secret, secret: Secret, news: Sequence[News], settings: Notify, now: float) -> Letter:
    """Return a message that is signed: HMAC-SHA256 over the time, a dot, and the body."""
    content = {
        "version": 1,
        "name": settings.name,
        "link": settings.link,
        "items": [
            {"cluster": one.subject.cluster, "topic": one.subject.topic, "state": one.state, "text": one.text}
            for one in news[:MOST]
        ],
        "more": max(0, len(news) - MOST),
    }
    body, when = _json(content), str(int(now))
    signature = hmac.new(secret.reveal().encode(), when.encode() + b"." + body, hashlib.sha256).hexdigest()
    headers = {
        "content-type": "application/json",
        "x-reconciler-timestamp": when,
        "x-reconciler-signature": f"sha256={signature}",
    }
    return Letter(url, body, headers)


def github(to: Recipient, token: Secret, state: CommitState, settings: Notify) -> Letter:
    """Return a commit status for GitHub."""
    content = {"state": state.state, "context": settings.name, "description": state.text[:_LONGEST]}
    if settings.link:
        content["target_url"] = settings.link
    headers = {
        "content-type": "application/json",
        "accept": "application/vnd.github+json",
        "authorization": f"Bearer {token.reveal()}",
    }
    return Letter(
        Secret(f"{to.api}/repos/{to.project}/statuses/{quote(state.revision, safe='')}"), _json(content), headers
    )


def gitlab(to: Recipient, token: Secret, state: CommitState, settings: Notify) -> Letter:
    """Return a commit status for GitLab."""
    content = {"state": _GITLAB[state.state], "name": settings.name, "description": state.text[:_LONGEST]}
    if settings.link:
        content["target_url"] = settings.link
    headers = {"content-type": "application/json", "private-token": token.reveal()}
    where = f"{to.api}/projects/{quote(to.project, safe='')}/statuses/{quote(state.revision, safe='')}"
    return Letter(Secret(where), _json(content), headers)


def _json(content: object) -> bytes:
    return json.dumps(content, sort_keys=True).encode()
