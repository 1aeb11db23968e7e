"""What a plan was decided from, besides the clusters and the ledger: part of a saved plan, as plain values. Pure.

`apply FILE` decides again from it and from the clusters of now, and executes only what comes out as the file shows it.
So nothing in the file is trusted: an edited change differs from what is decided, and an edited input is decided
differently. It holds no secrets, only references to them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import TYPE_CHECKING, Any, Final

from reconciler.kinds import Kind
from reconciler.kinds.freeze import Window, is_usable
from reconciler.model import Address
from reconciler.plan.plan import Options

if TYPE_CHECKING:
    from reconciler.manifests.resolve import Desired
    from reconciler.manifests.resource import Resource
    from reconciler.yaml12 import Path, Place

_TUPLES: Final = frozenset({"ignore", "allow", "source"})
_UNUSED: Final = frozenset({"place", "labels"})  # of a resource: no decision depends on them
_OF_THE_RUN: Final = frozenset({"limits", "allowed_impacts", "pinned_ports"})  # of the options: never taken from a file


def plain_input(desired: Desired, options: Options) -> dict[str, Any]:
    """Return what a plan is decided from as plain values."""
    names = [one.name for one in fields(Options) if one.name not in _OF_THE_RUN]
    return {
        "resources": [_plain_resource(resource) for resource in desired.resources],
        "elsewhere": sorted(desired.elsewhere),
        "options": {name: _plain_option(getattr(options, name)) for name in names},
    }


def input_of(plain: Mapping[str, Any], kinds: Mapping[str, Kind]) -> tuple[Desired, Options]:
    """Return what `plain_input` made plain. Raises ValueError, KeyError or TypeError where it is something else."""
    from reconciler.manifests.resolve import Desired

    resources = [_resource(one, kinds) for one in plain["resources"]]
    options = {name: _option(name, value) for name, value in plain["options"].items() if name not in _OF_THE_RUN}
    return Desired(resources, frozenset(_address(one) for one in plain["elsewhere"])), Options(**options)


def _plain_option(value: Any) -> Any:
    return sorted(value) if isinstance(value, frozenset) else value


def _option(name: str, value: Any) -> Any:
    usual = getattr(Options(), name)
    if isinstance(usual, bool):
        return value is True
    if name == "previous":
        return frozenset(map(_address, value))
    if name == "allow_impact":
        return frozenset((str(address), str(impact)) for address, impact in value)
    if isinstance(usual, frozenset):
        return frozenset(map(str, value))
    return tuple(map(str, value))


def _plain_resource(resource: Resource) -> dict[str, Any]:
    plain = {one.name: getattr(resource, one.name) for one in fields(resource) if one.name not in _UNUSED}
    return {**plain, "freeze": [window._asdict() for window in resource.freeze]}


def _resource(plain: Mapping[str, Any], kinds: Mapping[str, Kind]) -> Resource:
    from reconciler.manifests.resource import Resource
    from reconciler.yaml12 import Place

    address, spec, freeze = _address(plain["address"]), plain["spec"], tuple(Window(**one) for one in plain["freeze"])
    if address.kind not in kinds or not isinstance(spec, dict) or not all(map(is_usable, freeze)):
        raise ValueError(f"{address} is not a resource of this version")
    if kinds[address.kind].validator.findings(spec):
        raise ValueError(f"{address} is not valid in this version")
    file, line = plain["source"]
    place = Place(str(file), int(line), 1)

    def locate(path: Path) -> Place:
        return place

    tuples = {name: tuple(plain[name]) for name in _TUPLES}
    return Resource(**{**plain, **tuples, "address": address, "freeze": freeze, "labels": {}, "place": locate})


def _address(plain: Any) -> Address:
    return Address(*map(str, plain))
