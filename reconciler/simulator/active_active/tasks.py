"""Tasks of Active-Active databases: queued, started, then finished or failed with the errors of each cluster."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

from reconciler.simulator.api.messages import ApiError, Json, Request, Response, json_response
from reconciler.simulator.api.routes import serves
from reconciler.simulator.resources.lookup import query_flag
from reconciler.simulator.state.model import ClusterState
from reconciler.simulator.state.records import ObjectRecord

TTL = 500.0  # seconds that the result of a task is kept
_COMMIT = 0.7  # fraction of its duration after which a task cannot be cancelled


class TaskError(Exception):
    """Why the work of a task failed: (cluster name, description) for each cluster where it did."""

    def __init__(self, *errors: tuple[str, str]) -> None:
        super().__init__("; ".join(f"{name}: {text}" for name, text in errors))
        self.errors = errors


class TaskSpec(NamedTuple):
    """What a task does: operation, guid of the database, clusters, duration in seconds, and the work at its end.

    The work may raise `TaskError`.
    """

    operation: str
    guid: str
    clusters: Iterable[str]
    seconds: float
    work: Callable[[], None]


def _lifetime(request: Request) -> float:
    text = request.headers.get("x-result-ttl")
    if text is None:
        return TTL
    if not text.isdecimal():
        raise ApiError(400, "invalid_param", "X-Result-TTL is not a number of seconds")
    return float(text)


def begin_task(state: ClusterState, request: Request, job: TaskSpec) -> ObjectRecord:
    """Queue *job* and return its record. Raise 400 for invalid headers."""
    lifetime, uid = _lifetime(request), request.headers.get("x-task-id") or state.new_id()
    if uid in state.crdb_tasks:
        raise ApiError(400, "invalid_param", "X-Task-ID is in use")
    names = list(job.clusters)
    record = ObjectRecord(
        {"crdb_guid": job.guid, "id": uid, "operation": job.operation, "status": "queued"},
        {"begun": state.now, "seconds": job.seconds, "clusters": names, "lifetime": lifetime},
    )
    state.crdb_tasks[uid] = record
    state.changed()
    fate = state.outcome

    def start() -> None:
        if record.fields["status"] == "queued":
            progress = {"clusters": [{"name": name, "progress": "running"} for name in names], "worker": "running"}
            record.set(status="started", started=state.stamp(), worker_name="worker-1", progress=progress)

    def finish() -> None:
        if record.fields["status"] != "started":
            return
        try:
            if fate == "fail":
                raise TaskError(("", "the worker failed"))
            job.work()
        except TaskError as trouble:
            finish_task(state, record, trouble.errors)
        else:
            finish_task(state, record, ())

    state.later(job.seconds * 0.1, start)
    if fate != "stuck":
        state.later(job.seconds, finish)
    return record


def finish_task(state: ClusterState, record: ObjectRecord, errors: Iterable[tuple[str, str]]) -> None:
    """Finish a task, as failed if there are *errors*; its record expires later."""
    failures = [{"cluster_name": name, "description": text, "error_code": "internal_error"} for name, text in errors]
    word = "failed" if failures else "done"
    progress = {"clusters": [{"name": name, "progress": word} for name in record.hidden["clusters"]], "worker": word}
    record.set(status="failed" if failures else "finished", ended=state.stamp(), progress=progress)
    if failures:
        record.set(errors=failures)
    record.fields = dict(sorted(record.fields.items()))
    uid = record.fields["id"]

    def forget() -> None:
        state.crdb_tasks.pop(uid, None)

    state.later(record.hidden["lifetime"], forget)


def is_running(record: ObjectRecord) -> bool:
    """Return whether a task is queued or started."""
    return record.fields["status"] in ("queued", "started")


def find_task(state: ClusterState, uid: str) -> ObjectRecord:
    """Return the task *uid*, or raise 404."""
    if uid not in state.crdb_tasks:
        raise ApiError(404, "not_found", "no such task, or its result has expired")
    return state.crdb_tasks[uid]


def cancel_running(state: ClusterState, uid: str, *, force: bool) -> None:
    """Cancel a task; raise 406 where it has ended, or, without *force*, where it is committing."""
    record = find_task(state, uid)
    if not is_running(record):
        raise ApiError(406, "not_acceptable", "the task has ended")
    reached = (state.now - record.hidden["begun"]) / (state.settings.scaled(record.hidden["seconds"]) or 1)
    if reached >= _COMMIT and not force:
        raise ApiError(406, "not_acceptable", "the task can no longer be cancelled")
    finish_task(state, record, [("", "cancelled")])
    state.changed()


def queued_view(record: ObjectRecord) -> Json:
    """Return the task as the response to a write shows it."""
    return {"id": record.fields["id"], "status": record.fields["status"]}


# Endpoints


@serves("GET /v1/crdb_tasks")
def list_tasks(state: ClusterState, request: Request) -> Response:
    """List the queued and started tasks."""
    return json_response([task.fields for task in state.crdb_tasks.values() if is_running(task)])


@serves("GET /v1/crdb_tasks/{task_id}")
def get_task(state: ClusterState, request: Request, uid: str) -> Response:
    """Show one task until its result expires."""
    return json_response(find_task(state, uid).fields)


@serves("POST /v1/crdb_tasks/{task_id}/actions/cancel")
def cancel_task(state: ClusterState, request: Request, uid: str, body: Json) -> Response:
    """Cancel a task before it commits, or by force even then."""
    cancel_running(state, uid, force=query_flag(request.query, "force"))
    return json_response(None)
