"""Hosts that a manifest makes the cluster, or the browsers of its users, connect to. Pure; one table of `x-address`.

The cluster's nodes may be in a network that the author of a manifest cannot reach. Addresses of the node itself and of
the machine's own services are therefore denied, in every notation, unless the project file allows them; the project
file can also restrict which hosts are allowed at all. A name is not resolved: its addresses can change later. `loader`
checks what manifests say; `session` checks what files and variables say, and again what a saved plan says.
"""

from __future__ import annotations

import fnmatch
import html
import ipaddress
import re
import unicodedata
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

from reconciler.errors import Problem, SecretMissing
from reconciler.kinds import Field, Kind, address_fields
from reconciler.kinds.vocabulary import is_value_from
from reconciler.manifests.layers import Manifest
from reconciler.secrets import Secret
from reconciler.settings import Target
from reconciler.yaml12 import Path, shown

Allowed = tuple[str, ...] | None  # patterns; None = any host that is not special
Reveal = Callable[[Mapping[str, Any]], Secret]

_LOGIN = "an address cannot hold a user or a password here"
_HINT = "allow it in clusters[].hosts of the project file"
_HINTS = {_LOGIN: "write the host alone; user and password have fields of their own"}

_NAME = re.compile(r"[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?)*\Z")
_NUMBER = re.compile(r"0x[0-9a-f]*|[0-9]+\Z")
_OF_ADDRESSES = re.compile(r"[0-9.:*?]*[0-9][0-9.:*?]*")  # a pattern that means addresses, not names: 10.*

# Metadata services of clouds; they return credentials of the machine, among other data.
_METADATA_NAMES = frozenset(("metadata", "metadata.google.internal", "instance-data", "instance-data.ec2.internal"))
_METADATA_ADDRESSES = frozenset(map(ipaddress.ip_address, ("100.100.100.200", "192.0.0.192", "fd00:ec2::254")))
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")

# The host of a bucket, container or account, by the type of the location: one can allow a single bucket.
_BUCKETS = {"s3": "{}.s3.amazonaws.com", "gs": "{}.storage.googleapis.com", "abs": "{}.blob.core.windows.net"}

_LOCATION = re.compile(r"(?:Response)?Location\s*=\s*(?:\"([^\"]*)\"|'([^']*)')")

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address


def check_hosts(manifest: Manifest, kind: Kind, cluster: Target, problems: list[Problem]) -> None:
    """Add a problem for each address in *manifest* that *cluster* must not connect to."""
    for path, why, hint in denied(kind, manifest.value.get("spec", {}), cluster.hosts):
        found = manifest.problem(path, why, hint)
        if why != _LOGIN or all(one[:3] != found[:3] for one in problems):  # the schema of some fields refuses it, too
            problems.append(found)


def denied(
    kind: Kind, spec: Mapping[str, Any], allowed: Allowed, reveal: Reveal | None = None
) -> Iterator[tuple[Path, str, str]]:
    """Yield (path, why, hint) for each address in *spec* that is denied; with *reveal*, those in secrets, too."""
    fields = address_fields.of(kind)
    for name in sorted(spec.keys() & fields.keys()):
        for path, address, text in _addresses(fields[name], spec[name], ("spec", name), spec):
            try:
                secret = isinstance(text, Mapping)
                if why := _why_denied(address, _text(text, reveal), allowed, secret=secret):
                    yield path, why, _HINTS.get(why, _HINT)
            except SecretMissing:
                continue  # reported where it is needed


def _text(value: str | Mapping[str, Any], reveal: Reveal | None) -> str:
    if isinstance(value, str):
        return value
    return reveal(value["valueFrom"]).reveal() if reveal is not None else ""


def _addresses(
    field: Field, value: Any, path: Path, beside: Mapping[str, Any]
) -> Iterator[tuple[Path, str, str | Mapping[str, Any]]]:
    """Yield the path, the sort and the text or reference of each address; *beside* is the object that has *value*."""
    if field.access.address:
        if is_value_from(value) or isinstance(value, str):
            address = field.access.address
            yield path, _BUCKETS.get(beside.get("type", ""), "{}") if address == "bucket" else address, value
    elif field.items is not None:
        items = value.values() if isinstance(value, Mapping) else value if isinstance(value, list) else ()
        for index, item in enumerate(items):
            yield from _addresses(field.items, item, (*path, index), beside)
    elif isinstance(value, Mapping):
        for name in sorted(value.keys() & field.properties.keys()):
            yield from _addresses(field.properties[name], value[name], (*path, name), value)


def _why_denied(address: str, text: str, allowed: Allowed, *, secret: bool) -> str:
    """Return why *text*, an *address* of this sort, is denied. The text of a secret is not shown."""
    if not text or (address == "host" and text.startswith("/")):  # not set, or a socket
        return ""
    if address == "metadata":
        return _metadata_reason(text, allowed)
    if "{}" in address:
        if not _NAME.match(text.lower()):
            return f"{shown(text)} is not the name of a bucket, a container or an account"
        return denied_reason(f"//{address.format(text.lower())}", allowed)
    url = text if address == "url" else _with_slashes(text)
    if not secret:
        return _reason_without_login(url, None if address == "node" else allowed)
    if denied_reason(url, allowed):
        return "its host is not allowed"
    if url.count("@") > 1 or "@" in url.partition("://")[2].partition("/")[2]:  # which one ends the login?
        return "its host is ambiguous: write @ and / in user and password as %40 and %2F"
    return ""


def _reason_without_login(url: str, allowed: Allowed) -> str:
    return denied_reason(url, allowed) or (_LOGIN if "@" in url else "")


def _with_slashes(text: str) -> str:
    """Return HOST or HOST:PORT as the beginning of a URL."""
    try:
        return f"//[{text}]" if isinstance(ipaddress.ip_address(text), ipaddress.IPv6Address) else f"//{text}"
    except ValueError:
        return f"//{text}"


def _metadata_reason(text: str, allowed: Allowed) -> str:
    """Return why an address in SAML metadata is denied: to such an address browsers are sent."""
    if "<!" in text.replace("<!--", ""):
        return "metadata with a document type or CDATA is not accepted"
    for found in _LOCATION.finditer(text):
        if why := _reason_without_login(html.unescape(found[1] or found[2] or ""), allowed):
            return why
    return ""


def denied_reason(url: str, allowed: Allowed) -> str:
    """Return why *url* is denied, "" if it is allowed."""
    try:
        host = urlsplit(url).hostname or ""
    except ValueError:
        host = ""
    plain = unicodedata.normalize("NFKC", host).lower().rstrip(".")
    address = _address(plain)
    if address is None and not _NAME.match(plain):
        return f"{shown(host)} is not a host name"
    if allowed is not None:
        fits = any(_fits(pattern, plain, address) for pattern in allowed)
        return "" if fits else f"the host {shown(host)} is not in the list of allowed hosts"
    what = _special_address(plain, address)
    return f"the host {shown(host)} is {what}" if what else ""


def _fits(pattern: str, name: str, address: IPAddress | None) -> bool:
    if address is None:
        return not _OF_ADDRESSES.fullmatch(pattern) and fnmatch.fnmatchcase(name, pattern)
    return fnmatch.fnmatchcase(str(address), pattern)


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
