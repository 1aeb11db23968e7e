"""Kind files and simulator were written apart from the same facts: what one declares, the other shows.

By server version: a field stands in answers from the version on that its kind file names, and not before.
"""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from reconciler.api.driver import drive
from reconciler.api.hooks import hook_of
from reconciler.api.read import listing
from reconciler.kinds import Kind, kind_source, load_kinds
from tests.kinds.facts import of_fields
from tests.support.cluster import SimulatedCluster

VERSIONS = ("7.4", "7.8", "7.22", "8.0", "8.2")
UNSET = of_fields("unset")
PLAIN = [
    kind
    for kind in load_kinds().values()
    if (kind.singleton or kind.name in ("Node", "Proxy")) and hook_of(kind).listing is None
]
# Answers name an alert only once it was set; what nobody has configured is shown by test_settings.py.
PLAIN = [kind for kind in PLAIN if kind.name != "ClusterAlerts" and not kind.rest.absent]


def number(version: str) -> tuple[int, ...]:
    return tuple(map(int, version.split(".")))


def has(words: Mapping[str, object], version: str) -> bool:
    since, until = words.get("since"), words.get("until")
    return number(str(since or "0.0")) <= number(version) <= number(str(until or "99.0"))


def there(kind: Kind, version: str) -> set[str]:
    """Return the readable fields that a server *version* has."""
    properties = kind_source(kind.name)["properties"]
    ages = {name: {word: properties[name].get(f"x-{word}") for word in ("since", "until")} for name in properties}
    fields = [field for field in kind.fields.values() if not field.access.write_only and field.access.option_of is None]
    return {field.wire for field in fields if has(ages[field.name], version)}


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("kind", PLAIN, ids=lambda kind: kind.name)
def test_answers_hold_the_fields_of_their_version(kind: Kind, version: str) -> None:
    client = SimulatedCluster(server_version=version).client()
    if not has({"since": kind.support.since, "until": kind.support.until}, version):
        shared = [
            other for other in load_kinds().values() if other.rest.path == kind.rest.path and not other.support.since
        ]
        assert client.get(kind.rest.path, missing_ok=True).status == (200 if shared else 404)
        return
    known = {field.wire for field in kind.fields.values()}
    for wire in drive(listing(kind, None), client):
        assert known & wire.keys() == there(kind, version) - {name for other, name in UNSET if other == kind.name}
