"""Messages as recipients get them."""

from __future__ import annotations

import hashlib
import hmac
import json

from reconciler.notify import payloads
from reconciler.notify.transitions import CommitState, Subject, Transition
from reconciler.secrets import Secret
from reconciler.settings.listen import Notify, Recipient
from reconciler.web.webhooks import PROVIDERS, authentic
from tests.web.fake_status import REVISION

SETTINGS = Notify(link="https://agent.example/", name="redis")
URL, KEY = Secret("https://hooks.example/T0/B0/xyz"), Secret("a secret that is long enough")
NEWS = (
    Transition(Subject("a", "failure"), "began", "a: Unreachable: <!channel> & <https://evil.example|click>"),
    Transition(Subject("b", "drift"), "ended", "b: in sync again"),
)
STATE = CommitState(REVISION, "pending", "1 of 2 clusters")


def test_a_chat_message_names_everything_and_links_to_nothing_foreign() -> None:
    message = payloads.slack(URL, NEWS, SETTINGS)
    assert json.loads(message.body) == {
        "text": "redis: 1 problem, 1 resolved\n"
        "● a: Unreachable: &lt;!channel&gt; &amp; &lt;https://evil.example|click&gt;\n"
        "✓ b: in sync again\n"
        "https://agent.example/"
    }
    assert message.headers == {"content-type": "application/json"}


def test_a_long_message_is_cut_and_counted() -> None:
    many = [Transition(Subject(f"c{number}", "failure"), "began", f"c{number}: down") for number in range(500)]
    lines = payloads.lines(many, SETTINGS)
    assert lines[0] == "redis: 500 problems"
    assert lines[-2:] == ["… and 480 more", "https://agent.example/"]
    assert len(lines) == 23
    assert json.loads(payloads.webhook(URL, KEY, many, SETTINGS, 0).body)["more"] == 480


def test_a_webhook_is_signed_with_its_time() -> None:
    message = payloads.webhook(URL, KEY, NEWS, SETTINGS, 1_790_000_000.9)
    stamp = message.headers["x-reconciler-timestamp"]
    expected = hmac.new(KEY.reveal().encode(), stamp.encode() + b"." + message.body, hashlib.sha256).hexdigest()
    assert (stamp, message.headers["x-reconciler-signature"]) == ("1790000000", f"sha256={expected}")
    assert authentic(PROVIDERS["generic"], KEY, message.headers, message.body, 1_790_000_010)
    assert json.loads(message.body)["items"][0] == {
        "cluster": "a",
        "topic": "failure",
        "state": "began",
        "text": "a: Unreachable: <!channel> & <https://evil.example|click>",
    }


def test_github_gets_a_commit_status() -> None:
    to = Recipient("github", project="ops/redis", api="https://api.github.com")
    message = payloads.github(to, Secret("ghp_token"), STATE, SETTINGS)
    assert message.url.reveal() == f"https://api.github.com/repos/ops/redis/statuses/{REVISION}"
    assert message.headers["authorization"] == "Bearer ghp_token"
    assert json.loads(message.body) == {
        "state": "pending",
        "context": "redis",
        "description": "1 of 2 clusters",
        "target_url": "https://agent.example/",
    }


def test_gitlab_gets_a_commit_status_in_its_own_words() -> None:
    to = Recipient("gitlab", project="ops/team/redis", api="https://gitlab.example/api/v4")
    message = payloads.gitlab(to, Secret("glpat"), STATE, Notify())
    assert message.url.reveal() == f"https://gitlab.example/api/v4/projects/ops%2Fteam%2Fredis/statuses/{REVISION}"
    assert message.headers["private-token"] == "glpat"
    assert json.loads(message.body) == {"state": "running", "name": "reconciler", "description": "1 of 2 clusters"}


def test_a_description_fits() -> None:
    long = CommitState(REVISION, "failure", "x" * 400)
    to = Recipient("github", project="ops/redis", api="https://api.github.com")
    assert len(json.loads(payloads.github(to, KEY, long, SETTINGS).body)["description"]) == 140
