"""A target: one cluster to manage, its URLs, credentials and trust; and the limits of a run.

Read from the project file or the environment by `project`; `settings` applies the flags.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from reconciler.settings.agent import AgentPolicy
from reconciler.yaml12 import ParserLimits, shown

DEFAULT_PORT = 9443
DEFAULT_ALLOWED_IMPACTS = ("may-lose-data", "irreversible")

ReportProblem = Callable[[str, str], None]  # message, hint


@dataclass(frozen=True, slots=True)
class Target:
    """One cluster: its URLs, trust, credentials and manifests."""

    name: str  # "" for the one cluster of the environment: its addresses have no cluster
    urls: tuple[str, ...]  # https://host:port, one per node
    username: str | Mapping[str, Any]  # plain, or {"valueFrom": …}
    password: Mapping[str, Any]  # {"valueFrom": …}
    ca_cert: Path | None = None
    pin: str | None = None  # 64 hexadecimal digits
    insecure: bool = False  # configured *and* requested by flag
    login: str = "basic"  # or jwt: a token that the password gives; or certificate
    client_cert: Path | None = None  # PEM, for login: certificate
    client_key: Path | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    hosts: tuple[str, ...] | None = None  # patterns of hosts that manifests may name; None = default rules
    allowed_impacts: tuple[str, ...] = DEFAULT_ALLOWED_IMPACTS  # what manifests may consent to by metadata.allow
    manifests: tuple[Path, ...] = ()  # layers: a later one is merged over an earlier one
    agent_policy: AgentPolicy = field(default_factory=AgentPolicy)  # how the agent treats it

    @property
    def title(self) -> str:
        """The name in messages."""
        return self.name or "default"


class ProjectLimits(NamedTuple):
    """Limits of a plan without consent, and limits of the input."""

    update_percent: int = 30
    update_floor: int = 10
    file_size: int = 1024 * 1024
    total_size: int = 16 * 1024 * 1024
    files: int = 5_000
    depth: int = 32
    expanded_nodes: int = 50_000

    @property
    def parser_limits(self) -> ParserLimits:
        """The limits of one YAML file."""
        return ParserLimits(size=self.file_size, depth=self.depth, expanded=self.expanded_nodes)


def node_url(text: str, report: ReportProblem) -> str | None:
    """Return *text* as https://host:port; None, with a problem reported, if it is not the URL of a node."""
    example = f"write https://HOST:{DEFAULT_PORT}"
    if "@" in text:
        report("a URL cannot hold a user or a password", "give them as username and password")
        return None
    try:
        parts = urlsplit(text)
        host, port = parts.hostname, parts.port
    except ValueError:
        report(f"{shown(text)} is not a URL", example)
        return None
    if parts.scheme != "https":
        report(f"{shown(text)} does not begin with https://", example)
    elif not host or not _is_host(host):
        report(f"{shown(text)} has no host", example)
    elif parts.path not in ("", "/") or parts.query or parts.fragment or "?" in text or "#" in text:
        report(f"{shown(text)} has more than a host and a port", example)
    elif port == 0:
        report(f"{shown(text)} has an invalid port", example)
    else:
        return f"https://{f'[{host}]' if ':' in host else host}:{port or DEFAULT_PORT}"
    return None


def _is_host(host: str) -> bool:
    if ":" in host:
        try:
            ipaddress.IPv6Address(host)
        except ValueError:
            return False
        return True
    return len(host) <= 253 and re.fullmatch(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*\.?", host) is not None


def pin(text: str, report: ReportProblem) -> str | None:
    """Return *text* as 64 lower-case hexadecimal digits; None, with a problem reported, if it is not one."""
    digits = text.strip().lower().removeprefix("sha256:").replace(":", "")
    if re.fullmatch(r"[0-9a-f]{64}", digits):
        return digits
    report("is not a SHA-256 fingerprint", "write its 64 hexadecimal digits")
    return None
