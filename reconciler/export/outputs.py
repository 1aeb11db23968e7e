"""Connection details of databases as a table, JSON or dotenv. Pure; the command `outputs` reads and prints.

Passwords are included only where the caller passes them.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple
from urllib.parse import quote

from reconciler.errors import InputError, Problem
from reconciler.kinds import Kind
from reconciler.model import Address, LiveObject, LiveState
from reconciler.render.escape import clean

_KEYS = ("HOST", "PORT", "TLS", "URL", "PASSWORD")
_TITLES = ("DATABASE", "HOST", "PORT", "TLS", "ADDRESSES", "ROLES")


class Output(NamedTuple):
    """One endpoint of one database."""

    cluster: str
    database: str
    host: str  # DNS name; an address where the cluster has no name for it
    port: int
    addresses: tuple[str, ...]
    tls: bool
    roles: tuple[str, ...]  # whose users may log in; none where only the default user is
    password: str = ""  # of the default user, "" unless requested

    @property
    def url(self) -> str:
        """The endpoint as a redis:// or rediss:// URL."""
        login = f":{quote(self.password, safe='')}@" if self.password else ""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'rediss' if self.tls else 'redis'}://{login}{host}:{self.port}"


def rows(
    cluster: str,
    databases: Iterable[LiveObject],
    endpoints: Mapping[int | str, Sequence[Mapping[str, Any]]],
    passwords: Mapping[str, str] | None = None,
) -> tuple[Output, ...]:
    """Return a row for each endpoint of *databases*, by name.

    *endpoints* has the raw list of the API by uid: `{"dns_name": …, "port": …, "addr": […]}`; *passwords* those of
    default users by database name. A database that has no endpoint yet has no row.
    """
    found = []
    for database in sorted(databases, key=lambda one: (one.name, str(one.uid))):
        for end in endpoints.get(database.uid, ()):
            addresses = tuple(sorted(str(one) for one in end.get("addr") or ()))
            host = str(end.get("dns_name") or (addresses[0] if addresses else ""))
            port = end.get("port")
            if host and type(port) is int and port > 0:
                tls = database.spec.get("tls_mode") == "enabled" or database.spec.get("ssl") is True
                roles = tuple(sorted({str(entry["role"]) for entry in database.spec.get("roles_permissions") or ()}))
                password = (passwords or {}).get(database.name, "")
                found.append(Output(cluster, database.name, host, port, addresses, tls, roles, password))
    return tuple(found)


def not_ready(
    kind: Kind, state: LiveState, endpoints: Mapping[int | str, Sequence[Mapping[str, Any]]]
) -> Iterator[str]:
    """Yield a text for each database that the cluster is working on, or failed to create."""
    ready = kind.traits.readiness.ready if kind.traits.readiness else ()
    for one in state.objects[kind.name]:
        if one.status and one.status not in ready:
            lacks = "" if endpoints.get(one.uid) else ", and has no endpoint"
            yield clean(f"{Address(state.cluster, kind.name, one.name)} is {one.status}{lacks}")


def table(outputs: Sequence[Output], *, several: bool = False) -> str:
    """Return *outputs* as a table for people, with the names of *several* clusters; passwords are never in it."""
    if not outputs:
        return "No database has an endpoint.\n"
    several = several or len({output.cluster for output in outputs}) > 1
    lines = [_TITLES, *(_cells(output, several) for output in outputs)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(_TITLES))]
    return "".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() + "\n" for line in lines
    )


def _cells(output: Output, several: bool) -> tuple[str, ...]:
    name = f"{output.cluster}:{output.database}" if several else output.database
    tls = "yes" if output.tls else "no"
    cells = (name, output.host, str(output.port), tls, ", ".join(output.addresses), ", ".join(output.roles) or "-")
    return tuple(map(clean, cells))


def to_json(outputs: Sequence[Output], failed: Iterable[Mapping[str, str]] = ()) -> str:
    """Return *outputs* as a JSON list, with an element `{cluster, error, message}` for each cluster that *failed*."""
    plain: list[Mapping[str, Any]] = []
    for output in outputs:
        one = {**output._asdict(), "url": output.url}
        if not output.password:
            del one["password"]
        plain.append(one)
    return json.dumps([*plain, *failed], indent=2, sort_keys=True) + "\n"


def dotenv(outputs: Sequence[Output]) -> str:
    """Return *outputs* as lines `ORDERS_HOST=…`.

    Names depend on nothing but what they name. Endpoints that would share a name get more of what distinguishes them:
    the cluster before it, `EAST_ORDERS_HOST`, and where that is not enough the port behind it, `ORDERS_12000_HOST`.
    Raises InputError where two are the same even so.
    """
    names = {output: _variable(output.database) for output in outputs}
    while with_cluster := {
        output: name
        for output in _clashing(names)
        if output.cluster and names[output] != (name := _variable(output.cluster, output.database))
    }:
        names |= with_cluster
    names |= {output: f"{names[output]}_{output.port}" for output in _clashing(names)}
    if clashing := _clashing(names):
        which = ", ".join(f"{one.cluster}:{one.database} on {one.host}:{one.port}".lstrip(":") for one in clashing)
        hint = "use -o json, or another name for one of the databases"
        raise InputError([Problem("outputs", 0, 0, "", f"these have the same dotenv name: {which}", hint)])
    lines: list[str] = []
    for output in outputs:
        values = {"HOST": output.host, "PORT": str(output.port), "TLS": "true" if output.tls else "false"}
        values["URL"] = output.url
        if output.password:
            values["PASSWORD"] = output.password
        lines += [f"{names[output]}_{key}={_dotenv_value(value)}" for key, value in values.items()]
    return "".join(f"{line}\n" for line in lines)


def _variable(*parts: str) -> str:
    name = "_".join(re.sub(r"[^A-Z0-9]+", "_", part.upper()).strip("_") or "DB" for part in parts)
    return f"DB_{name}" if name[0].isdigit() else name


def _clashing(names: Mapping[Output, str]) -> list[Output]:
    """Return the outputs that share a name with another one, or whose variables another one has."""
    uses = Counter(f"{name}_{key}" for name in names.values() for key in _KEYS)
    return [output for output, name in names.items() if any(uses[f"{name}_{key}"] > 1 for key in _KEYS)]


def _dotenv_value(value: str) -> str:
    if re.fullmatch(r"[A-Za-z0-9_./:@%+-]*", value):
        return value
    escaped = (
        value.replace("\\", "\\\\").replace('"', '\\"').replace("$", "\\$").replace("\n", "\\n").replace("\r", "\\r")
    )
    return f'"{escaped}"'
