"""What holds for every plan, whatever is declared and whatever is live."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reconciler.diff.normalize import canonical, is_blank
from reconciler.errors import InputError
from reconciler.kinds.vocabulary import is_value_from
from reconciler.model import Address, Level
from reconciler.plan import Action, Plan, digest, from_json, stale_fields, to_json
from reconciler.plan.references import references
from tests.plan.worlds import KINDS, SOURCES, Server, World, declared, plan_of, secrets_are, worlds

usual = settings(
    deadline=None, max_examples=80, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)


def planned(world: World, **options: Any) -> Plan:
    return plan_of(world.resources, world.live, secrets=secrets_are("same", world.resources), **options)


@usual
@given(worlds())
def test_after_an_apply_the_plan_is_empty(world: World) -> None:
    server = Server(world.live)
    server.apply(planned(world))
    again = plan_of(world.resources, *server.states(), owned=server.owned, secrets=secrets_are("same", world.resources))
    assert again.changes == ()


@usual
@given(worlds(), st.randoms(use_true_random=False))
def test_the_bytes_do_not_depend_on_the_order_of_anything(world: World, chance: random.Random) -> None:
    def shuffled(items: Any) -> list[Any]:
        return chance.sample(list(items), len(items))

    def mixed(value: Any) -> Any:
        return {name: mixed(value[name]) for name in shuffled(value)} if isinstance(value, dict) else value

    resources = [declared(r.address.kind, r.address.name, mixed(dict(r.spec))) for r in shuffled(world.resources)]
    live = type(world.live)(world.live.cluster, {kind: tuple(world.live.objects[kind]) for kind in shuffled(KINDS)})
    other = World(tuple(resources), live)
    assert to_json(planned(other)) == to_json(planned(world))


@usual
@given(st.sampled_from(sorted(KINDS)), st.data(), st.randoms(use_true_random=False))
def test_the_canonical_form_does_not_depend_on_the_order_of_sets_and_maps(
    kind: str, data: st.DataObject, chance: random.Random
) -> None:
    names = [name for name, field in KINDS[kind].fields.items() if field.form.key is not None]
    name = data.draw(st.sampled_from(names)) if names else None
    for value in SOURCES[kind]["properties"][name].get("examples", ()) if name else ():
        mixed = chance.sample(value, len(value))
        assert canonical(KINDS[kind], {name: mixed}) == canonical(KINDS[kind], {name: value})


@usual
@given(worlds())
def test_whatever_is_referred_to_is_made_first(world: World) -> None:
    plan = planned(world)
    makers = {c.address: c.number for c in plan.changes if c.action in (Action.CREATE, Action.REPLACE)}
    for change in plan.changes:
        assert all(before < change.number for before in change.after)
        for ref in references(KINDS[change.address.kind], change.body):
            maker = makers.get(Address(change.address.cluster, ref.kind, ref.name))
            assert maker is None or maker in change.after


@usual
@given(worlds())
def test_a_plan_reads_back_and_still_holds(world: World) -> None:
    plan = planned(world)
    data = to_json(plan)
    assert from_json(data) == plan
    assert digest(from_json(data)) == digest(plan)
    assert stale_fields(plan, {world.live.cluster: world.live}) == []


@usual
@given(worlds())
def test_an_update_sends_only_declared_fields_and_rests_on_what_is_live(world: World) -> None:
    specs = {resource.address: resource.spec for resource in world.resources}
    live = {(x.kind, x.uid): x for items in world.live.objects.values() for x in items}
    for change in planned(world).changes:
        if change.action is Action.UPDATE and change.uid is not None:
            now = live[change.address.kind, change.uid].spec
            implied = {default.field for default in KINDS[change.address.kind].traits.create_defaults}
            assert change.body.keys() <= specs[change.address].keys() | implied
            assert change.rests_on == {name: now[name] for name in sorted(change.body) if name in now}


@usual
@given(worlds())
def test_no_body_holds_a_secret(world: World) -> None:
    for change in planned(world).changes:
        for name, value in change.body.items():
            if KINDS[change.address.kind].fields[name].access.secret:
                assert is_value_from(value)


@usual
@given(worlds())
def test_tombstones_for_everything_leave_only_what_cannot_go(world: World) -> None:
    objects = [x for items in world.live.objects.values() for x in items]
    graves = [declared(x.kind, x.name, absent=True) for x in objects]
    server = Server(world.live)
    plan = plan_of(graves, world.live)
    assert [note for note in plan.notes if note.level is Level.HELD] == []
    server.apply(plan)
    for (_, kind, _), left in server.objects.items():
        assert "delete" not in KINDS[kind].rest.verbs or is_blank(KINDS[kind], left.spec)


@usual
@given(worlds())
def test_what_leaves_the_manifests_goes_with_prune_or_is_forgotten(world: World) -> None:
    server = Server(world.live)
    server.apply(planned(world))
    other = declared("RedisACL", "stays", {"acl": "+@all ~*"})
    made = [address for address in server.owned if "delete" in KINDS[address.kind].rest.verbs]
    plan = plan_of([other], *server.states(), owned=server.owned, prune=True)
    held = {note.address for note in plan.notes if note.level is Level.HELD}
    server.apply(plan)
    assert server.owned.keys() - held == {other.address}
    for address in set(made) - held:
        gone = address not in {Address(cluster, kind, x.name) for (cluster, kind, _), x in server.objects.items()}
        assert gone != KINDS[address.kind].singleton


@usual
@given(worlds())
def test_nothing_unmanaged_is_touched(world: World) -> None:
    mine = {resource.address for resource in world.resources}
    assert {change.address for change in planned(world).changes} <= mine


def test_the_bytes_do_not_depend_on_the_hash_seed() -> None:
    root = Path(__file__).parents[2]
    digests = {
        subprocess.run(
            [sys.executable, "-m", "tests.plan.digest_of_a_world"],
            env={**os.environ, "PYTHONHASHSEED": seed},
            cwd=root,
            capture_output=True,
            check=True,
        ).stdout
        for seed in ("0", "1", "4242")
    }
    assert len(digests) == 1
    assert len(digests.pop().strip()) == 64


@pytest.mark.parametrize("edit", [(b'"memory_size": 1073741824', b'"memory_size": 1073741825'), (b"create", b"delete")])
def test_an_edited_plan_file_is_refused(edit: tuple[bytes, bytes]) -> None:
    data = to_json(plan_of([declared("Database", "orders", {"memory_size": "1GiB"})]))
    assert edit[0] in data
    with pytest.raises(InputError, match="edited or cut"):
        from_json(data.replace(*edit))


@pytest.mark.parametrize(
    "data", [b"", b"\xff\xfe", b"[]", b"{}", b'{"format": 1}', b'{"format": "reconciler-plan/3"}', b"[" * 100_000]
)
def test_what_is_no_plan_file_is_refused_in_words(data: bytes) -> None:
    with pytest.raises(InputError, match="the plan file"):
        from_json(data)
