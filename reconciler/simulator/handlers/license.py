"""The licence: what is installed and how much of it is used, and a new one."""

from __future__ import annotations

from reconciler.simulator import licenses
from reconciler.simulator.messages import ApiError, Json, Request, Response, answer
from reconciler.simulator.registry import serves
from reconciler.simulator.shapes import accept, bad, how
from reconciler.simulator.state import State


@serves("GET /v1/license")
def get(state: State, request: Request) -> Response:
    """Show the licence; 404 where there is none."""
    if not state.license.fields:
        raise ApiError(404, "not_found", "no licence is installed")
    used = {f"{name}_shards_in_use": count for name, count in licenses.in_use(state).items()}
    fields = {**state.license.fields, "expired": licenses.expired(state), **used}
    return answer(dict(sorted(fields.items())))


@serves("PUT /v1/license")
def update(state: State, request: Request, body: Json) -> Response:
    """Install a licence."""
    sent = accept("license", body, how(state.settings))
    if "license" not in sent:
        raise bad("license", "missing")
    licenses.install(state, sent["license"])
    return answer(None)
