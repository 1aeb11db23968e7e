"""What only one object of a cluster may have is declared once: ports, of Active-Active members too, and e-mails."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from reconciler.errors import InputError
from reconciler.kinds import load_kinds
from reconciler.manifests import load
from reconciler.settings import Target

KINDS = load_kinds()
DC1, DC2 = (Target(name=name, urls=(), username="", password={}) for name in ("dc1", "dc2"))


def manifest(kind: str, name: str, spec: dict[str, Any], **metadata: Any) -> dict[str, Any]:
    return {"apiVersion": "reconciler/v1", "kind": kind, "metadata": {"name": name, **metadata}, "spec": spec}


def database(name: str, port: int, **metadata: Any) -> dict[str, Any]:
    return manifest("Database", name, {"memory_size": "1GiB", "port": port}, **metadata)


def user(name: str, email: str, **metadata: Any) -> dict[str, Any]:
    password = {"valueFrom": {"env": "PASSWORD"}}
    return manifest("User", name, {"email": email, "roles": ["Admin"], "password": password}, **metadata)


def active_active(name: str, port: int | None = None, **ports: int) -> dict[str, Any]:
    login = {"username": "peer", "password": {"valueFrom": {"env": "PASSWORD"}}}
    shared = {"memory_size": "1GiB", **({"port": port} if port else {})}
    members = [
        {"cluster": name, "credentials": login, **({"db_config": {"port": ports[name]}} if name in ports else {})}
        for name in ("dc1", "dc2")
    ]
    return manifest("ActiveActiveDatabase", name, {"default_db_config": shared, "instances": members})


def problems(folder: Path, *manifests: dict[str, Any]) -> list[str]:
    file = folder / "all.yaml"
    file.write_text(yaml.safe_dump_all(manifests, sort_keys=False))
    try:
        load([file], KINDS, clusters=[DC1, DC2])
    except InputError as error:
        return [f"{one.path}: {one.message}" for one in error.problems]
    return []


def test_a_port_is_declared_by_one_database_of_a_cluster(tmp_path: Path) -> None:
    both = [database("a", 12001, cluster="dc1"), database("b", 12001, cluster="dc1")]
    assert problems(tmp_path, *both) == ["spec.port: port 12001 is taken by Database/a on dc1"]


def test_the_same_port_on_two_clusters_is_fine(tmp_path: Path) -> None:
    assert problems(tmp_path, database("a", 12001, cluster="dc1"), database("b", 12001, cluster="dc2")) == []


def test_a_tombstone_has_no_port(tmp_path: Path) -> None:
    both = [database("a", 12001, cluster="dc1", state="absent"), database("b", 12001, cluster="dc1")]
    assert problems(tmp_path, *both) == []


def test_the_port_of_an_active_active_database_is_taken_on_each_member(tmp_path: Path) -> None:
    both = [active_active("carts", 12001), database("b", 12001, cluster="dc2")]
    assert problems(tmp_path, *both) == ["spec.port: port 12001 is taken by ActiveActiveDatabase/carts on dc2"]


def test_the_own_port_of_a_member_takes_the_place_of_the_shared_one(tmp_path: Path) -> None:
    spread = active_active("carts", 12001, dc2=12002)
    assert problems(tmp_path, spread, database("b", 12001, cluster="dc2")) == []
    found = problems(tmp_path, spread, database("b", 12002, cluster="dc2"))
    assert found == ["spec.port: port 12002 is taken by ActiveActiveDatabase/carts on dc2"]


def test_two_active_active_databases_with_one_port_are_refused_on_each_member(tmp_path: Path) -> None:
    found = problems(tmp_path, active_active("a", 12001), active_active("b", 12001))
    assert found == [
        f"spec.default_db_config.port: port 12001 is taken by ActiveActiveDatabase/a on {name}"
        for name in ("dc1", "dc2")
    ]


def test_an_e_mail_address_is_declared_by_one_user_of_a_cluster(tmp_path: Path) -> None:
    both = [user("a", "team@example.com", cluster="dc1"), user("b", "team@example.com", cluster="dc1")]
    assert problems(tmp_path, *both) == ["spec.email: e-mail address team@example.com is taken by User/a on dc1"]


def test_users_without_an_e_mail_address_share_nothing(tmp_path: Path) -> None:
    assert problems(tmp_path, user("a", "", cluster="dc1"), user("b", "", cluster="dc1")) == []


def test_an_ignored_field_is_not_compared(tmp_path: Path) -> None:
    both = [database("a", 12001, cluster="dc1"), database("b", 12001, cluster="dc1", ignore=["port"])]
    assert problems(tmp_path, *both) == []
