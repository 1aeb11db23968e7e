"""What is ours because an earlier revision declared it: by a name that leads to exactly one object of nobody else."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from reconciler.kinds import Kind, load_kinds
from reconciler.model import Address, LiveObject, LiveState, Note, Observed, Owned
from reconciler.plan.adoption import with_inherited
from reconciler.render.reasons import note_text

KINDS = load_kinds()


def state(*objects: LiveObject) -> dict[str, LiveState]:
    kinds = {one.kind for one in objects}
    return {"dc1": LiveState("dc1", {kind: tuple(o for o in objects if o.kind == kind) for kind in kinds})}


def database(uid: int, name: str = "a", **more: object) -> LiveObject:
    return LiveObject("Database", uid, name, {}, **more)  # type: ignore[arg-type]


A = Address("dc1", "Database", "a")


def inherited(
    kinds: Mapping[str, Kind], previous: Iterable[Address], live: Mapping[str, LiveState]
) -> tuple[Mapping[Address, Owned], tuple[Note, ...]]:
    """Return what is owned because it was declared before, and the notes about the rest."""
    found = with_inherited(kinds, previous, Observed(live))
    return found.owned, tuple(note for state in found.live.values() for note in state.notes)


def test_one_object_of_the_name_is_ours() -> None:
    assert inherited(KINDS, [A], state(database(7, created="x"), database(8, "b"))) == (
        {A: Owned(7, "x", {}, inherited=True)},
        (),
    )


def test_what_is_gone_is_nobodys() -> None:
    assert inherited(KINDS, [A], state(database(8, "b"))) == ({}, ())


def test_a_name_that_leads_to_two_is_left_alone() -> None:
    mine, (note,) = inherited(KINDS, [A], state(database(7), database(8)))
    assert mine == {}
    assert "2 live objects have this name (uid 7, 8); none is deleted" in note_text(note)


def test_what_others_manage_is_left_alone() -> None:
    mine, (note,) = inherited(KINDS, [A], state(database(7, owner="a Kubernetes operator")))
    assert mine == {}
    assert note_text(note).endswith("managed by a Kubernetes operator; never changed")
    role = Address("dc1", "Role", "Admin")
    mine, (note,) = inherited(KINDS, [role], state(LiveObject("Role", 1, "Admin", {}, builtin=True)))
    assert mine == {}
    assert note_text(note).endswith("built into the cluster; never changed")


def test_what_the_api_cannot_delete_and_clusters_of_others_are_left_out() -> None:
    fixed = next(kind for kind in KINDS.values() if "delete" not in kind.rest.verbs)
    there = LiveObject(fixed.name, 1, "cluster", {})
    assert inherited(KINDS, [Address("dc1", fixed.name, "cluster")], state(there)) == ({}, ())
    assert inherited(KINDS, [A._replace(cluster="dc2")], state(database(7))) == ({}, ())
