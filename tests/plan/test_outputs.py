"""What applications need to connect."""

from __future__ import annotations

import json

from reconciler.export import outputs
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
    assert [line for line in outputs.dotenv(both).split("\n") if "HOST" in line] == [
        "CACHE_1_HOST=10.0.0.1",
        "CACHE_1_2_HOST=10.0.0.1",
    ]
    assert "a:cache-1" in outputs.table(both)


def test_no_endpoint_is_said_in_words() -> None:
    assert outputs.table(()) == "No database has an endpoint.\n"
    assert json.loads(outputs.to_json(())) == []
