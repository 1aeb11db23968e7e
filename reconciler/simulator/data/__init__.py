"""What the API looks like, as rows: fields of objects, endpoints, permissions, versions, what a fresh cluster holds.

Code in the parent package reads these tables and decides nothing by the name of a field where a column can say it.

Columns of a field in `objects.json` (a missing column means no, or no limit):

    name type items items_ref ref enum min max not pattern items_pattern
    min_length max_length min_items max_items unique
    rule          a pattern that the rules of databases check, not the shape
    default       what a read shows when nobody set it (in nested objects: the documented default)
    read_only     the server's own; never taken from a request
    write_only    taken, never shown
    create_only   cannot change later
    extended      shown only with ?extended=true
    required      must be there on creation (nested objects: always)
    key           identifies an item of a list
    since until   versions
    internal      settable, but not meant for users
"""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files
from typing import Any


@cache
def table(name: str) -> Any:
    """Return the table *name*; callers share it and must not change it."""
    return json.loads(files(__name__).joinpath(f"{name}.json").read_text(encoding="utf-8"))
