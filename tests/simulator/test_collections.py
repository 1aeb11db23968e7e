"""A collection is one row: a made-up kind is served over HTTP, and everything else follows from its row."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from typing import Any

import httpx
import jsonschema
import pytest

from reconciler.simulator.api import openapi
from reconciler.simulator.api.routes import routes
from reconciler.simulator.data.tables import table
from reconciler.simulator.resources.collection import Collection, ReferencedBy
from reconciler.simulator.resources.collection_registry import serving
from reconciler.simulator.resources.operation import Operation
from reconciler.simulator.testing import Running, running

EVERYBODY = ("admin", "cluster_member", "cluster_viewer", "db_member", "db_viewer", "user_manager")

SHELVES = Collection(
    kind="shelf",
    path="/v1/shelves",
    label="shelf",
    operations={
        "list": Operation("view_shelves"),
        "get": Operation("view_shelves"),
        "create": Operation("edit_shelves"),
        "update": Operation("edit_shelves"),
        "delete": Operation("edit_shelves"),
    },
    unique={"name": "name_already_exists"},
    missing_code="shelf_not_exist",
    referenced_by=(ReferencedBy("user", "shelf_uid"),),
    since="8.0",
    fields=(
        {"name": "uid", "type": "integer", "read_only": True},
        {"name": "name", "type": "string", "required": True, "pattern": "^[a-z]+$"},
        {"name": "height", "type": "integer", "min": 1, "max": 300},
        {"name": "colour", "type": "string", "enum": ["red", "blue"], "since": "8.2"},
    ),
    grants={"view_shelves": EVERYBODY, "edit_shelves": ("admin",)},
)


@pytest.fixture(autouse=True)
def _served() -> Iterator[None]:
    with serving(SHELVES):
        yield


class Shelves:
    """A client of the made-up collection."""

    def __init__(self, server: Running, *login: str) -> None:
        trust = ssl.create_default_context(cafile=str(server.ca_file))
        auth = (login[0], login[1]) if login else (server.username, server.password)
        self.options: dict[str, Any] = {"base_url": server.urls[0], "verify": trust, "auth": auth}

    def __call__(self, method: str, path: str = "", body: Any = None) -> tuple[int, Any]:
        with httpx.Client(**self.options) as client:
            answer = client.request(method, f"/v1/shelves{path}", json=body)
        return answer.status_code, answer.json() if answer.content else None

    def refused(self, method: str, path: str, body: Any = None) -> tuple[int, str]:
        """Return status and error code."""
        status, answer = self(method, path, body)
        return status, answer["error_code"]


def test_objects_are_created_listed_read_changed_and_deleted() -> None:
    with running() as server:
        call = Shelves(server)
        assert call("POST", "", {"name": "top", "height": 200}) == (200, {"uid": 1, "name": "top", "height": 200})
        assert call("POST", "", {"name": "low", "colour": "red"}) == (200, {"uid": 2, "name": "low", "colour": "red"})
        assert [item["uid"] for item in call("GET")[1]] == [1, 2]
        assert call("PUT", "/1", {"height": 100}) == (200, {"uid": 1, "name": "top", "height": 100})
        assert call("GET", "/1") == (200, {"uid": 1, "name": "top", "height": 100})
        assert call("DELETE", "/1") == (200, None)
        assert call("GET") == (200, [{"uid": 2, "name": "low", "colour": "red"}])
        assert call("POST", "", {"name": "new"})[1]["uid"] == 3


def test_wrong_bodies_taken_names_and_unknown_ids_are_refused() -> None:
    with running() as server:
        call = Shelves(server)
        assert call("POST", "", {"name": "top"})[0] == 200
        assert call("POST", "", {"name": "low"})[0] == 200
        assert call.refused("POST", "", {"name": "new", "depth": 1}) == (400, "invalid_schema")
        assert call.refused("POST", "", {"name": "new", "height": 301}) == (400, "invalid_schema")
        assert call.refused("POST", "", {"name": "NEW"}) == (400, "invalid_schema")
        assert call.refused("POST", "", {"height": 10}) == (400, "missing_field")
        assert call.refused("POST", "", {"name": "top"}) == (409, "name_already_exists")
        assert call.refused("PUT", "/2", {"name": "top"}) == (409, "name_already_exists")
        assert call("PUT", "/2", {"name": "low"})[0] == 200
        assert call.refused("GET", "/9") == (404, "shelf_not_exist")
        assert call.refused("DELETE", "/x") == (404, "shelf_not_exist")


def test_a_caller_without_the_permission_is_refused() -> None:
    with running() as server:
        login = {"name": "reader", "email": "r@example.com", "password": "secret", "role_uids": [5]}
        assert server.core.call("POST", "/v1/users", login).status == 200
        reader = Shelves(server, "r@example.com", "secret")
        assert reader("GET") == (200, [])
        assert reader.refused("POST", "", {"name": "top"}) == (403, "unauthorized_action")


def test_an_object_that_another_refers_to_is_not_deleted() -> None:
    with running() as server:
        call = Shelves(server)
        call("POST", "", {"name": "top"})
        server.core.state.users[1].set(shelf_uid=1)
        assert call.refused("DELETE", "/1") == (406, "in_use")
        server.core.state.users[1].drop("shelf_uid")
        assert call("DELETE", "/1") == (200, None)


def test_a_snapshot_holds_the_objects_and_their_ids_count_on() -> None:
    with running() as server:
        call = Shelves(server)
        call("POST", "", {"name": "top"})
        call("POST", "", {"name": "low", "height": 5})
        saved = server.core.snapshot()
    assert saved["/v1/shelves"] == [{"uid": 1, "name": "top"}, {"uid": 2, "name": "low", "height": 5}]
    with running(snapshot=saved) as server:
        call = Shelves(server)
        assert call("GET") == (200, saved["/v1/shelves"])
        assert call("POST", "", {"name": "new"})[1]["uid"] == 3


def test_the_versions_of_the_row_and_of_its_fields_count() -> None:
    with running(server_version="7.22") as server:
        assert Shelves(server).refused("GET", "") == (404, "not_found")
    with running(server_version="8.0") as server:
        assert Shelves(server).refused("POST", "", {"name": "top", "colour": "red"}) == (400, "invalid_schema")


def test_schema_and_openapi_describe_the_collection() -> None:
    described = openapi.describe("8.2")["paths"]
    assert sorted(described["/v1/shelves"]) == ["get", "post"]
    assert sorted(described["/v1/shelves/{uid}"]) == ["delete", "get", "put"]
    body = described["/v1/shelves"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    assert jsonschema.Draft7Validator(body).is_valid({"name": "top"})
    assert not jsonschema.Draft7Validator(body).is_valid({"height": 1})


def test_nothing_is_left_when_the_context_ends() -> None:
    with serving(SHELVES._replace(kind="box", path="/v1/boxes")):
        assert any(item.path == "/v1/boxes" for item in routes("8.2").endpoints)
    assert not any(item.path == "/v1/boxes" for item in routes("8.2").endpoints)
    assert "box" not in table("objects")
    assert any(item.path == "/v1/shelves" for item in routes("8.2").endpoints)


def test_dns_suffixes_are_read_changed_and_kept_in_snapshots() -> None:
    with running() as server:
        changed = server.core.call("PATCH", "/v1/suffix/cluster.local", {"slaves": ["10.0.0.1"]})
        assert (changed.status, changed.json()["slaves"]) == (200, ["10.0.0.1"])
        assert server.core.call("DELETE", "/v1/suffix/cluster.local").json()["error_code"] == "invalid_param"
        assert server.core.call("GET", "/v1/suffix/other.local").status == 404
        saved = server.core.snapshot()
    with running(snapshot=saved) as server:
        assert server.core.call("GET", "/v1/suffixes").json() == [changed.json()]
