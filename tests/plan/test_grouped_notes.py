"""What many clusters or objects have in common is said once."""

from __future__ import annotations

from reconciler.model import Address, Level, Note, Reason
from reconciler.plan import Plan
from reconciler.render.markdown import plan_markdown
from reconciler.render.text import plan_text

CLUSTERS = tuple(f"c{number:02}" for number in range(25))


def test_a_warning_of_25_clusters_is_one_line() -> None:
    notes = tuple(
        Note(Level.WARNING, address, Reason.SECRET_UNKNOWN, ("password", str(address)))
        for address in (Address(cluster, "User", "ana") for cluster in CLUSTERS)
    )
    text = " ".join(plan_text(Plan((), notes, clusters=CLUSTERS), width=1_000).split())
    assert f"! User/ana on 25 clusters ({', '.join(CLUSTERS)}): password cannot be compared" in text
    assert text.count("cannot be compared") == 1
    assert "--resend-secret User/ana" in text
    assert plan_markdown(Plan((), notes, clusters=CLUSTERS)).count("cannot be compared") == 1


def test_different_warnings_of_clusters_stay_apart() -> None:
    notes = tuple(
        Note(Level.WARNING, Address(cluster, "Database", "a"), Reason.UNUSUALLY_SMALL, ("memory_size", size, "1 MiB"))
        for cluster, size in (("c00", "1 KiB"), ("c01", "2 KiB"))
    )
    text = plan_text(Plan((), notes, clusters=("c00", "c01")))
    assert "! c00:Database/a: memory_size is only 1 KiB" in text
    assert "! c01:Database/a: memory_size is only 2 KiB" in text


def test_objects_that_are_no_longer_declared_are_one_line() -> None:
    addresses = [Address("c00", "Role", f"r{number}") for number in range(40)]
    notes = tuple(Note(Level.WARNING, address, Reason.WOULD_PRUNE, ("delete",)) for address in addresses)
    text = plan_text(Plan((), notes, clusters=("c00",)), width=200)
    assert (
        "! 40 objects (Role/r0, Role/r1, Role/r2, …): owned and no longer declared; `reconciler apply --prune`" in text
    )
    assert text.count("no longer declared") == 1
    alone = plan_text(Plan((), notes[:1], clusters=("c00",)), width=200)
    assert "! Role/r0: owned and no longer declared" in alone
