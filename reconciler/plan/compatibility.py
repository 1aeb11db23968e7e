"""Whether a cluster supports what is declared for it: by its version, and by the schema that it serves.

The planner calls this before and after it decides. What the documentation of a version lacks is an error, since the
cluster would reject or silently ignore it. The documentation may be older than the software, though: where the cluster
itself names the field in its own schema, a warning remains. A schema of the cluster alone is never an error.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from reconciler.errors import Problem
from reconciler.kinds import server_schema, versions
from reconciler.model import Note, Reason
from reconciler.plan.plan import Change
from reconciler.plan.view import View, problem, warning


def check_versions(view: View) -> Iterator[Problem | Note]:
    """Yield as problems what is declared and the cluster's version lacks, and as notes what it deprecates."""
    for resource in view.selected:
        address, kind = resource.address, view.kind(resource.address)
        state = view.observed.live[address.cluster]
        if resource.absent:  # what a cluster cannot have is absent from it
            continue
        if lack := versions.unsupported_kind(kind, state.version):
            yield problem(resource, ("kind",), lack, "declare it for other clusters only, or upgrade this one first")
            continue
        served = state.schemas.get(kind.name, server_schema.EMPTY)
        for found in versions.findings(kind, view.spec(resource), state.version):
            if not found.missing:
                yield warning(address, Reason.DEPRECATED, found.text, found.message)
            elif server_schema.knows(served, found.wire, found.value):
                yield warning(address, Reason.UNDOCUMENTED, found.text, found.message)
            else:
                yield problem(resource, ("spec", *found.path), found.message, found.hint)


def compare_schemas(view: View, changes: Iterable[Change]) -> Iterator[Note]:
    """Yield a warning for each declared value that is to be sent and that the cluster's own schema does not allow."""
    for change in changes:
        address, resource = change.address, view.resources.get(change.address)
        served = view.observed.live[address.cluster].schemas.get(address.kind)
        if served is None or resource is None or not change.writes:
            continue
        sent = {name: value for name, value in view.spec(resource).items() if name in change.body}
        for path, why in server_schema.refusals(view.kind(address), sent, served):
            yield warning(address, Reason.SCHEMA_DISAGREES, path, why)
