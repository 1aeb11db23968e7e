"""What applications need to connect."""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import permutations

import pytest

from reconciler.errors import InputError
from reconciler.export import outputs
from reconciler.model import LiveObject
from tests.plan.worlds import found

DATABASES = [
    found("Database", 2, "orders", {"tls_mode": "enabled", "roles_permissions": [{"role": "app", "redis_acl": "all"}]}),
    found("Database", 1, "cache-1"),
    found("Database", 3, "pending"),
]
ENDPOINTS = {
    1: [{"dns_name": "", "addr": ["10.0.0.2", "10.0.0.1"], "port": 10001}],
    2: [{"dns_name": "redis-10002.dc1.example", "addr": ["10.0.0.1"], "port": 10002}],
}


def test_the_table_has_a_row_for_each_endpoint() -> None:
    assert outputs.table(outputs.rows("", DATABASES, ENDPOINTS)) == (
        """\
DATABASE  HOST                     PORT   TLS  ADDRESSES           ROLES
cache-1   10.0.0.1                 10001  no   10.0.0.1, 10.0.0.2  -
orders    redis-10002.dc1.example  10002  yes  10.0.0.1            app
"""
    )


def test_dotenv_names_follow_the_databases() -> None:
    assert outputs.dotenv(outputs.rows("", DATABASES, ENDPOINTS)) == (
        """\
CACHE_1_HOST=10.0.0.1
CACHE_1_PORT=10001
CACHE_1_TLS=false
CACHE_1_URL=redis://10.0.0.1:10001
ORDERS_HOST=redis-10002.dc1.example
ORDERS_PORT=10002
ORDERS_TLS=true
ORDERS_URL=rediss://redis-10002.dc1.example:10002
"""
    )


def test_passwords_are_shown_only_where_they_are_handed_in() -> None:
    with_password = outputs.rows("", DATABASES, ENDPOINTS, {"orders": 'p@ss"$1'})
    assert 'ORDERS_PASSWORD="p@ss\\"\\$1"' in outputs.dotenv(with_password)
    assert "ORDERS_URL=rediss://:p%40ss%22%241@redis-10002.dc1.example:10002" in outputs.dotenv(with_password)
    assert "p@ss" not in outputs.table(with_password)
    plain = json.loads(outputs.to_json(with_password))
    assert ["password" in one for one in plain] == [False, True]


def test_namesakes_of_several_clusters_stay_apart() -> None:
    both = [*outputs.rows("a", DATABASES[1:2], ENDPOINTS), *outputs.rows("b", DATABASES[1:2], ENDPOINTS)]
    assert hosts(both) == ["A_CACHE_1_HOST=10.0.0.1", "B_CACHE_1_HOST=10.0.0.1"]
    assert "a:cache-1" in outputs.table(both)


def hosts(found: Sequence[outputs.Output]) -> list[str]:
    return sorted(line for line in outputs.dotenv(found).split("\n") if "HOST=" in line)


def test_dotenv_names_do_not_depend_on_the_order() -> None:
    ends = [{"dns_name": "h", "port": port} for port in (1, 2)]
    ready = [
        *outputs.rows("a", [found_database("orders")], {1: ends}),
        *outputs.rows("", [found_database("my.db"), found_database("my-db", 2)], {1: ends[:1], 2: ends[1:]}),
        *outputs.rows("b", [found_database("a-orders"), found_database("cache", 2)], {1: ends[:1], 2: ends[1:]}),
    ]
    for order in permutations(ready):
        assert hosts(order) == [
            "A_ORDERS_1_HOST=h",
            "A_ORDERS_2_HOST=h",
            "B_A_ORDERS_HOST=h",
            "CACHE_HOST=h",
            "MY_DB_1_HOST=h",
            "MY_DB_2_HOST=h",
        ]


def test_endpoints_that_no_dotenv_name_tells_apart_are_an_error() -> None:
    ends = {1: [{"dns_name": "h", "port": 1}], 2: [{"dns_name": "i", "port": 1}]}
    found = outputs.rows("", [found_database("my.db"), found_database("my-db", 2)], ends)
    with pytest.raises(InputError, match=r"these have the same dotenv name: my-db on i:1, my\.db on h:1"):
        outputs.dotenv(found)


def found_database(name: str, uid: int = 1) -> LiveObject:
    return found("Database", uid, name)


def test_no_endpoint_is_said_in_words() -> None:
    assert outputs.table(()) == "No database has an endpoint.\n"
    assert json.loads(outputs.to_json(())) == []
