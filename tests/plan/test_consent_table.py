"""Every field whose change needs consent × no consent, by flag, in git, in git beyond the limit.

Fields and their impacts come from the kind files, and so do the values: a new field is a new row.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import permutations
from typing import Any, NamedTuple

import pytest

from reconciler.errors import ImpactRefused, ReconcilerError
from reconciler.kinds import Field
from reconciler.kinds.vocabulary import CONSENT
from reconciler.plan import Change, Options, Plan
from reconciler.plan.references import references
from reconciler.reconcile import check
from tests.kinds.facts import of_fields, of_kinds
from tests.kinds.samples import name_of, values_of
from tests.plan.worlds import KINDS, SOURCES, declared, found, plan_of, state

LEAST: Mapping[str, Mapping[str, Any]] = of_kinds("least")
NEEDS: Mapping[tuple[str, str], Mapping[str, Any]] = of_fields("beside")


class Row(NamedTuple):
    """A field of a kind whose change has an impact that needs consent."""

    kind: str
    path: tuple[str, ...]  # property names; "[]" for the items of a list
    impact: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind}.{'.'.join(self.path)}-{self.impact}"


def rows() -> Iterator[Row]:
    for kind in KINDS.values():
        for path, field in _fields(kind.fields):
            for impact in field.change.impacts:
                if impact.impact in CONSENT:
                    yield Row(kind.name, path, impact.impact, (*impact.names, name_of(kind))[0])


def _fields(fields: Mapping[str, Field], path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Field]]:
    for name, field in fields.items():
        yield (*path, name), field
        yield from _fields(field.properties, (*path, name))
        if field.items is not None:
            yield from _fields(field.items.properties, (*path, name, "[]"))


def specs(row: Row) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Yield specs (before, after) that differ in the field of *row* only."""
    schema: Any = SOURCES[row.kind]
    for step in row.path:
        schema = schema["items"] if step == "[]" else schema["properties"][step]
    values = values_of(schema)
    for before, after in [*permutations(values, 2), *((None, value) for value in values)]:
        yield _put(row, row.path, before), _put(row, row.path, after)


def _put(row: Row, path: tuple[str, ...], value: Any) -> dict[str, Any]:
    name, *rest = path
    if not rest:
        return {} if value is None else {name: value}
    if rest[0] == "[]":
        return {name: [{"cluster": "dc1", **_put(row, tuple(rest[1:]), value)}]}
    return {name: _put(row, tuple(rest), value)}


def planned(row: Row, **options: Any) -> tuple[Plan, Change]:
    """Return a plan whose change has the impact of *row*."""
    option_of = KINDS[row.kind].fields[row.path[0]].access.option_of
    beside = [{}, {}] if not option_of else [{option_of[0]: value} for value in ("7.4", "8.2")]
    least = {**LEAST.get(row.kind, {}), **NEEDS.get((row.kind, row.path[0]), {})}
    allow = options.pop("allow", ())
    for before, after in specs(row):
        mine = found(row.kind, 1, row.name, {**least, **({} if option_of else before), **beside[0]})
        wanted = declared(row.kind, row.name, {**least, **after, **beside[1]}, cluster="dc1", allow=allow)
        others = {ref for ref in references(KINDS[row.kind], wanted.spec) if ref.kind != row.kind}
        there = state(
            mine, *(found(ref.kind, number, ref.name) for number, ref in enumerate(sorted(others), 2)), cluster="dc1"
        )
        try:
            plan = plan_of([wanted], there, resend_secrets=frozenset({str(wanted.address)}), **options)
        except ReconcilerError:
            continue
        for change in plan.changes:
            if row.impact in {one.impact for one in change.impacts}:
                return plan, change
    raise AssertionError(f"no two values of {row} give a change with this impact: add examples to the kind file")


ROWS = list(dict.fromkeys(rows()))


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_consent_to_a_field_is_by_flag_or_in_git_within_the_limit(row: Row) -> None:
    plan, change = planned(row)
    assert row.impact in change.unconsented
    with pytest.raises(ImpactRefused, match=row.impact):
        check(plan, Options())

    flag = frozenset({(str(change.address), name) for name in change.unconsented})
    check(plan, Options(allow_impact=flag))
    assert planned(row, allow_impact=flag)[1].unconsented == ()
    with pytest.raises(ImpactRefused):
        check(plan, Options(allow_impact=frozenset({(f"dc1:{row.kind}/other", row.impact)})))

    in_git, agreed = planned(row, allow=CONSENT)
    assert agreed.unconsented == ()
    check(in_git, Options())
    with pytest.raises(ImpactRefused, match=f"add {row.impact} to allowedImpacts in the project file"):
        check(in_git, Options(allowed_impacts={"dc1": ()}))
    assert planned(row, allow=CONSENT, allowed_impacts={"dc1": ()})[1].consented_beyond_limit
