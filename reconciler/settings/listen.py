"""What the agent shows and tells to the outside: the page, webhooks of forges, notifications.

Read from `agent.listen`, `agent.webhook` and `agent.notify` of the project file, whose shape the schema has checked.
Called by `project` alone; `web` and `notify` take the values. Holds references to secrets, never secrets.
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
Complain = Callable[[tuple[str | int, ...], str, str], None]  # path below `agent`, message, hint

_HOST = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?(\.[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?)*")


@dataclass(frozen=True, slots=True)
class Listen:
    """Where the page, the metrics and the health checks are, and who may see them."""

    enabled: bool = True
    host: str = "127.0.0.1"
    port: int = 8080
    token: Reference | None = None  # None: whoever reaches the address may look; only on loopback
    hosts: tuple[str, ...] = ()  # names, beside the address itself, that requests may be sent to
    certificate: Path | None = None  # with *key*: HTTPS
    key: Path | None = None
    hooks: Mapping[str, Reference] = field(default_factory=dict)  # provider → its secret; none, no route

    @property
    def loopback(self) -> bool:
        """Whether only this machine can connect."""
        return is_loopback(self.host)


@dataclass(frozen=True, slots=True)
class Recipient:
    """One place that is told; *kind* says which of the other fields it has."""

    kind: str  # webhook, slack, github, gitlab
    url: Reference | None = None  # webhook, slack: a secret, since whoever knows it may write there
    secret: Reference | None = None  # webhook: signs what is sent
    token: Reference | None = None  # github, gitlab
    project: str = ""  # github: owner/name; gitlab: group/name or its number
    api: str = ""  # https://host/base of the forge
    ca_cert: Path | None = None


@dataclass(frozen=True, slots=True)
class Notify:
    """Who is told what changed for the better or worse, and how often at most."""

    to: tuple[Recipient, ...] = ()
    link: str = ""  # where people find the page; goes into messages
    name: str = "reconciler"  # what messages and commit statuses are headed with
    settle: float = 60.0  # seconds; what is over sooner is not told
    every: float = 60.0  # seconds between two messages
    quiet: float = 900.0  # seconds between two messages about the same thing


def own_names(listen: Listen, notify: Notify) -> frozenset[str]:
    """Return the names of the variables that hold secrets of the agent itself: no manifest reads them unasked."""
    given = [listen.token, *listen.hooks.values()]
    given += [reference for to in notify.to for reference in (to.url, to.secret, to.token)]
    return frozenset(one["valueFrom"]["env"] for one in given if one is not None and "env" in one["valueFrom"])


def is_loopback(host: str) -> bool:
    """Say whether *host* is this machine and nothing else."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower().rstrip(".") == "localhost"


def read_listen(agent: Mapping[str, Any], root: Path, complain: Complain) -> Listen:
    """Return what `agent.listen` and `agent.webhook` say."""
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
        complain(("listen", "host"), f"{shown(made.host)} is no address", "write an IP address or a host name")
    elif not made.loopback and made.token is None and made.enabled:
        message = f"{made.host} can be reached from other machines, and there is no token"
        complain(("listen", "host"), message, "add agent.listen.token, or listen on 127.0.0.1")
    for place, name in enumerate(made.hosts):
        if not _is_host(name):
            complain(("listen", "hosts", place), f"{shown(name)} is no host name", "write it without scheme and port")
    if (made.certificate is None) != (made.key is None):
        given, other = ("certificate", "key") if made.certificate else ("key", "certificate")
        complain(("listen", given), f"needs {other} beside it", f"add agent.listen.{other}")
    if made.hooks and not made.enabled:
        complain(("webhook",), "nothing listens for it", "set agent.listen.enabled")
    return made


def read_notify(agent: Mapping[str, Any], root: Path, complain: Complain) -> Notify:
    """Return what `agent.notify` says."""
    value: Mapping[str, Any] = agent.get("notify", {})
    usual = Notify()

    def seconds(name: str, default: float) -> float:
        found = quantity(value[name], "seconds") if name in value else default
        if found is None:
            complain(("notify", name), f"{shown(value[name])} is no time", "write 30s, 5m or 1h")
        return default if found is None else float(found)

    if "link" in value and not _is_url(value["link"], ("https", "http")):
        complain(("notify", "link"), "is no http(s) address", "write the address of the page, without a login")

    def at(place: int) -> Callable[[str, str, str], None]:
        return lambda name, message, hint: complain(("notify", "to", place, name), message, hint)

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


def _recipient(one: Mapping[str, Any], root: Path, complain: Callable[[str, str, str], None]) -> Recipient:
    kind = one["type"]
    allowed = {*_NEEDS[kind], "caCert", "type", *(["api"] if kind in _APIS else [])}
    for name in _NEEDS[kind]:
        if name not in one:
            complain("type", f"{kind} needs {name}", f"add {name}")
    for name in sorted(one.keys() - allowed):
        complain(name, f"means nothing for {kind}", "remove it")
    api = one.get("api", _APIS.get(kind, ""))
    if api and not _is_url(api, ("https",)):
        complain(
            "api",
            f"{shown(api)} is no https address",
            f"write it as {_APIS[kind]}, without a login" if kind in _APIS else "",
        )
    if kind == "github" and "project" in one and not re.fullmatch(r"[\w.-]+/[\w.-]+", one["project"], re.ASCII):
        complain("project", f"{shown(one['project'])} is no repository", "write OWNER/NAME")
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
