"""The values that go into the ledger and come out of it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from reconciler.model import Address


def to_json(value: Any) -> str:
    """Return *value* as text that is the same for equal values."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), default=_plain)


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"{type(value).__name__} is not a plain value")


class Intent(NamedTuple):
    """A write that is about to be sent; *body* is in spec form and so has no secret."""

    op_id: str
    action: str  # "create", "update", "delete"
    address: Address
    body: Mapping[str, Any]
    uid: int | str | None = None
    secrets: Mapping[str, str] = {}  # path → digest of what is sent there
    state_id: int = 0  # highest cluster-state-id seen before
    run: str = ""

    @property
    def body_hash(self) -> str:
        return hashlib.sha256(to_json(self.body).encode()).hexdigest()


class Record(NamedTuple):
    """An object that we own from now on: what was last applied to it."""

    address: Address
    uid: int | str
    created: str
    fields: Mapping[str, Any]
    secrets: Mapping[str, str] = {}  # path → digest; paths that are not named keep theirs


class Run(NamedTuple):
    """One apply, as the record has it."""

    id: str
    started: float
    finished: float | None  # None: it was killed, or is under way
    revision: str
    digest: str  # of the plan
    counts: Mapping[str, int]
    outcomes: tuple[Mapping[str, Any], ...]
    who: str = ""  # the account and the machine that began it
