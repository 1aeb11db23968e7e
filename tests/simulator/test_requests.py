"""The bodies that the documentation shows as requests: each is taken, or refused as documented.

`data/requests.json` has for each its operation, what is to be done before, and the answer: `path` where the parameters
are not those of the first object, `spanning` where a database that spans clusters is needed, `node` for a machine that
belongs to no cluster yet.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from reconciler.simulator.api.routes import routes
from tests.simulator.clusters import Case, FilledCluster, run

REQUESTS = json.loads((Path(__file__).parent / "data" / "requests.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("shown", REQUESTS, ids=lambda shown: shown["name"])
def test_a_request_that_the_documentation_shows_is_answered_as_it_says(shown: dict[str, Any]) -> None:
    endpoint = next(item for item in routes("8.2").endpoints if f"{item.method} {item.path}" == shown["operation"])
    before = (*((FilledCluster.span,) if shown.get("spanning") else ()), *map(tuple, shown.get("before", ())))
    case = Case(shown["body"], shown.get("path", ""), before, wait=60, settings={"outside": 1})
    response = run("8.2", endpoint, case._replace(node=shown.get("node", 1)))
    assert response.status == shown["status"], response.body
    assert shown["status"] == 200 or response.json()["error_code"] == shown["code"]
