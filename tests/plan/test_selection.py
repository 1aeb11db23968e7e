"""Options that name resources: what is unknown is an error, and what names several objects is said."""

from __future__ import annotations

from typing import Any

import pytest

from reconciler.model import Address
from reconciler.plan import Options
from reconciler.plan.selection import on_several_clusters, unknown_names

KNOWN = {Address(cluster, "Database", "sessions") for cluster in ("east", "west")} | {Address("east", "Role", "app")}
NAMING = {
    "--target": lambda name: {"targets": (name,)},
    "--exclude": lambda name: {"excludes": (name,)},
    "--allow-destroy": lambda name: {"allow_destroy": frozenset({name})},
    "--allow-impact": lambda name: {"allow_impact": frozenset({(name, "loses-data")})},
    "--ignore-freeze": lambda name: {"ignore_freeze": frozenset({name})},
    "--replace": lambda name: {"replace": frozenset({name})},
    "--adopt": lambda name: {"adopt": frozenset({name})},
    "--resend-secret": lambda name: {"resend_secrets": frozenset({name})},
}


def options(option: str, name: str) -> Options:
    fields: dict[str, Any] = NAMING[option](name)
    return Options(**fields)


@pytest.mark.parametrize("option", NAMING)
@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("Database/sesions", "did you mean Database/sessions?"),
        ("eats:Database/sessions", "did you mean east:Database/sessions?"),
        ("database/sessions", "did you mean Database/sessions?"),
        ("west:Role/app", "did you mean east:Role/app?"),
        ("sessions", "write it as Kind/name, such as Database/sessions"),
    ],
)
def test_an_option_that_names_nothing_is_a_problem_with_a_near_match(option: str, name: str, hint: str) -> None:
    assert [str(one) for one in unknown_names(options(option, name), KNOWN)] == [
        f"{option}: {name} matches no resource ({hint})"
    ]


@pytest.mark.parametrize("option", NAMING)
def test_a_name_without_a_cluster_is_that_object_on_every_cluster(option: str) -> None:
    found = list(on_several_clusters(options(option, "Database/sessions"), KNOWN))
    assert [(one.option, [address.cluster for address in one.found]) for one in found] == [(option, ["east", "west"])]


@pytest.mark.parametrize("option", NAMING)
@pytest.mark.parametrize("name", ["west:Database/sessions", "Role/app"])
def test_a_name_of_one_object_needs_no_remark(option: str, name: str) -> None:
    assert list(on_several_clusters(options(option, name), KNOWN)) == []
    assert unknown_names(options(option, name), KNOWN) == []


def test_every_option_that_names_resources_is_checked() -> None:
    names = {field for each in NAMING.values() for field in each("x")}
    others = {"prune", "allowed_impacts", "ignored_freezes", "limits", "previous", "pinned_ports"}
    assert set(Options.__dataclass_fields__) == names | others
