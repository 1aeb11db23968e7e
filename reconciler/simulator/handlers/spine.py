"""The operations on databases, access objects, actions and nodes that live in modules of their own one level up."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

from reconciler.simulator import access, actions, bdbs
from reconciler.simulator.messages import Response
from reconciler.simulator.registry import add

_HANDLERS: Mapping[str, Callable[..., Response]] = {
    "GET /v1/actions": actions.list_v1,
    "GET /v1/actions/{uid}": actions.get_v1,
    "GET /v1/actions/bdb/{bdb_uid}": actions.of_bdb,
    "GET /v2/actions": actions.list_v2,
    "GET /v2/actions/{uid}": actions.get_v2,
    "GET /v1/bdbs": bdbs.list_all,
    "GET /v1/bdbs/{uid}": bdbs.get,
    "POST /v1/bdbs": bdbs.create,
    "POST /v2/bdbs": bdbs.create_v2,
    "PUT /v1/bdbs/{uid}": bdbs.update,
    "PUT /v2/bdbs/{uid}": bdbs.update,
    "PUT /v1/bdbs/{uid}/{action}": bdbs.act,
    "DELETE /v1/bdbs/{uid}": bdbs.delete,
}

for _operation, _handler in _HANDLERS.items():
    add([_operation], _handler)

for _path, _family in (
    ("users", access.USERS),
    ("roles", access.ROLES),
    ("redis_acls", access.ACLS),
    ("ldap_mappings", access.MAPPINGS),
):
    add([f"GET /v1/{_path}"], partial(access.list_all, _family))
    add([f"POST /v1/{_path}"], partial(access.create, _family))
    add([f"GET /v1/{_path}/{{uid}}"], partial(access.get, _family))
    add([f"PUT /v1/{_path}/{{uid}}"], partial(access.update, _family))
    add([f"DELETE /v1/{_path}/{{uid}}"], partial(access.delete, _family))
