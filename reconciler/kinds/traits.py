"""Traits of single kinds that `manifests` and `plan` must know: what is too rare for a keyword of the kind files.

A kind file names them by its `hook`, as it does the flows in `api.hooks`, which those layers cannot import. The loader
puts them into `Kind.traits`. Pure data; must not know fields, manifests or plans.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple


class MultiCluster(NamedTuple):
    """How a spec names the clusters that its one object is a member of."""

    field: str  # a list of objects; the `cluster` of each is a cluster of the project
    member: str  # the kind that the object has in each of them
    lost: str = ""  # a list of those clusters that are lost for good
    needs: tuple[str, ...] = ()  # a new item has one of these fields


class Readiness(NamedTuple):
    """How the server shows that an accepted change is complete: by an action, then by a status field."""

    action: str  # key of the action's id in the answer of a create
    field: str  # the status field of the object
    ready: tuple[str, ...]
    failed: tuple[str, ...]
    seconds: float  # how long the server may work on one write

    def in_transition(self, status: str) -> bool:
        """Return whether the server is working on an object with this status; "" is not known to be one."""
        return bool(status) and status not in (*self.ready, *self.failed)


class CreateDefault(NamedTuple):
    """A value that a create sends where *field* is not declared and the other fields have the values in *when*."""

    field: str
    when: Mapping[str, Any]
    value: Any


class Traits(NamedTuple):
    """The traits of a kind; each default is the behaviour of a kind without a hook."""

    multi_cluster: MultiCluster | None = None  # one object is a member of several clusters
    lasting: tuple[str, ...] = ()  # names of objects that a cluster requires: changed, never deleted
    create_defaults: tuple[CreateDefault, ...] = ()
    readiness: Readiness | None = None
    settings: str | None = None  # of a database: the field that holds its settings, "" for the spec itself
    is_module: bool = False  # its objects are modules that databases may have
    creates_cluster: bool = False  # it can be read before the cluster exists, as nothing else can


_NONE = Traits()
_OF_HOOK: Mapping[str, Traits] = MappingProxyType(
    {
        "activeactive": Traits(
            multi_cluster=MultiCluster("instances", "Database", "force_remove", ("credentials", "certificate_auth")),
            settings="default_db_config",
            readiness=Readiness("", "@status", ("active",), ("creation-failed",), 1800),
        ),
        "clusterbootstrap": Traits(creates_cluster=True),
        "module": Traits(is_module=True),
        "certificate": Traits(lasting=("api", "cm", "metrics_exporter", "proxy", "syncer")),
        "database": Traits(
            create_defaults=(
                CreateDefault(
                    "shard_key_regex",
                    {"sharding": True},
                    [{"regex": r".*\{(?<tag>.*)\}.*"}, {"regex": "(?<tag>.*)"}],
                ),
            ),
            settings="",
            readiness=Readiness("action_uid", "status", ("active",), ("creation-failed",), 1800),
        ),
    }
)


def traits_of(hook: str | None) -> Traits:
    """Return the traits of the kinds with this *hook*."""
    return _OF_HOOK.get(hook or "", _NONE)
