"""The schema of each object, as this server takes and shows it."""

from __future__ import annotations

from reconciler.simulator.messages import ApiError, Request, Response, answer
from reconciler.simulator.registry import serves
from reconciler.simulator.schema import names, schema
from reconciler.simulator.state import State


@serves("GET /v1/jsonschema")
def get(state: State, request: Request) -> Response:
    """Show the schema of the object that `object` names; of all of them by name where it names none."""
    version, strict = state.settings.server_version, state.settings.on("unknown_fields", "refuse")
    wanted = request.query.get("object")
    if wanted is None:
        return answer({name: schema(name, version, strict) for name in names()})
    if wanted not in names():
        raise ApiError(406, "not_acceptable", f"there is no object {wanted}")
    return answer(schema(wanted, version, strict))
