#!/usr/bin/env python3
"""Audits the locked packages for known vulnerabilities; `make audit`. Needs `packaging`, and PyYAML to refresh.

    audit.py [--service URL] [--snapshot FILE] [--max-age DAYS] [--if-possible] LOCK...
    audit.py --refresh FOLDER [--snapshot FILE] LOCK...

It asks an advisory service (OSV's API) about every pinned version. Where none is reachable it uses a snapshot: the
advisories of these packages from a clone of https://github.com/pypa/advisory-database in FOLDER, which `--refresh`
writes with the date and the id of the clone's last commit. It fails where a package has an advisory, where fewer
packages were audited than the locks pin, and where the snapshot is older than DAYS. Without a service and a snapshot it
fails too; with --if-possible it then says in one line that it did not run, and succeeds.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from packaging.version import InvalidVersion, Version

SERVICE = "https://api.osv.dev/v1/querybatch"
MAX_AGE = 30  # days
SECONDS = 20.0
LIMIT = 32 * 1024 * 1024  # bytes of a response
_PIN = re.compile(r"^([A-Za-z0-9][A-Za-z0-9._-]*)(?:\[[^\]]*\])?==([^\s;\\]+)", re.MULTILINE)


class NotAudited(Exception):
    """Not every package could be audited."""


class Pin(NamedTuple):
    """A locked package."""

    name: str  # normalized
    version: str


Findings = dict[Pin, list[str]]  # every audited package, with the ids of its advisories


def pins(texts: Iterable[str]) -> list[Pin]:
    """Return what lock files pin; raises NotAudited where one pins nothing, or a line cannot be read."""
    found: set[Pin] = set()
    for text in texts:
        mine = {Pin(normalized(name), version) for name, version in _PIN.findall(text)}
        lines = [line for line in text.splitlines() if line and not line.startswith((" ", "#", "-"))]
        if not mine or len(mine) != len(lines):
            raise NotAudited(f"a lock file has {len(lines)} requirements, of which {len(mine)} are pinned versions")
        found |= mine
    return sorted(found)


def normalized(name: str) -> str:
    """Return the name of a package as indexes compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


# --- the service -----------------------------------------------------------------------------------------------------


def by_service(url: str, wanted: Sequence[Pin]) -> Findings | None:
    """Return what the service at *url* knows; None where it cannot be reached."""
    queries = [{"package": {"name": one.name, "ecosystem": "PyPI"}, "version": one.version} for one in wanted]
    body = json.dumps({"queries": queries}).encode()
    request = urllib.request.Request(url, body, {"content-type": "application/json"})  # noqa: S310 - a flag of the caller
    try:
        with urllib.request.urlopen(request, timeout=SECONDS) as response:  # noqa: S310
            answer = response.read(LIMIT)
    except OSError as error:
        if isinstance(error, urllib.error.HTTPError):
            raise NotAudited(f"{url} answered with {error.code}") from error
        return None
    try:
        results = json.loads(answer)["results"]
        found = [sorted(one["id"] for one in result.get("vulns", ())) for result in results]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise NotAudited(f"{url} did not answer as OSV does") from error
    return dict(zip(wanted, found, strict=False))


# --- the snapshot ----------------------------------------------------------------------------------------------------


def by_snapshot(snapshot: Mapping[str, Any], wanted: Sequence[Pin], max_age: float, now: float) -> Findings:
    """Return what *snapshot* knows of the packages that it covers; raises NotAudited where it is too old."""
    age = (now - time.mktime(time.strptime(snapshot["date"], "%Y-%m-%d"))) / 86_400
    if not -1 <= age <= max_age:
        raise NotAudited(f"the snapshot is of {snapshot['date']}, {age:.0f} days ago; at most {max_age:g} are allowed")
    covered = set(snapshot["packages"])
    return {
        one: sorted(a["id"] for a in snapshot["advisories"] if a["package"] == one.name and affects(a, one.version))
        for one in wanted
        if one.name in covered
    }


def affects(advisory: Mapping[str, Any], version: str) -> bool:
    """Return whether *advisory* is about *version*: listed, or in one of its ranges. Unclear counts as yes."""
    try:
        mine = Version(version)
        if any(Version(one) == mine for one in advisory["versions"]):
            return True
        return any(_in_range(events, mine) for events in advisory["ranges"])
    except InvalidVersion:
        return True


