"""Notifications as bytes for each kind of recipient. Pure; `notifier` sends them.

No name can bring a link or markup: `transitions` has escaped foreign text, and Slack's own three characters are escaped
here.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote

from reconciler.notify.transitions import CommitState, Transition
from reconciler.secrets import Secret
from reconciler.settings.listen import Notify, Recipient

MAX_ITEMS: Final = 20  # in one message; the rest is counted
_MARKS: Final = {"began": "●", "changed": "●", "ended": "✓"}
_LONGEST: Final = 140  # characters of a description on GitHub
_GITLAB: Final = {"pending": "running", "success": "success", "failure": "failed"}


@dataclass(frozen=True, slots=True, repr=False)
class Message:
    """A message for one recipient; its `repr` shows nothing, since headers can hold a token."""

    url: Secret
    body: bytes
    headers: dict[str, str]


def lines(transitions: Sequence[Transition], settings: Notify) -> list[str]:
    """Return a message as lines of text."""
    problems = sum(one.state != "ended" for one in transitions)
    resolved = len(transitions) - problems
    parts = [f"{problems} {'problem' if problems == 1 else 'problems'}"] if problems else []
    parts += [f"{resolved} resolved"] if resolved else []
    shown = [f"{_MARKS[one.state]} {one.text}" for one in transitions[:MAX_ITEMS]]
    rest = [f"… and {len(transitions) - MAX_ITEMS} more"] if len(transitions) > MAX_ITEMS else []
    return [f"{settings.name}: {', '.join(parts)}", *shown, *rest, *([settings.link] if settings.link else [])]


def slack(url: Secret, transitions: Sequence[Transition], settings: Notify) -> Message:
    """Return a message for Slack and compatible services."""
    text = "\n".join(lines(transitions, settings))
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return Message(url, _json({"text": text}), {"content-type": "application/json"})


def webhook(url: Secret, secret: Secret, transitions: Sequence[Transition], settings: Notify, now: float) -> Message:
    """Return a signed message: HMAC-SHA256 over the time, a dot, and the body."""
    content = {
        "version": 1,
        "name": settings.name,
        "link": settings.link,
        "items": [
            {"cluster": one.subject.cluster, "topic": one.subject.topic, "state": one.state, "text": one.text}
            for one in transitions[:MAX_ITEMS]
        ],
        "more": max(0, len(transitions) - MAX_ITEMS),
    }
    body, when = _json(content), str(int(now))
    signature = hmac.new(secret.reveal().encode(), when.encode() + b"." + body, hashlib.sha256).hexdigest()
    headers = {
        "content-type": "application/json",
        "x-reconciler-timestamp": when,
        "x-reconciler-signature": f"sha256={signature}",
    }
    return Message(url, body, headers)


def github(to: Recipient, token: Secret, state: CommitState, settings: Notify) -> Message:
    """Return a commit status for GitHub."""
    content = {"state": state.state, "context": settings.name, "description": state.text[:_LONGEST]}
    if settings.link:
        content["target_url"] = settings.link
    headers = {
        "content-type": "application/json",
        "accept": "application/vnd.github+json",
        "authorization": f"Bearer {token.reveal()}",
    }
    return Message(
        Secret(f"{to.api}/repos/{to.project}/statuses/{quote(state.revision, safe='')}"), _json(content), headers
    )


def gitlab(to: Recipient, token: Secret, state: CommitState, settings: Notify) -> Message:
    """Return a commit status for GitLab."""
    content = {"state": _GITLAB[state.state], "name": settings.name, "description": state.text[:_LONGEST]}
    if settings.link:
        content["target_url"] = settings.link
    headers = {"content-type": "application/json", "private-token": token.reveal()}
    where = f"{to.api}/projects/{quote(to.project, safe='')}/statuses/{quote(state.revision, safe='')}"
    return Message(Secret(where), _json(content), headers)


def _json(content: object) -> bytes:
    return json.dumps(content, sort_keys=True).encode()
