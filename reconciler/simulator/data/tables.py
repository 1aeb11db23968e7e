"""What the API looks like, as rows: fields of objects, endpoints, permissions, versions, what a fresh cluster holds.

Code in the parent package reads these tables and decides nothing by the name of a field where a column can say it.

Columns of a field in `objects/` (a missing column means no, or no limit):

    name type items items_ref ref enum items_enum min max not pattern items_pattern format items_format
    min_length max_length min_items max_items unique nullable
    rule          a pattern that the rules of databases check, not the shape
    default       what a read shows when nobody set it (in nested objects: the documented default)
    default_history  older version -> what it was then
    read_only     the server's own; never taken from a request
    write_only    taken, never shown
    write_only_since  the version from which on it is never shown
    named         a map of named settings of its own: merges by name
    mask          what a read shows in place of the value
    create_only   cannot change later
    extended      shown only with ?extended=true
    required      must be there on creation (nested objects: always)
    optional      a read may lack it
    excludes      must not be set together with this other field
    code          error code of a value that is refused
    key           identifies an item of a list
    since until   versions
    internal      settable, but not meant for users
    undocumented  seen on a server, in no page
    deprecated

An object may be `empty`: all of its fields, or none.

Columns of a row in `endpoints.json`:

    method path permission      the permission is null where any user may call, or the handler decides
    since until                 first and last server version that has it; missing means all
    deprecated                  version that deprecated it
    source                      missing: has a page of its own; openapi, observed (no page), retired
    switch                      [switch, choice that serves it, first version to which that applies]
    mixed                       [status, error code] while the cluster has nodes of different versions
    open                        [rule, last version] under which nobody need log in, see `auth`
    among                       what the last parameter of the path may be; other paths do not exist
    bare                        first server version in which the body may be missing
    local                       acts on the node that is addressed; never redirected
    mode query statuses codes   as documented; codes are those beyond what any operation may answer
    body                        the object that the JSON body is ("any": see the handler); missing: no body is read
    content                     Content-Type of the body where it is not JSON
    answer                      shape of a good answer: `object:kind`, `array:kind`, `map:kind`, empty, binary, xml …

`answers.json`: what operations of a sort (`when`) may answer beside their rows, see `documented`.
`parameters.json`: the JSON Schemas of the parameters by name, "" for the others.
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
    """Cache *function*, which depends on tables alone, until one of them is extended."""
    cached = cache(function)
    _DERIVED.append(cached.cache_clear)
    return cast("Callable[_P, _R]", cached)


def changed() -> None:
    """Forget what was derived from the tables; call it after extending one."""
    for clear in _DERIVED:
        clear()


@cache
def table(name: str) -> Any:
    """Return the table *name*; callers share it, and only `resources.collections` extends it.

    The files of a folder make one table.
    """
    place = files("reconciler.simulator.data").joinpath(name)
    if not place.is_dir():
        return json.loads(files("reconciler.simulator.data").joinpath(f"{name}.json").read_text(encoding="utf-8"))
    parts = [json.loads(file.read_text(encoding="utf-8")) for file in place.iterdir() if file.name.endswith(".json")]
    return {key: value for part in parts for key, value in part.items()}
