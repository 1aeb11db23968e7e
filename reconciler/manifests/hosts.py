"""Hosts that a manifest makes the cluster connect to: backups, imports, replica sources. Pure; called by `loader`.

The cluster's nodes may be in a network that the author of a manifest cannot reach. Addresses of the node itself and of
the machine's own services are therefore denied, in every notation, unless the project file allows them; the project
file can also restrict which hosts are allowed at all. A name is not resolved: its addresses can change later.
"""

from __future__ import annotations

import fnmatch
import ipaddress
import re
import unicodedata
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

from reconciler.errors import Problem
from reconciler.kinds import Field, Kind, endpoint_fields
from reconciler.manifests.layers import Manifest
from reconciler.settings import Target
from reconciler.yaml12 import Path, shown

_NAME = re.compile(r"[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?)*\Z")
_NUMBER = re.compile(r"0x[0-9a-f]*|[0-9]+\Z")

# Metadata services of clouds; they return credentials of the machine, among other data.
_METADATA_NAMES = frozenset(("metadata", "metadata.google.internal", "instance-data", "instance-data.ec2.internal"))
_METADATA_ADDRESSES = frozenset(map(ipaddress.ip_address, ("100.100.100.200", "192.0.0.192", "fd00:ec2::254")))
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address


def check_hosts(manifest: Manifest, kind: Kind, cluster: Target, problems: list[Problem]) -> None:
    """Add a problem for each address in *manifest* that *cluster* must not connect to."""
    spec: Mapping[str, Any] = manifest.value.get("spec", {})
    fields = endpoint_fields.of(kind)
    for name in spec.keys() & fields.keys():
        for path, url in _urls(fields[name], spec[name], ("spec", name)):
            why = denied_reason(url, cluster.hosts)
            if why:
                hint = "allow it in clusters[].hosts of the project file"
                problems.append(manifest.problem(path, why, hint))


def _urls(field: Field, value: Any, path: Path) -> Iterator[tuple[Path, str]]:
    if isinstance(value, list) and field.items:
        for index, item in enumerate(value):
            yield from _urls(field.items, item, (*path, index))
    elif isinstance(value, dict):
        for name in sorted(value.keys() & field.properties.keys()):
            yield from _urls(field.properties[name], value[name], (*path, name))
    elif field.access.embeds_secret and field.form.format != "user-name" and isinstance(value, str):
        yield path, value
    elif field.form.format == "endpoint" and isinstance(value, str):
        yield path, f"//{value}"


def denied_reason(url: str, allowed: tuple[str, ...] | None) -> str:
    """Return why *url* is denied, "" if it is allowed. *allowed*: patterns, None = any host that is not special."""
    try:
        host = urlsplit(url).hostname or ""
    except ValueError:
        host = ""
    plain = unicodedata.normalize("NFKC", host).lower().rstrip(".")
    address = _address(plain)
    if address is None and not _NAME.match(plain):
        return f"{shown(host)} is not a host name"
    if allowed is not None:
        fits = any(fnmatch.fnmatchcase(text, pattern) for pattern in allowed for text in {plain, str(address or plain)})
        return "" if fits else f"the host {shown(host)} is not in the list of allowed hosts"
    what = _special_address(plain, address)
    return f"the host {shown(host)} is {what}" if what else ""


def _special_address(name: str, address: IPAddress | None) -> str:
    if name == "localhost" or name.endswith((".localhost", ".localdomain")):
        return "the node itself"
    if name in _METADATA_NAMES or address in _METADATA_ADDRESSES:
        return "a cloud metadata service"
    if address is None:
        return ""
    if address.is_loopback or address.is_unspecified:
        return "the node itself"
    if address.is_link_local:
        return "link-local, the range of cloud metadata services"
    if address.is_multicast or address == ipaddress.IPv4Address("255.255.255.255"):
        return "a multicast or broadcast address"
    return ""


def _address(host: str) -> IPAddress | None:
    """Return the address that *host* denotes, also in the notations of resolvers: fewer parts, octal or hexadecimal."""
    try:
        found: IPAddress = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return _old_style(host)
    if isinstance(found, ipaddress.IPv6Address):
        return found.ipv4_mapped or found.sixtofour or _embedded(found) or found
    return found


def _embedded(address: ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    compatible = int(address) >> 32 == 0 and int(address) > 1
    return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF) if compatible or address in _NAT64 else None


def _old_style(host: str) -> ipaddress.IPv4Address | None:
    """Return what `inet_aton` returns for *host*: 127.1, 2130706433, 0x7f000001, 0177.0.0.1."""
    parts = host.split(".")
    if not 1 <= len(parts) <= 4 or not all(_NUMBER.fullmatch(part) and len(part) < 20 for part in parts):
        return None
    try:
        numbers = [int(part, 16 if part[:2] == "0x" else 8 if part[0] == "0" else 10) for part in parts if part != "0x"]
        *high, low = numbers
        value = sum(number << (24 - 8 * index) for index, number in enumerate(high)) + low
        return ipaddress.IPv4Address(value) if all(number < 256 for number in high) else None
    except ValueError:  # 08, or more than 32 bits
        return None
