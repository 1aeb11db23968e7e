"""What the project file says of the page, webhooks and notifications."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from reconciler import settings
from reconciler.errors import InputError, SecretMissing
from reconciler.secrets import resolve
from reconciler.settings import Settings
from reconciler.settings.listen import Listen, Notify, Recipient

HEAD = """\
apiVersion: reconciler/v1
clusters:
  - {name: dev, urls: [https://dev.example], username: ops, password: {valueFrom: {env: PW}}, manifests: [base]}
"""
FULL = """\
agent:
  listen:
    host: 0.0.0.0
    port: 9000
    token: {valueFrom: {file: token}}
    hosts: [Agent.Example, 10.0.0.1]
    certificate: tls.crt
    key: tls.key
  webhook:
    github: {secret: {valueFrom: {env: HOOK}}}
    gitlab: {secret: {valueFrom: {file: gitlab}}}
  notify:
    link: https://agent.example/
    name: redis
    settle: 30s
    every: 2m
    quiet: 1h
    to:
      - {type: slack, url: {valueFrom: {env: CHAT}}}
      - {type: webhook, url: {valueFrom: {env: URL}}, secret: {valueFrom: {env: KEY}}, caCert: ca.pem}
      - {type: github, project: ops/redis, token: {valueFrom: {env: FORGE}}}
      - {type: gitlab, project: ops/team/redis, token: {valueFrom: {env: LAB}}, api: https://git.example/api/v4/}
"""


def load(folder: Path, text: str, environ: dict[str, str] | None = None) -> Settings:
    (folder / "reconciler.yaml").write_text(HEAD + text)
    return settings.load(folder / "reconciler.yaml", environ or {})


def problems(folder: Path, text: str) -> list[str]:
    with pytest.raises(InputError) as caught:
        load(folder, text)
    return [str(problem).replace(f"{folder}/", "") for problem in caught.value.problems]


def env(name: str) -> dict[str, Any]:
    return {"valueFrom": {"env": name}}


def test_everything_that_can_be_said_is_understood(tmp_path: Path) -> None:
    found = load(tmp_path, FULL)
    assert found.listen == Listen(
        host="0.0.0.0",
        port=9000,
        token={"valueFrom": {"file": "token"}},
        hosts=("agent.example", "10.0.0.1"),
        certificate=tmp_path / "tls.crt",
        key=tmp_path / "tls.key",
        hooks={"github": env("HOOK"), "gitlab": {"valueFrom": {"file": "gitlab"}}},
    )
    assert found.notify == Notify(
        to=(
            Recipient("slack", url=env("CHAT")),
            Recipient("webhook", url=env("URL"), secret=env("KEY"), ca_cert=tmp_path / "ca.pem"),
            Recipient("github", token=env("FORGE"), project="ops/redis", api="https://api.github.com"),
            Recipient("gitlab", token=env("LAB"), project="ops/team/redis", api="https://git.example/api/v4"),
        ),
        link="https://agent.example/",
        name="redis",
        settle=30,
        every=120,
        quiet=3600,
    )


def test_without_a_word_the_page_is_on_loopback_and_nobody_is_reported(tmp_path: Path) -> None:
    found = load(tmp_path, "")
    assert (found.listen, found.notify) == (Listen(), Notify())
    assert found.listen.loopback


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "agent: {listen: {host: 0.0.0.0}}",
            "agent.listen.host: 0.0.0.0 is reachable from other machines, but no token is set "
            "(add agent.listen.token, or listen on 127.0.0.1)",
        ),
        (
            "agent: {listen: {host: agent.example}}",
            "agent.listen.host: agent.example is reachable from other machines, but no token is set "
            "(add agent.listen.token, or listen on 127.0.0.1)",
        ),
        (
            "agent: {listen: {host: 'http://x'}}",
            'agent.listen.host: "http://x" is not an address (use an IP address or a host name)',
        ),
        (
            "agent: {listen: {hosts: ['a b']}}",
            'agent.listen.hosts[0]: "a b" is not a host name (write it without scheme and port)',
        ),
        ("agent: {listen: {key: k}}", "agent.listen.key: requires certificate (add agent.listen.certificate)"),
        (
            "agent: {listen: {enabled: false}, webhook: {gitea: {secret: {valueFrom: {env: X}}}}}",
            "agent.webhook: requires an enabled listener (set agent.listen.enabled)",
        ),
        ("agent: {notify: {every: soon}}", 'agent.notify.every: "soon" is not a duration (use 30s, 5m or 1h)'),
        (
            "agent: {notify: {link: 'javascript:alert(1)'}}",
            "agent.notify.link: is not an http(s) URL (write the address of the page, without a login)",
        ),
        ("agent: {notify: {to: [{type: slack}]}}", "agent.notify.to[0].type: slack needs url (add url)"),
        (
            "agent: {notify: {to: [{type: slack, url: {valueFrom: {env: X}}, project: a/b}]}}",
            "agent.notify.to[0].project: does not apply to slack (remove it)",
        ),
        (
            "agent: {notify: {to: [{type: github, project: a, token: {valueFrom: {env: X}}}]}}",
            'agent.notify.to[0].project: "a" is not a repository (write OWNER/NAME)',
        ),
        (
            "agent: {notify: {to: [{type: gitlab, project: a/b, token: {valueFrom: {env: X}}, api: 'http://x'}]}}",
            'agent.notify.to[0].api: "http://x" is not an https URL '
            "(write it as https://gitlab.com/api/v4, without a login)",
        ),
    ],
)
def test_what_is_invalid_is_reported_with_its_place(text: str, message: str, tmp_path: Path) -> None:
    (found,) = problems(tmp_path, text)
    assert found.partition(": ")[2] == message


def test_a_webhook_without_a_secret_is_no_webhook(tmp_path: Path) -> None:
    (found,) = problems(tmp_path, "agent: {webhook: {github: {}}}")
    assert "secret" in found


def test_a_secret_is_never_written_down(tmp_path: Path) -> None:
    (found,) = problems(tmp_path, "agent: {listen: {token: hunter2-hunter2}}")
    assert "hunter2" not in found


def test_manifests_cannot_read_the_secrets_of_the_agent(tmp_path: Path) -> None:
    found = load(tmp_path, FULL, {"HOOK": "one", "CHAT": "two", "FORGE": "three", "OTHER": "four"})
    for name in ("HOOK", "CHAT", "FORGE"):
        with pytest.raises(SecretMissing, match="manifests may not read it"):
            resolve(env(name), found.sources)
    assert resolve(env("OTHER"), found.sources).reveal() == "four"
    assert found.reveal(env("HOOK"), "agent.webhook.github.secret").reveal() == "one"
