"""Each error code that is listed for an operation is sent by some call, or a line says why it is not."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from reconciler.simulator.api.messages import Response
from reconciler.simulator.api.routes import Endpoint
from tests.simulator.cases import SPECIAL
from tests.simulator.clusters import generic_cases, run
from tests.simulator.error_code_cases import NEVER, REASONS
from tests.simulator.test_conformance import CASES, operation

LISTED: dict[str, list[tuple[str, Endpoint]]] = {}
for _version, _endpoint in reversed(CASES):
    if _endpoint.row["codes"]:
        LISTED.setdefault(operation(_endpoint), []).append((_version, _endpoint))


def told(response: Response) -> Iterator[str]:
    """Yield the error codes in an answer: its own, and those of the tasks that it tells of."""
    if not response.body or "json" not in response.headers.get("content-type", ""):
        return
    values: list[Any] = [response.json()]
    while values:
        value = values.pop()
        if isinstance(value, dict):
            yield from [value["error_code"]] if isinstance(value.get("error_code"), str) else []
            values += value.values()
        elif isinstance(value, list):
            values += value


@pytest.mark.parametrize("name", sorted(LISTED))
def test_each_listed_error_code_is_sent(name: str) -> None:
    missing = set(LISTED[name][0][1].row["codes"]) - {code for operation, code in NEVER if operation == name}
    for version, endpoint in LISTED[name]:
        for case in (*REASONS.get(name, ()), *SPECIAL.get(name, ()), *generic_cases(endpoint)):
            if not missing:
                return
            missing -= set(told(run(version, endpoint, case)))
    assert missing == set()


def test_the_tables_are_about_what_is_listed() -> None:
    assert set(REASONS) <= set(LISTED)
    assert [pair for pair in NEVER if pair[1] not in LISTED[pair[0]][0][1].row["codes"]] == []
