"""A change that may lock out the management account: reconnect after each of its writes, and verify access.

`apply` wraps the flow of such a change, whatever its kind. A lost response is then no failure by itself: the port, the
certificate or the services behind it may just have changed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from reconciler.api.protocol import Call, Effect, Flow, Reconnect
from reconciler.api.task import FlowResult, Task
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

_NO_RESPONSE = (Unreachable, Untrusted, ReadIncomplete)
_LOCKED_OUT = (Unauthorized, Forbidden, *_NO_RESPONSE)
_ADVICE: Mapping[type[ReconcilerError], str] = {
    Unauthorized: "as another administrator, check this tool's account, and give it a login that works",
    Forbidden: "let another administrator give this tool's account its permissions back",
    Untrusted: "compare the certificate that it presents with the declared one, and set caCert or pin to match",
}
_CHECK_NODES = "check whether its nodes are up, and whether urls have the current port of its API"


def with_access_check(task: Task, flow: Flow[FlowResult]) -> Flow[FlowResult]:
    """Yield what *flow* yields, and reconnect after each write that may have taken effect.

    Raises ControlLost where access is denied after one.
    """
    reconnect = Reconnect(_port(task))
    sent, response, error = False, None, None
    try:
        while True:
            try:
                effect = flow.throw(error) if error is not None else flow.send(response)
            except StopIteration as end:
                result: FlowResult = end.value
                return result
            except _LOCKED_OUT as lost:
                if not sent:
                    raise
                raise _control_lost(lost) from lost
            response, error = yield from _try(effect)
            writes = isinstance(effect, Call) and effect.method != "GET" and not effect.cluster
            if writes and (error is None or isinstance(error, Ambiguous)):
                sent = task.outcome_unknown = True
                yield from _reconnect(reconnect)
            elif sent and isinstance(error, _NO_RESPONSE):  # services may restart some time after the response
                yield from _reconnect(reconnect)
                response, error = yield from _try(effect)
    finally:
        flow.close()


def _try(effect: Effect) -> Flow[tuple[Any, ReconcilerError | None]]:
    try:
        return (yield effect), None
    except ReconcilerError as refusal:
        return None, refusal


def _reconnect(reconnect: Reconnect) -> Flow[None]:
    try:
        yield reconnect
    except _LOCKED_OUT as lost:
        raise _control_lost(lost) from lost


def _control_lost(error: ReconcilerError) -> ControlLost:
    advice = _ADVICE.get(type(error), _CHECK_NODES)
    return ControlLost(
        "control of the cluster may be lost: this change was sent, and since then the cluster denies this tool access; "
        f"{advice}; then run it again ({error})"
    )


def _port(task: Task) -> int:
    """Return the new port of the API, 0 where the change does not move it."""
    port = task.body.get(task.hook.api_port_field) if task.hook.api_port_field else None
    return port if isinstance(port, int) else 0
