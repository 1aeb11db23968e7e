"""Each documented answer of each operation and version is provoked, or a line says why it cannot be."""

from __future__ import annotations

import re

import pytest

from reconciler.simulator.api.fields import VERSIONS
from reconciler.simulator.api.routes import HANDLERS, Endpoint, is_enabled, routes
from reconciler.simulator.core import SimulatorSettings
from tests.simulator.cases import SPECIAL
from tests.simulator.clusters import generic_cases, run

NO_INPUT = "there is no input that could be wrong"
ANYBODY = "whoever is logged in may ask"
RESERVED = "listed without a cause; nothing that a request could say leads to it"

# (operation as a pattern, statuses): why no case provokes them. Kept short: a cause that can be made is made.
CANNOT: tuple[tuple[str, tuple[int, ...], str], ...] = (
    (r"GET /v1/actions", (404,), "a list without records is empty, seen live"),
    (r"GET /v1/nodes/stats(/last)?", (404,), "a cluster has at least one node"),
    (r"GET /v4/cluster/health", (404,), "a member always knows its cluster"),
    (r"PUT /v1/cluster/update_cert", (404,), "its wording is that of 400, which a bad certificate gets"),
    (r"POST /v2/modules", (404,), "there is nothing to find"),
    (r"POST /v1/bdb_groups", (409,), "the server alone gives uids to groups"),
    (r"GET /v1/bdb_groups/{uid}", (400,), NO_INPUT),
    (r"GET /v1/bdbs/.*alerts/.*{alert}", (400,), NO_INPUT),
    (r"PUT /v1/cluster/policy/restore_default", (400,), NO_INPUT),
    (r"POST /v1/nodes/{uid}/snapshots/{snapshot_name}", (400,), NO_INPUT),
    (r"GET /v1/nodes/{uid}/wd_status", (400,), NO_INPUT),
    (r"(POST|PUT) /v1/bdbs/{uid}/passwords", (406,), RESERVED),
    (r"PUT /v1/bdbs/{uid}/actions/rebalance", (406,), "shards only trade places, so there is room"),
    (r"POST /v1/cluster/certificates/rotate", (406,), RESERVED),
    (r"PATCH /v1/cluster/change_password_hashing_algorithm", (406,), RESERVED),
    (r"DELETE /v1/ldap_mappings/{uid}", (406,), RESERVED),
    (r"DELETE /v2/local/modules/user-defined/artifacts/.*", (406,), RESERVED),
    (r"GET /v1/users/(permissions|permissions/{role}|role)", (403,), ANYBODY),
    (r"POST .*/modules/config.*", (406,), "a module that takes no arguments while it runs came with Redis 8"),
    (r"PUT /v1/crdbs/{crdb_guid}/flush", (406,), RESERVED),
    (r"POST /v2/(local/)?modules/user-defined(/artifacts)?", (403,), "before 8.2 nothing switches uploads off"),
)

CASES = [
    (version, endpoint)
    for version in VERSIONS
    for endpoint in routes(version).endpoints
    if is_enabled(endpoint.row, SimulatorSettings(server_version=version))
]


def operation(endpoint: Endpoint) -> str:
    return f"{endpoint.method} {endpoint.path}"


def excused(endpoint: Endpoint) -> set[int]:
    return {
        status for pattern, statuses, _ in CANNOT if re.fullmatch(pattern, operation(endpoint)) for status in statuses
    }


@pytest.mark.parametrize(
    ("version", "endpoint"), CASES, ids=lambda item: item if isinstance(item, str) else operation(item)
)
def test_each_documented_status_is_provoked(version: str, endpoint: Endpoint) -> None:
    cases = (*generic_cases(endpoint), *SPECIAL.get(operation(endpoint), ()))
    seen = {run(version, endpoint, case).status for case in cases}
    assert set(endpoint.row["statuses"]) - seen <= excused(endpoint)


def test_each_line_of_the_tables_is_about_an_operation() -> None:
    known = set(HANDLERS)
    assert set(SPECIAL) <= known
    assert [pattern for pattern, _, _ in CANNOT if not any(re.fullmatch(pattern, one) for one in known)] == []


def test_the_table_of_what_cannot_occur_is_short_and_excuses_nothing_needlessly() -> None:
    total = sum(len(endpoint.row["statuses"]) for _, endpoint in CASES)
    without = sum(len(excused(endpoint) & set(endpoint.row["statuses"])) for _, endpoint in CASES)
    assert without < total * 0.05
