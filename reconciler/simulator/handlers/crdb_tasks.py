"""Tasks of Active-Active databases: asked for by id, and cancelled."""

from __future__ import annotations

from reconciler.simulator import crdb_tasks
from reconciler.simulator.lookups import flag
from reconciler.simulator.messages import Json, Request, Response, answer
from reconciler.simulator.registry import serves
from reconciler.simulator.state import State


@serves("GET /v1/crdb_tasks")
def list_tasks(state: State, request: Request) -> Response:
    """List the tasks that are not over."""
    return answer([task.fields for task in state.crdb_tasks.values() if crdb_tasks.running(task)])


@serves("GET /v1/crdb_tasks/{task_id}")
def get_task(state: State, request: Request, uid: str) -> Response:
    """Show one task, for as long as its result is kept."""
    return answer(crdb_tasks.found(state, uid).fields)


@serves("POST /v1/crdb_tasks/{task_id}/actions/cancel")
def cancel_task(state: State, request: Request, uid: str, body: Json) -> Response:
    """Stop a task before it commits, or, by force, even then."""
    crdb_tasks.cancel(state, uid, force=flag(request.query, "force"))
    return answer(None)
