"""The questions that the engine may ask of a hook, with the answer of a kind that has none."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from reconciler.api.protocol import Flow
from reconciler.kinds import Kind
from reconciler.model import Address

Json = dict[str, Any]
Uid = int | str


class Marks(NamedTuple):
    """What a live object says about who made it."""

    operation: str = ""  # op id that our create put on it
    owner: str = ""  # who else manages it, in words
    addresses: tuple[str, ...] = ()  # HOST:PORT under which clients reach it


def _nobody_cares(unclear: bool) -> None:
    pass


@dataclass(frozen=True, slots=True)
class Writing:
    """One write, as the flows of a hook see it."""

    kind: Kind
    address: Address
    uid: Uid | None  # None for a create
    wire: Mapping[str, Any]  # what is to be sent, as the API has it; holds secrets in the clear
    live: Mapping[str, Any]  # the object as it was just read; nothing for a create
    uid_of: Callable[[Address], Uid]  # of anything on any cluster of the run; raises Conflict where there is none
    operation: str = ""  # op id of the ledger
    beside: Mapping[str, Any] = field(default_factory=dict)  # what is no part of it: options, and what has a door
    changed: Mapping[str, bool] = field(default_factory=dict)  # paths that the plan changes → whether they are new
    doubt: Callable[[bool], None] = _nobody_cares  # tell whether something was sent and nobody knows what it came to


class Posted(NamedTuple):
    """What a create was answered with."""

    uid: Uid | None  # None where the answer does not say: the object is then looked for
    action: str = ""  # of /v1/actions, to be waited for; "" for none


class Door(NamedTuple):
    """A field that the API keeps behind an endpoint of its own, beside the object."""

    write: Callable[[Writing, Any], Flow[str]]  # sends the wire value; returns an action to wait for, "" for none
    read: Callable[[], Flow[Mapping[str, Any]]] | None = None  # of all objects: uid as text → wire value
    look: Callable[[Uid], Flow[Any]] | None = None  # of one object; MISSING where there is nothing
    shows: tuple[str, ...] = ()  # fields of the object from which `decode` tells the value
    on_create: bool = True  # else a create sends the field with all the others
    again: bool = True  # to send it twice does no harm


def _no_marks(spec: Json, wire: Mapping[str, Any]) -> Marks:
    return Marks()


def _no_reason(path: str, wire: Mapping[str, Any]) -> str:
    return ""


def _as_it_is(body: Mapping[str, Any], live: Mapping[str, Any]) -> Json:
    return dict(body)


@dataclass(frozen=True, slots=True)
class Hook:
    """One kind's peculiarities; each default is the behaviour of a plain kind.

    The flows replace what the engine would send: `listing` and `look` read (an element of a list holds the kind's id),
    `post`, `put` and `remove` write. Before, between and after them the engine does what it does for every kind.
    """

    within: str = ""  # the spec is the value of this key of the object; a write sends {key: body}
    narrows: bool = False  # the list call takes ?fields=a,b
    extended: frozenset[str] = frozenset()  # fields of the spec that are only read back with ?extended=true
    needs: tuple[str, ...] = ()  # wire fields that `decode` looks at beyond the declared ones
    decode: Callable[[Json, Mapping[str, Any]], Marks] = _no_marks  # (spec, wire): may correct *spec* in place
    stamp: Callable[[Mapping[str, Any], str], Json] | None = None  # (wire body, op id) → body that carries the op id
    complete: Callable[[Mapping[str, Any], Mapping[str, Any]], Json] = _as_it_is  # (PUT body, live wire) → PUT body
    logs_in_by: tuple[str, ...] = ()  # wire fields with which one logs in to the API as such an object
    figures: Mapping[str, str] = field(default_factory=dict)  # what is measured → path that gives it by uid
    api_port: str = ""  # field that holds the port of the API itself
    secret_is_so: frozenset[str] = frozenset()  # error codes that say: this secret already has that value
    unlike: Callable[[str, Mapping[str, Any]], str] = _no_reason  # (path, body sent) → why it reads back differently
    apart: frozenset[str] = frozenset()  # further fields of the spec that are no part of the object in the API
    doors: Mapping[str, Door] = field(default_factory=dict)  # by field of the spec, in the order of writing
    listing: Callable[[frozenset[str] | None], Flow[list[Any]]] | None = None  # (fields that are wanted; None: all)
    look: Callable[[Uid], Flow[Any]] | None = None  # None where it is not there
    post: Callable[[Writing], Flow[Posted]] | None = None
    put: Callable[[Writing], Flow[str]] | None = None  # returns an action to wait for, "" for none
    remove: Callable[[Writing], Flow[None]] | None = None
    after: Callable[[Writing], Flow[None]] | None = None  # what a create or update does once the object is ready
    begun: Callable[[Mapping[str, Any]], Json] = dict  # (spec of a create) → what of it the very first call makes
    under_way: Callable[[], Flow[bool]] | None = None  # whether a create of such an object is running


NOTHING = Hook()
