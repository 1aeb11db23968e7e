"""schemathesis against the description that the simulator serves of itself: nothing undocumented, nothing breaks."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from reconciler.simulator.api import openapi
from reconciler.simulator.api.fields import VERSIONS
from reconciler.simulator.api.messages import Response
from reconciler.simulator.core import Core, Request, SimulatorSettings
from reconciler.simulator.testing import Caller, VirtualClock

CHECKS = [status_code_conformance, content_type_conformance, response_schema_conformance]
EXAMPLES = {"7.4": 8, "7.8": 3, "7.22": 3, "8.0": 3, "8.2": 8}
DESCRIPTIONS = {version: openapi.describe(version) for version in VERSIONS}
OPERATIONS = {
    (version, operation.ok().label): operation.ok()
    for version in VERSIONS
    for operation in schemathesis.openapi.from_dict(DESCRIPTIONS[version]).get_all_operations()
}


class Furnished(Caller):
    """A cluster that holds one object of most kinds, so that uid 1 is often there."""

    def __init__(self, version: str) -> None:
        clock = VirtualClock()
        super().__init__(Core(SimulatorSettings(nodes=3, server_version=version), clock=clock, seed=1))
        self("POST", "/v1/bdbs", {"name": "one", "memory_size": 1 << 30, "replication": True})
        self("POST", "/v1/bdb_groups", {"memory_size": 1 << 30})
        self("POST", "/v1/ldap_mappings", {"name": "one", "dn": "cn=one,dc=example", "role_uids": [2]})
        clock.sleep(60)

    def send(self, case: Any) -> tuple[Response, requests.PreparedRequest]:
        """Send what schemathesis made up, with the account's login."""
        given_ = case.as_transport_kwargs(base_url="https://simulated:9443")
        names = ("method", "url", "headers", "params", "data", "json", "files")
        made = requests.Request(**{name: given_[name] for name in names if name in given_}).prepare()
        body = made.body or b""
        url = urlsplit(str(made.url))
        headers = {name.lower(): str(value) for name, value in made.headers.items()}
        headers["authorization"] = self.headers["authorization"]
        query = dict(parse_qsl(url.query, keep_blank_values=True))
        sent = Request(
            str(made.method), unquote(url.path), query, headers, body.encode() if isinstance(body, str) else body
        )
        return self.core.handle(sent), made


@pytest.mark.parametrize(("version", "label"), OPERATIONS, ids=lambda text: str(text))
def test_whatever_is_sent_the_answer_is_a_documented_one(version: str, label: str) -> None:
    caller = [Furnished(version)]

    @settings(
        max_examples=EXAMPLES[version],
        deadline=None,
        database=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.explicit, Phase.generate],
    )
    @given(case=OPERATIONS[version, label].as_strategy())
    def run(case: Any) -> None:
        response, made = caller[0].send(case)
        assert response.status != 500
        headers = {name: [value] for name, value in response.headers.items()}
        case.validate_response(
            schemathesis.Response(response.status, headers, response.body, made, elapsed=0.0, verify=True),
            checks=CHECKS,
        )
        if response.status == 401:  # it has taken its own login away
            caller[0] = Furnished(version)

    run()


@pytest.mark.parametrize("version", VERSIONS)
def test_each_served_operation_is_described_once(version: str) -> None:
    operations = [item for path in DESCRIPTIONS[version]["paths"].values() for item in path.values()]
    names = [operation["operationId"] for operation in operations]
    assert len(names) == len(set(names)) > 150
    assert all("200" in operation["responses"] for operation in operations)
    assert all("401" in operation["responses"] for operation in operations)
