"""What one simulated cluster holds: objects, counters, actions, and the events that time brings.

Handlers change it; nothing here knows HTTP. Stored values are never changed in place, only replaced, so that answers
and copies may share them.
"""

from __future__ import annotations

import hashlib
import random
import threading
import time
import uuid
from collections import deque
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from .data import table
from .messages import Json, encode
from .settings import Settings
from .timeline import Clock, Timeline

if TYPE_CHECKING:
    from .world import Site

_EVENTS = 10_000  # how many entries of the event log are kept
_VIEWS = 8  # how many differently narrowed texts of one object are kept


def digest(password: str) -> str:
    """Return what is kept of a password."""
    return hashlib.sha256(password.encode("utf-8", "surrogatepass")).hexdigest()


class Record:
    """One stored object: what a read shows, what it hides, and the texts that reads have made of it."""

    __slots__ = ("fields", "hidden", "texts")

    def __init__(self, fields: dict[str, Json], hidden: dict[str, Json] | None = None) -> None:
        self.fields = fields
        self.hidden = hidden or {}
        self.texts: dict[Any, str] = {}

    def set(self, **values: Json) -> None:
        """Replace *values* and forget the texts."""
        self.fields = {**self.fields, **values}
        self.texts = {}

    def drop(self, name: str) -> None:
        """Take the field *name* away."""
        self.fields = {key: value for key, value in self.fields.items() if key != name}
        self.texts = {}

    def text(self, key: Any, view: Callable[[Record], Json]) -> str:
        """Return the JSON text of *view*, made once for each *key* until the record changes."""
        found = self.texts.get(key)
        if found is None:
            if len(self.texts) >= _VIEWS:
                self.texts = {}
            found = self.texts[key] = encode(view(self))
        return found


class Table(dict[int, Record]):
    """The objects of one kind by uid, and the next uid."""

    def __init__(self, first: int = 1) -> None:
        super().__init__()
        self.next_uid = first
        self.version = 0

    def claim(self, uid: int | None = None) -> int:
        """Return *uid*, or the next one, and count on from it. Freed uids are never given again."""
        uid = self.next_uid if uid is None else uid
        self.next_uid = max(self.next_uid, uid + 1)
        return uid

    def alive(self) -> dict[int, Record]:
        """Return the objects that are not on their way out."""
        return {uid: record for uid, record in self.items() if "gone" not in record.hidden}

    def named(self, field: str, value: str) -> Record | None:
        """Return the first object whose *field* is *value*."""
        return next((record for record in self.values() if record.fields.get(field) == value), None)


class State:
    """A cluster's content. Use it under `lock`; `now` is the clock of the last `advance`."""

    site: Site  # the machines that it runs on; set by whoever makes a state

    def __init__(
        self,
        settings: Settings,
        clock: Clock = time.time,
        seed: int | None = None,
        timeline: Timeline | None = None,
    ) -> None:
        self.settings = settings
        self.time = timeline or Timeline(clock)
        self.random = random.Random(seed)
        self.version = table("versions")[settings.server_version]
        self.bdbs, self.roles, self.users, self.acls = Table(), Table(), Table(), Table()
        self.mappings, self.groups = Table(), Table()
        self.singles: dict[str, Record] = {}  # objects of which there is one, by kind
        self.suffixes: dict[str, Record] = {}
        self.custom: dict[str, Record] = {}  # modules that users brought along, by uid
        self.artifacts: dict[int, dict[tuple[str, str], Record]] = {}  # node -> (module, version) -> file
        self.tokens: dict[str, tuple[int, float]] = {}  # token -> uid of the user, and until when it is good
        self.token_key = b""  # made when the first token is
        self.nodes, self.actions = Table(), {}  # type: tuple[Table, dict[str, Record]]
        self.cluster = Record({})
        self.license = Record({})
        self.extra: dict[str, Json] = {}  # parts of a snapshot that this server does not serve
        self.ports: dict[int, int] = {}  # taken port -> uid of the database
        self.state_id = 1
        self.effects = 0
        self.epoch = 0  # goes up when a restore takes away the work that was to finish later
        self.next_shard = 1
        self.next_source = 1
        self.primary = 1
        self.logins: dict[str, tuple[int, Record]] = {}  # Authorization header -> user version, user
        self.caller: Record | None = None  # the user of the call that is being handled
        self.fate_code = ""  # the error code with which a bootstrap fails
        self.fate = ""  # how the work that a call begins will end: well, "fail", or "stuck"
        self.lists: dict[Any, tuple[int, bytes]] = {}  # whole answers of the database list, by what was asked
        self.tasks: dict[tuple[str, str, str], Record] = {}  # (node or cluster, its uid, action) -> task
        self.log: deque[dict[str, Json]] = deque(maxlen=_EVENTS)  # what /v1/logs shows, oldest first
        self.crdbs: dict[str, Record] = {}
        self.crdb_tasks: dict[str, Record] = {}
        self.broken: set[str] = set()  # names of clusters that cannot be reached from here

    @property
    def now(self) -> float:
        """The time of the last `advance`, or of the event that is happening."""
        return self.time.now

    @property
    def clock(self) -> Clock:
        """What tells the time."""
        return self.time.clock

    @property
    def lock(self) -> threading.RLock:
        """What everything is done under; shared by the clusters of one world."""
        return self.time.lock

    def advance(self) -> None:
        """Let everything happen that is due by now."""
        self.time.advance()

    def later(self, seconds: float, event: Callable[[], None]) -> None:
        """Let *event* happen in *seconds* of the real thing."""
        epoch = self.epoch
        self.time.later(self.settings.scaled(seconds), lambda: event() if self.epoch == epoch else None)

    def event(self, kind: str, severity: str = "INFO", **fields: Json) -> None:
        """Write an entry of the event log."""
        self.log.append({"time": self.stamp(), "type": kind, "severity": severity, **fields})

    def forget_events(self) -> None:
        """Let nothing happen of what was still to come here."""
        self.epoch += 1

    def changed(self, *tables: Table) -> None:
        """Note an effect: the state id moves on, cached answers of *tables* are void."""
        self.effects += 1
        self.state_id += 1
        for item in tables:
            item.version += 1

    def stamp(self) -> str:
        """Return now as the API writes it."""
        return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(self.now))

    def new_id(self) -> str:
        """Return a fresh uuid, from the seeded generator."""
        return str(uuid.UUID(int=self.random.getrandbits(128), version=4))

    def members(self) -> Iterable[Record]:
        """Return the nodes that belong to the cluster and are up."""
        return [node for node in self.nodes.values() if node.fields["status"] == "active"]