def _in_range(events: Sequence[Mapping[str, str]], mine: Version) -> bool:
    """Return whether *mine* is in one range of OSV, a list of events in any order."""
    inside = False
    for event in sorted(events, key=lambda one: Version(next(iter(one.values())))):
        ((kind, text),) = event.items()
        if kind == "introduced" and (text == "0" or mine >= Version(text)):
            inside = True
        elif (kind == "fixed" and mine >= Version(text)) or (kind == "last_affected" and mine > Version(text)):
            inside = False
    return inside


def refreshed(folder: Path, wanted: Sequence[Pin]) -> dict[str, Any]:
    """Return a snapshot of the advisories on *wanted* from a clone of the database in *folder*."""
    import yaml

    about = ["git", "-C", str(folder), "log", "-1", "--format=%H %cs"]
    revision, date = subprocess.run(about, check=True, capture_output=True, text=True).stdout.split()  # noqa: S603
    names, advisories = sorted({one.name for one in wanted}), []
    files = sorted((folder / "vulns").glob("*/*.yaml"))
    if len(files) < 1_000:
        raise NotAudited(f"{folder} has {len(files)} advisories; it is not a clone of the advisory database")
    for file in files:
        if normalized(file.parent.name) not in names:
            continue
        advisory = yaml.safe_load(file.read_text(encoding="utf-8"))
        if advisory.get("withdrawn"):
            continue
        for affected in advisory.get("affected", ()):
            if affected["package"]["ecosystem"] == "PyPI":
                ranges = [one["events"] for one in affected.get("ranges", ()) if one["type"] == "ECOSYSTEM"]
                advisories.append(
                    {
                        "id": advisory["id"],
                        "package": normalized(affected["package"]["name"]),
                        "versions": [str(one) for one in affected.get("versions", ())],
                        "ranges": [[{k: str(v) for k, v in event.items()} for event in one] for one in ranges],
                    }
                )
    source = "https://github.com/pypa/advisory-database (CC BY 4.0)"
    return {"source": source, "revision": revision, "date": date, "packages": names, "advisories": advisories}


# --- the command -----------------------------------------------------------------------------------------------------


def audited(options: argparse.Namespace, wanted: Sequence[Pin]) -> tuple[Findings, str] | None:
    """Return the findings and what they come from; None where there is neither a service nor a snapshot."""
    if (found := by_service(options.service, wanted)) is not None:
        return found, options.service
    if not options.snapshot.is_file():
        return None
    snapshot = json.loads(options.snapshot.read_bytes())
    return by_snapshot(snapshot, wanted, options.max_age, time.time()), f"the snapshot of {snapshot['date']}"


def main(arguments: Sequence[str]) -> int:
    """Audit, or refresh the snapshot; return the exit code."""
    parser = argparse.ArgumentParser(prog="audit.py", description="Audit locked packages for known vulnerabilities.")
    parser.add_argument("locks", nargs="+", type=Path, metavar="LOCK")
    parser.add_argument("--service", default=SERVICE)
    parser.add_argument("--snapshot", type=Path, default=Path(__file__).with_name("advisories.json"))
    parser.add_argument("--max-age", type=float, default=MAX_AGE, metavar="DAYS")
    parser.add_argument("--if-possible", action="store_true")
    parser.add_argument("--refresh", type=Path, metavar="FOLDER")
    options = parser.parse_args(arguments)
    try:
        wanted = pins(path.read_text(encoding="utf-8") for path in options.locks)
        if options.refresh is not None:
            snapshot = refreshed(options.refresh, wanted)
            options.snapshot.write_text(json.dumps(snapshot, indent=1, sort_keys=True) + "\n", encoding="utf-8")
            print(f"{options.snapshot}: {len(snapshot['advisories'])} advisories of {snapshot['date']}")
            return 0
        result = audited(options, wanted)
        if result is None:
            reason = f"no advisory service is reachable, and there is no snapshot {options.snapshot}"
            if not options.if_possible:
                raise NotAudited(reason)
            print(f"audit: DID NOT RUN: {reason}")
            return 0
        found, source = result
        if len(found) != len(wanted):
            missing = ", ".join(one.name for one in wanted if one not in found)
            raise NotAudited(f"{len(found)} of {len(wanted)} packages were audited; not: {missing}")
    except (NotAudited, OSError, ValueError, KeyError, subprocess.CalledProcessError) as error:
        print(f"audit: failed: {error}", file=sys.stderr)
        return 1
    for one, ids in found.items():
        for advisory in ids:
            print(f"audit: {one.name}=={one.version}: {advisory}", file=sys.stderr)
    bad = sum(map(bool, found.values()))
    print(f"audit: {len(found)} of {len(wanted)} packages audited by {source}: {bad or 'none'} with advisories")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
