"""The values in the ledger. Used by `ledger` and by everything that reads or writes it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from reconciler.model import Address


def to_json(value: Any) -> str:
    """Return *value* as canonical JSON: the same text for equal values."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), default=_plain)


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"{type(value).__name__} is not a JSON value")


class Intent(NamedTuple):
    """A write that is about to be sent; *body* is in spec form and so contains no secret."""

    op_id: str
    action: str  # "create", "update", "delete"; "replace": beside the delete and the create that it consists of
    address: Address
    body: Mapping[str, Any]
    uid: int | str | None = None
    secrets: Mapping[str, str] = {}  # path → digest of what is sent there
    state_id: int = 0  # highest cluster-state-id seen before the write
    run: str = ""

    @property
    def body_hash(self) -> str:
        return hashlib.sha256(to_json(self.body).encode()).hexdigest()


class Record(NamedTuple):
    """An owned resource: what was last applied to it."""

    address: Address
    uid: int | str
    created: str
    fields: Mapping[str, Any]
    secrets: Mapping[str, str] = {}  # path → digest; other paths keep theirs
    made: bool = False  # this tool created it; kept as long as it is the same object


class Run(NamedTuple):
    """One recorded run of apply; times are in seconds since the epoch."""

    id: str
    started: float
    finished: float | None  # None: it was killed, or is in progress
    revision: str
    digest: str  # of the plan
    counts: Mapping[str, int]
    outcomes: tuple[Mapping[str, Any], ...]
    who: str = ""  # user@host that started it

    @property
    def clusters(self) -> list[str]:
        """The clusters that it was to change; the one that the environment configures has no name."""
        before = (str(one.get("address", "")).partition("/")[0].rpartition(":")[0] for one in self.outcomes)
        return sorted(set(before))
