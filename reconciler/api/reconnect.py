"""A change that may cut us off: the way to the cluster is proven anew after each of its writes.

The engine wraps the flow of such a change, whatever kind it is about. A lost answer is then no failure by itself: the
port, the certificate or the services behind it may just have changed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from reconciler.api.protocol import Call, Flow, Reconnect, Step
from reconciler.api.task import Ended, Task
from reconciler.errors import (
    Ambiguous,
    ControlLost,
    Forbidden,
    ReadIncomplete,
    ReconcilerError,
    Unauthorized,
    Unreachable,
    Untrusted,
)

_NO_ANSWER = (Unreachable, Untrusted, ReadIncomplete)
_SHUT_OUT = (Unauthorized, Forbidden, *_NO_ANSWER)
_ADVICE: Mapping[type[ReconcilerError], str] = {
    Unauthorized: "as another administrator, look at the account that this tool has, and give it a login that works",
    Forbidden: "let another administrator give this tool's account its permissions back",
    Untrusted: "compare the certificate that it shows with what was declared, and set caCert or pin to match",
}
_LOOK = "see whether its nodes are up, and whether urls name the port that its API has now"


def regaining(task: Task, flow: Flow[Ended]) -> Flow[Ended]:
    """Pass on what *flow* asks for, and connect anew after each write that may have taken effect.

    Raises ControlLost where the cluster does not let us in after one.
    """
    reconnect = Reconnect(_port(task))
    sent, answer, error = False, None, None
    try:
        while True:
            try:
                step = flow.throw(error) if error is not None else flow.send(answer)
            except StopIteration as end:
                ended: Ended = end.value
                return ended
            except _SHUT_OUT as lost:
                if not sent:
                    raise
                raise _lost(lost) from lost
            answer, error = yield from _tried(step)
            writes = isinstance(step, Call) and step.method != "GET" and not step.cluster
            if writes and (error is None or isinstance(error, Ambiguous)):
                sent = task.unclear = True
                yield from _connected(reconnect)
            elif sent and isinstance(error, _NO_ANSWER):  # services may restart some time after the answer
                yield from _connected(reconnect)
                answer, error = yield from _tried(step)
    finally:
        flow.close()


def _tried(step: Step) -> Flow[tuple[Any, ReconcilerError | None]]:
    try:
        return (yield step), None
    except ReconcilerError as refusal:
        return None, refusal


def _connected(reconnect: Reconnect) -> Flow[None]:
    try:
        yield reconnect
    except _SHUT_OUT as lost:
        raise _lost(lost) from lost


def _lost(error: ReconcilerError) -> ControlLost:
    advice = _ADVICE.get(type(error), _LOOK)
    return ControlLost(
        "control of the cluster may be lost: this change was sent, and since then the cluster does not let this tool "
        f"in; {advice}; then run it again ({error})"
    )


def _port(task: Task) -> int:
    """Return the port that the change gives to the API, 0 where it does not move."""
    port = task.body.get(task.hook.api_port) if task.hook.api_port else None
    return port if isinstance(port, int) else 0
