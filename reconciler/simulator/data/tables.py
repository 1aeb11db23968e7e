"""The API as tables: fields of objects, endpoints, permissions, versions, the content of a new cluster.

Code reads these tables; it does not depend on the name of a field where a column can express the rule.

Columns of a field in `objects/` (a missing column means no, or no limit):

    name type items items_ref ref enum items_enum min max not pattern items_pattern format items_format
    min_length max_length min_items max_items unique nullable
    rule          a pattern that the rules of databases check, not the shape
    default       value on read if it was never set (in nested objects: the documented default)
    default_history  older version -> its default
    read_only     set by the server; ignored or refused in a request
    write_only    accepted, never shown
    write_only_since  the version from which on it is never shown
    named         a map of named settings of its own: merges by name
    mask          shown on read instead of the value
    create_only   cannot change later
    extended      shown only with ?extended=true
    required      required on creation (nested objects: always)
    optional      may be absent on read
    excludes      must not be set together with this other field
    code          error code of an invalid value
    key           identifies an item of a list
    since until   versions
    internal      settable, but not meant for users
    undocumented  seen on a server, not in the documentation
    deprecated

An object may be `empty`: all of its fields, or none.

Columns of a row in `endpoints.json`:

    method path permission      the permission is null where any user may call, or the handler decides
    since until                 first and last server version that has it; missing means all
    deprecated                  version that deprecated it
    source                      missing: has a page of its own; openapi, observed (no page), retired
    switch                      [switch, choice that serves it, first version to which that applies]
    mixed                       [status, error code] while the cluster has nodes of different versions
    open                        [rule, last version] for which no login is needed, see `access.authentication`
    among                       allowed values of the last path parameter; other paths do not exist
    bare                        first server version in which the body may be missing
    local                       acts on the addressed node; never redirected
    mode query statuses codes   as documented; codes are those beyond the generic ones
    body                        object of the JSON body ("any": see the handler); missing: no body is read
    content                     Content-Type of a body that is not JSON
    answer                      shape of a successful response: `object:kind`, `array:kind`, empty, binary, xml …

`answers.json`: responses of groups of operations (`when`) in addition to their rows, see `api.responses`. Rows of
collections and singletons are added by `resources`.
`parameters.json`: the JSON Schemas of parameters by name, "" for all others.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from importlib.resources import files
from typing import Any, ParamSpec, TypeVar, cast

_P = ParamSpec("_P")
_R = TypeVar("_R")
_DERIVED: list[Callable[[], None]] = []


def derived(function: Callable[_P, _R]) -> Callable[_P, _R]:
    """Cache *function*, which depends only on tables, until one of them is extended."""
    cached = cache(function)
    _DERIVED.append(cached.cache_clear)
    return cast("Callable[_P, _R]", cached)


def changed() -> None:
    """Invalidate what was derived from the tables; call it after extending one."""
    for clear in _DERIVED:
        clear()


@cache
def table(name: str) -> Any:
    """Return the table *name*; it is shared; only `resources` extends it.

    The files of a folder make one table.
    """
    place = files("reconciler.simulator.data").joinpath(name)
    if not place.is_dir():
        return json.loads(files("reconciler.simulator.data").joinpath(f"{name}.json").read_text(encoding="utf-8"))
    parts = [json.loads(file.read_text(encoding="utf-8")) for file in place.iterdir() if file.name.endswith(".json")]
    return {key: value for part in parts for key, value in part.items()}
