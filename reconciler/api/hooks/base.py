"""What a hook can define, with the behaviour of a plain kind as default.

Each module beside this one defines one `HOOK`. A hook knows no client, clock, file or plan.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from reconciler.api.protocol import Flow
from reconciler.kinds import Kind
from reconciler.model import Address, LiveObject

Json = dict[str, Any]
Uid = int | str


class LiveMetadata(NamedTuple):
    """What a live object says about itself beside its spec."""

    operation: str = ""  # operation id that our create put on it
    owner: str = ""  # who else manages it, as text
    addresses: tuple[str, ...] = ()  # HOST:PORT under which clients reach it


def _ignore(unknown: bool) -> None:
    pass


@dataclass(frozen=True, slots=True)
class WriteContext:
    """One write, as the flows of a hook get it."""

    kind: Kind
    address: Address
    uid: Uid | None  # None for a create
    wire: Mapping[str, Any]  # what is to be sent, in the API's form; holds secrets in the clear
    live: Mapping[str, Any]  # the object as it was just read; empty for a create
    uid_of: Callable[[Address], Uid]  # of any object on any cluster of the run; raises Conflict where there is none
    separate: Mapping[str, Any] = field(default_factory=dict)  # sub-resources and options: no part of the object itself
    changed: Mapping[str, bool] = field(default_factory=dict)  # paths that the plan changes → whether they are new
    set_outcome_unknown: Callable[[bool], None] = _ignore  # whether something was sent whose outcome is not known


class Created(NamedTuple):
    """The result of sending a create."""

    uid: Uid | None  # None where the response has none: the object is then looked up
    action: str = ""  # of /v1/actions, to wait for; "" for none


class SubResource(NamedTuple):
    """A field that the API keeps at an endpoint of its own, separate from the object."""

    write: Callable[[WriteContext, Any], Flow[str]]  # sends the wire value; returns an action to wait for, "" for none
    read: Callable[[], Flow[Mapping[str, Any]]] | None = None  # of all objects: uid as text → wire value
    look: Callable[[Uid], Flow[Any]] | None = None  # of one object; MISSING where there is none
    read_fields: tuple[str, ...] = ()  # fields of the object from which `decode` gets the value
    on_create: bool = True  # written after a create; else the create sends the field together with all others
    idempotent: bool = True  # sending it twice does no harm


def _no_metadata(spec: Json, wire: Mapping[str, Any]) -> LiveMetadata:
    return LiveMetadata()


def _nothing(live: LiveObject) -> Json:
    return {}


def _no_reason(path: str, wire: Mapping[str, Any]) -> str:
    return ""


def _unchanged(body: Mapping[str, Any], live: Mapping[str, Any]) -> Json:
    return dict(body)


@dataclass(frozen=True, slots=True)
class Hook:
    """What is special about one kind.

    *decode* gets (spec, wire), and may correct the spec in place. *stamp* gets (wire body, operation id), and returns
    the body of a create that carries the id. *complete* gets (body of an update, live object in wire form), and returns
    what to send. *explain_mismatch* gets (path, sent body), and returns why a value reads back differently.
    *initial_spec* gets the spec of a create, and returns the part that the first call creates.

    The flows replace the requests of a plain kind: `listing` and `look` read (an element of a list holds the id of the
    kind), `create`, `update` and `delete` write. Everything before, between and after them is the same for every kind.
    """

    within: str = ""  # the spec is the value of this key of the object; a write sends {key: body}
    narrows: bool = False  # the list call takes ?fields=a,b
    extended: frozenset[str] = frozenset()  # fields of the spec that are only read back with ?extended=true
    required_fields: tuple[str, ...] = ()  # wire fields that `decode` needs beyond the declared ones
    decode: Callable[[Json, Mapping[str, Any]], LiveMetadata] = _no_metadata
    stamp: Callable[[Mapping[str, Any], str], Json] | None = None
    complete: Callable[[Mapping[str, Any], Mapping[str, Any]], Json] = _unchanged
    live_wire: Callable[[LiveObject], Json] = _nothing  # what `decode` reads further values from
    login_fields: tuple[str, ...] = ()  # wire fields that hold the name with which such an object logs in to the API
    metrics: Mapping[str, str] = field(default_factory=dict)  # metric → path that returns it by uid
    api_port_field: str = ""  # field that holds the port of the API itself
    same_secret_codes: frozenset[str] = frozenset()  # error codes that mean: the secret already has this value
    explain_mismatch: Callable[[str, Mapping[str, Any]], str] = _no_reason
    separate_fields: frozenset[str] = frozenset()  # further fields of the spec, outside the API's object
    sub_resources: Mapping[str, SubResource] = field(default_factory=dict)  # by field of the spec, in order of writing
    listing: Callable[[frozenset[str] | None], Flow[list[Any]]] | None = None  # gets the fields to read; None: all
    look: Callable[[Uid], Flow[Any]] | None = None  # None where the object does not exist
    create: Callable[[WriteContext], Flow[Created]] | None = None
    update: Callable[[WriteContext], Flow[str]] | None = None  # returns an action to wait for, "" for none
    delete: Callable[[WriteContext], Flow[None]] | None = None
    after_write: Callable[[WriteContext], Flow[None]] | None = None  # once a written object is ready
    initial_spec: Callable[[Mapping[str, Any]], Json] = dict
    create_in_progress: Callable[[], Flow[bool]] | None = None  # whether a create of such an object is running


NO_HOOK = Hook()
