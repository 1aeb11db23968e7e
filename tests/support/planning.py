"""A plan from plain values, for tests that do not go through manifests and clusters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from reconciler.kinds import Kind
from reconciler.manifests.resolve import Desired
from reconciler.model import Address, LiveState, Observed, Owned
from reconciler.plan import Options, Plan, decide


def make_plan(
    kinds: Mapping[str, Kind],
    resources: Sequence[Any],
    live: Mapping[str, LiveState],
    owned: Mapping[Address, Owned] | None = None,
    options: Options | None = None,
    secrets: Mapping[tuple[Address, str], str] | None = None,
    **observed: Any,
) -> Plan:
    state = Observed(live, owned or {}, secrets or {}, **observed)
    return decide(kinds, Desired(resources), state, options or Options())
