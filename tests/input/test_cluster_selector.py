"""The clusters that --cluster and --exclude choose: by name, pattern and label."""

from __future__ import annotations

import pytest

from reconciler.errors import Problem
from reconciler.settings.cluster_selector import is_address, select
from reconciler.settings.target import Target

TARGETS = [
    Target(name, (), "", {}, labels=labels)
    for name, labels in {
        "prod-eu": {"env": "prod", "region": "eu"},
        "prod-us": {"env": "prod", "region": "us"},
        "stage": {"env": "stage", "app.io/tier": "low"},
    }.items()
]


def chosen(*clusters: str, exclude: tuple[str, ...] = ()) -> list[str]:
    problems: list[Problem] = []
    found = select(TARGETS, clusters, exclude, problems)
    assert problems == []
    return [target.name for target in found]


@pytest.mark.parametrize(
    ("selectors", "names"),
    [
        ((), ["prod-eu", "prod-us", "stage"]),
        (("stage",), ["stage"]),
        (("prod-*",), ["prod-eu", "prod-us"]),
        (("prod-?u", "stage"), ["prod-eu", "stage"]),
        (("stage,prod-us",), ["prod-us", "stage"]),
        (("env=prod",), ["prod-eu", "prod-us"]),
        (("env==prod",), ["prod-eu", "prod-us"]),
        (("env=prod,region=eu",), ["prod-eu"]),
        (("env=prod,region!=eu",), ["prod-us"]),
        (("region!=eu",), ["prod-us", "stage"]),
        (("region=eu", "region=us"), ["prod-eu", "prod-us"]),
        (("app.io/tier=low",), ["stage"]),
    ],
)
def test_a_selector_is_a_name_a_pattern_or_labels(selectors: tuple[str, ...], names: list[str]) -> None:
    assert chosen(*selectors) == names


def test_excluded_clusters_are_left_out_of_the_chosen_ones() -> None:
    assert chosen(exclude=("env=prod",)) == ["stage"]
    assert chosen("prod-*", exclude=("prod-us", "stage")) == ["prod-eu"]


@pytest.mark.parametrize(
    ("cluster", "exclude", "said"),
    [
        ("prod-eux", "", '--cluster: unknown cluster "prod-eux" (did you mean "prod-eu"?)'),
        ("x*", "", '--cluster: no cluster matches "x*" (known clusters: prod-eu, prod-us, stage)'),
        ("env=prd", "", '--cluster: no cluster has the labels "env=prd" (did you mean "env=prod"?)'),
        ("env=prod,stage", "", '--cluster: "env=prod,stage" is not a label selector'),
        ("", "stag", '--exclude: unknown cluster "stag" (did you mean "stage"?)'),
        ("", "*", "--exclude: excludes every cluster of the run (leave one of them)"),
    ],
)
def test_a_selector_that_matches_nothing_is_an_error_with_a_near_match(cluster: str, exclude: str, said: str) -> None:
    problems: list[Problem] = []
    select(TARGETS, filter(None, [cluster]), filter(None, [exclude]), problems)
    assert [str(one)[: len(said)] for one in problems] == [said]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Database/a", True),
        ("east:Database/a=b", True),
        ("*/a", True),
        ("east", False),
        ("env=prod", False),
        ("app.io/tier=low", False),
        ("app.io/tier!=low", False),
    ],
)
def test_an_address_is_told_from_a_selector_of_clusters(text: str, expected: bool) -> None:
    assert is_address(text) is expected
