"""What a target is: one cluster to manage, where it is and how to trust it; and the limits of a run.

Read from the project file or the environment by `project`; flags are put on top by the package itself.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from reconciler.settings.conduct import Conduct
from reconciler.yaml12 import Bounds, shown

DEFAULT_PORT = 9443

Complain = Callable[[str, str], None]  # message, hint


@dataclass(frozen=True, slots=True)
class Target:
    """One cluster: where it is, how to trust it, how to log in, what is meant for it."""

    name: str  # "" for the one cluster of the environment: its addresses carry no cluster
    urls: tuple[str, ...]  # https://host:port, one a node
    username: str | Mapping[str, Any]  # plain, or {"valueFrom": …}
    password: Mapping[str, Any]  # {"valueFrom": …}
    ca_cert: Path | None = None
    pin: str | None = None  # 64 hexadecimal digits
    insecure: bool = False  # configured *and* asked for by flag
    labels: Mapping[str, str] = field(default_factory=dict)
    hosts: tuple[str, ...] | None = None  # patterns: what manifests may make it connect to; None = any usual host
    manifests: tuple[Path, ...] = ()  # layers: a later one is merged over an earlier one
    conduct: Conduct = field(default_factory=Conduct)  # what the agent does with it

    @property
    def title(self) -> str:
        """The name for people."""
        return self.name or "default"


class Limits(NamedTuple):
    """How far a plan may go unasked, and how much input is read."""

    update_percent: int = 30
    update_floor: int = 10
    file_size: int = 1024 * 1024
    total_size: int = 16 * 1024 * 1024
    files: int = 5_000
    depth: int = 32
    expanded_nodes: int = 50_000

    @property
    def bounds(self) -> Bounds:
        """What one YAML file may ask of us."""
        return Bounds(size=self.file_size, depth=self.depth, expanded=self.expanded_nodes)


def node_url(text: str, complain: Complain) -> str | None:
    """Return *text* as https://host:port; None, with a complaint, where it is no address of a node."""
    example = f"write https://HOST:{DEFAULT_PORT}"
    if "@" in text:
        complain("a URL cannot hold a user or a password", "give them as username and password")
        return None
    try:
        parts = urlsplit(text)
        host, port = parts.hostname, parts.port
    except ValueError:
        complain(f"{shown(text)} is no URL", example)
        return None
    if parts.scheme != "https":
        complain(f"{shown(text)} does not begin with https://", example)
    elif not host or not _is_host(host):
        complain(f"{shown(text)} names no host", example)
    elif parts.path not in ("", "/") or parts.query or parts.fragment or "?" in text or "#" in text:
        complain(f"{shown(text)} is more than host and port", example)
    elif port == 0:
        complain(f"{shown(text)} has no usable port", example)
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


def pin(text: str, complain: Complain) -> str | None:
    """Return *text* as 64 lower-case hexadecimal digits; None, with a complaint, where it is no SHA-256."""
    digits = text.strip().lower().removeprefix("sha256:").replace(":", "")
    if re.fullmatch(r"[0-9a-f]{64}", digits):
        return digits
    complain("is no SHA-256 fingerprint", "write its 64 hexadecimal digits")
    return None
