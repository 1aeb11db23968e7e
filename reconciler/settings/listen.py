"""Settings of the status page, of incoming webhooks and of notifications.

Read from `agent.listen`, `agent.webhook` and `agent.notify` of the project file, which match the schema. Called by
`project` only; `web` and `notify` use the values. Contains references to secrets, never secrets.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from reconciler.kinds.quantities import quantity
from reconciler.yaml12 import shown

Reference = Mapping[str, Any]  # {"valueFrom": {"env": NAME}} or {"valueFrom": {"file": PATH}}
ReportProblem = Callable[[tuple[str | int, ...], str, str], None]  # path below `agent`, message, hint

_HOST = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?(\.[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?)*")


@dataclass(frozen=True, slots=True)
class Listen:
    """The address of the page, the metrics and the health checks, and who may read them."""

    enabled: bool = True
    host: str = "127.0.0.1"
    port: int = 8080
    token: Reference | None = None  # None: no authentication; only on loopback
    hosts: tuple[str, ...] = ()  # further host names that requests may use
    certificate: Path | None = None  # with *key*: HTTPS
    key: Path | None = None
    hooks: Mapping[str, Reference] = field(default_factory=dict)  # provider → its secret; no route without one

    @property
    def loopback(self) -> bool:
        """Whether only this machine can connect."""
        return is_loopback(self.host)


@dataclass(frozen=True, slots=True)
class Recipient:
    """One recipient of notifications; *kind* determines which other fields it has."""

    kind: str  # webhook, slack, github, gitlab
    url: Reference | None = None  # webhook, slack: secret, since it grants the right to post
    secret: Reference | None = None  # webhook: signs what is sent
    token: Reference | None = None  # github, gitlab
    project: str = ""  # github: owner/name; gitlab: group/name or its number
    api: str = ""  # https://host/base of the forge
    ca_cert: Path | None = None


@dataclass(frozen=True, slots=True)
class Notify:
    """The recipients of notifications about changes of health, and rate limits."""

    to: tuple[Recipient, ...] = ()
    link: str = ""  # URL of the page, for messages
    name: str = "reconciler"  # heading of messages and commit statuses
    settle: float = 60.0  # seconds; a shorter problem is not reported
    every: float = 60.0  # seconds between two messages
    quiet: float = 900.0  # seconds between two messages about the same thing


def is_loopback(host: str) -> bool:
    """Return whether *host* is a loopback address."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower().rstrip(".") == "localhost"


def read_listen(agent: Mapping[str, Any], root: Path, report: ReportProblem) -> Listen:
    """Return the settings in `agent.listen` and `agent.webhook`."""
    value: Mapping[str, Any] = agent.get("listen", {})
    made = Listen(
        enabled=value.get("enabled", True),
        host=value.get("host", "127.0.0.1"),
        port=value.get("port", 8080),
        token=value.get("token"),
        hosts=tuple(name.lower().rstrip(".") for name in value.get("hosts", ())),
        certificate=root / value["certificate"] if "certificate" in value else None,
        key=root / value["key"] if "key" in value else None,
        hooks={provider: hook["secret"] for provider, hook in sorted(agent.get("webhook", {}).items())},
    )
    if not _is_host(made.host):
        report(("listen", "host"), f"{shown(made.host)} is not an address", "use an IP address or a host name")
    elif not made.loopback and made.token is None and made.enabled:
        message = f"{made.host} is reachable from other machines, but no token is set"
        report(("listen", "host"), message, "add agent.listen.token, or listen on 127.0.0.1")
    for place, name in enumerate(made.hosts):
        if not _is_host(name):
            report(("listen", "hosts", place), f"{shown(name)} is not a host name", "write it without scheme and port")
    if (made.certificate is None) != (made.key is None):
        given, other = ("certificate", "key") if made.certificate else ("key", "certificate")
        report(("listen", given), f"requires {other}", f"add agent.listen.{other}")
    if made.hooks and not made.enabled:
        report(("webhook",), "requires an enabled listener", "set agent.listen.enabled")
    return made


def read_notify(agent: Mapping[str, Any], root: Path, report: ReportProblem) -> Notify:
    """Return the settings in `agent.notify`."""
    value: Mapping[str, Any] = agent.get("notify", {})
    usual = Notify()

    def seconds(name: str, default: float) -> float:
        found = quantity(value[name], "seconds") if name in value else default
        if found is None:
            report(("notify", name), f"{shown(value[name])} is not a duration", "use 30s, 5m or 1h")
        return default if found is None else float(found)

    if "link" in value and not _is_url(value["link"], ("https", "http")):
        report(("notify", "link"), "is not an http(s) URL", "write the address of the page, without a login")

    def at(place: int) -> Callable[[str, str, str], None]:
        return lambda name, message, hint: report(("notify", "to", place, name), message, hint)

    return Notify(
        to=tuple(_recipient(one, root, at(place)) for place, one in enumerate(value.get("to", ()))),
        link=value.get("link", ""),
        name=value.get("name", usual.name),
        settle=seconds("settle", usual.settle),
        every=max(1.0, seconds("every", usual.every)),
        quiet=seconds("quiet", usual.quiet),
    )


_NEEDS = {
    "webhook": ("url", "secret"),
    "slack": ("url",),
    "github": ("project", "token"),
    "gitlab": ("project", "token"),
}
_APIS = {"github": "https://api.github.com", "gitlab": "https://gitlab.com/api/v4"}


def _recipient(one: Mapping[str, Any], root: Path, report: Callable[[str, str, str], None]) -> Recipient:
    kind = one["type"]
    allowed = {*_NEEDS[kind], "caCert", "type", *(["api"] if kind in _APIS else [])}
    for name in _NEEDS[kind]:
        if name not in one:
            report("type", f"{kind} needs {name}", f"add {name}")
    for name in sorted(one.keys() - allowed):
        report(name, f"does not apply to {kind}", "remove it")
    api = one.get("api", _APIS.get(kind, ""))
    if api and not _is_url(api, ("https",)):
        report(
            "api",
            f"{shown(api)} is not an https URL",
            f"write it as {_APIS[kind]}, without a login" if kind in _APIS else "",
        )
    if kind == "github" and "project" in one and not re.fullmatch(r"[\w.-]+/[\w.-]+", one["project"], re.ASCII):
        report("project", f"{shown(one['project'])} is not a repository", "write OWNER/NAME")
    return Recipient(
        kind=kind,
        url=one.get("url"),
        secret=one.get("secret"),
        token=one.get("token"),
        project=one.get("project", ""),
        api=api.rstrip("/"),
        ca_cert=root / one["caCert"] if "caCert" in one else None,
    )


def _is_host(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return len(text) <= 253 and _HOST.fullmatch(text) is not None
    return True


def _is_url(text: str, schemes: tuple[str, ...]) -> bool:
    try:
        parts = urlsplit(text)
        return parts.scheme in schemes and bool(parts.hostname) and "@" not in parts.netloc and parts.port != 0
    except ValueError:
        return False
