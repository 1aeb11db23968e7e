"""Whether a cluster can do what is declared for it: by its version, and by what it says of its own objects.

The planner calls this before and after it decides. What the documentation of a version lacks is an error, since to
send it would fail half-way or be dropped in silence. The documentation may be younger than the software, though: where
the cluster itself names the field in its own schema, that word counts, and a warning remains. A schema of the cluster
alone never makes an error.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from reconciler.kinds import server_schema, versions
from reconciler.plan.context import Desk
from reconciler.plan.order import WRITES, Draft

if TYPE_CHECKING:
    from reconciler.manifests import Resource


def check_versions(desk: Desk, resources: Iterable[Resource]) -> None:
    """Note as problems what is declared and the cluster's version lacks, and warn of what it deprecates."""
    for resource in resources:
        address = resource.address
        state, kind = desk.live[address.cluster], desk.kinds[address.kind]
        if resource.absent:  # what a cluster cannot have is absent from it
            continue
        if lack := versions.unsupported_kind(kind, state.version):
            desk.problem(resource, ("kind",), lack, "declare it for other clusters only, or upgrade this one first")
            continue
        for found in versions.findings(kind, desk.spec(resource), state.version):
            if not found.missing:
                desk.warn(address, f"{found.text}: {found.message}")
            elif server_schema.knows(state.schemas.get(kind.name, server_schema.EMPTY), found.wire, found.value):
                desk.warn(address, f"{found.text}: {found.message}, by its documentation; its own schema has it")
            else:
                desk.problem(resource, ("spec", *found.path), found.message, found.hint)


def compare_schemas(desk: Desk, drafts: Iterable[Draft]) -> None:
    """Warn of declared values that are to be sent and that the cluster's own schema does not take."""
    for draft in drafts:
        resource = draft.resource
        served = desk.live[draft.address.cluster].schemas.get(draft.kind.name)
        if served is None or resource is None or draft.action not in WRITES:
            continue
        sent = {name: value for name, value in desk.spec(resource).items() if name in draft.body}
        for path, why in server_schema.refusals(draft.kind, sent, served):
            desk.warn(draft.address, f"{path}: the cluster's own schema {why}; it may refuse or drop this")
