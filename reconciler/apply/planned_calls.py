"""The calls that a change will make, known in advance: its flow, driven over a recorded cluster.

`plan --calls` shows them. Nothing is sent and no secret is looked up. It must not know what a flow does.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from reconciler.api.driver import Connections, Host, Policy, drive
from reconciler.api.hooks import hook_of
from reconciler.api.precondition import Precondition
from reconciler.api.protocol import Flow
from reconciler.api.task import FlowResult, Task
from reconciler.apply.flows import create_flow, delete_flow, task_of, update_flow
from reconciler.apply.recorder import (
    NEW_UID,
    ExplainContext,
    NotPredictable,
    PlannedCalls,
    RecordedConnection,
    Recorder,
)
from reconciler.errors import ReconcilerError
from reconciler.kinds import SINGLETON
from reconciler.plan import Action, Change
from reconciler.runtime import Runtime

UNKNOWN = "not known in advance"

_STEPS: Mapping[Action, tuple[Action, ...]] = {
    Action.CREATE: (Action.CREATE,),
    Action.UPDATE: (Action.UPDATE,),
    Action.DELETE: (Action.DELETE,),
    Action.REPLACE: (Action.DELETE, Action.CREATE),
    Action.FORGET: (),
}


def calls_of(change: Change, context: ExplainContext) -> PlannedCalls:
    """Return the calls that executing *change* makes; where that needs an unpredictable response, say so."""
    found = PlannedCalls(())
    for action in _STEPS[change.action]:
        recorder = Recorder(context, change, action)
        unknown = _run(recorder, change, action)
        found = PlannedCalls((*found.calls, *recorder.calls), f"{UNKNOWN}: {unknown}" if unknown else "")
        if unknown:
            break
    return found


def _run(recorder: Recorder, change: Change, action: Action) -> str:
    """Drive one step of *change*; return why its calls are not known completely, "" where they are."""
    try:
        task = task_of(change, recorder.references(), action, "recorded")
        task.reader = recorder
        clock = _Clock()
        drive(
            _flow(task, change, action),
            RecordedConnection(recorder, change.address.cluster),
            Policy.ALL,
            connections=Connections(
                {name: RecordedConnection(recorder, name) for name in recorder.context.live},
                recorder.context.project_clusters,
            ),
            host=Host(Runtime(clock=clock.now, now=clock.now, sleep=clock.sleep), _no_file),
        )
    except (NotPredictable, ReconcilerError) as error:
        return str(error)
    repeated = ", ".join(_repeated(recorder, task)) if action is Action.UPDATE else ""
    return f"it also sends the live values of {repeated}, where they are set" if repeated else ""


def _flow(task: Task, change: Change, action: Action) -> Flow[FlowResult]:
    if action is Action.CREATE:
        return create_flow(change, task)
    uid = SINGLETON if task.kind.singleton else NEW_UID if change.uid is None else change.uid
    expected = Precondition(uid, change.renamed_from or change.address.name)
    return (update_flow if action is Action.UPDATE else delete_flow)(change, task, expected)


def _repeated(recorder: Recorder, task: Task) -> Iterator[str]:
    """Yield the fields that an update of this kind sends besides the declared ones, and that were not read."""
    live = recorder.live
    unread = {
        field.wire: "(not read)"
        for name, field in sorted(task.kind.fields.items())
        if not field.access.read_only and not field.access.secret and (live is None or name not in live.spec)
    }
    complete, wire = hook_of(task.kind).complete, task.object_body()
    if wire:
        yield from sorted(complete(wire, unread).keys() - complete(wire, {}).keys())


class _Clock:
    """A clock that only waits advance."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def now(self) -> float:
        return self.seconds

    def sleep(self, seconds: float) -> None:
        self.seconds += seconds


def _no_file(path: str) -> bytes:
    raise NotPredictable(f"it depends on the file {path}")
