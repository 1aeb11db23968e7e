"""Selection of resources by `--target` and `--exclude`. The planner calls this; it knows names only."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from fnmatch import fnmatchcase

from reconciler.errors import InputError, Problem
from reconciler.model import Address


def matches(pattern: str, address: Address) -> bool:
    """Return whether *pattern* matches *address*: `[cluster:]Kind/name`, each part may hold `*`, `?` and `[…]`."""
    before, slash, name = pattern.partition("/")
    cluster, colon, kind = before.rpartition(":")
    if not slash:
        return False
    if colon and not fnmatchcase(address.cluster, cluster):
        return False
    return fnmatchcase(address.kind, kind) and fnmatchcase(address.name, name)


def select(
    addresses: Iterable[Address],
    targets: Sequence[str],
    excludes: Sequence[str],
    needs: Callable[[Address], Iterable[Address]],
) -> frozenset[Address] | None:
    """Return the addresses to work on, None for all of them.

    A target brings what it *needs*, and what that needs; an exclude wins over both. Raises InputError for a pattern
    that matches nothing: a typing error must not result in "nothing to do".
    """
    if not targets and not excludes:
        return None
    known = frozenset(addresses)
    problems = [
        Problem(option, 0, 0, "", f"{pattern} matches no resource", "write it as Kind/name, such as Database/sessions")
        for option, patterns in (("--target", targets), ("--exclude", excludes))
        for pattern in patterns
        if not any(matches(pattern, address) for address in known)
    ]
    if problems:
        raise InputError(problems)
    chosen = {address for address in known if not targets or any(matches(pattern, address) for pattern in targets)}
    waiting = sorted(chosen) if targets else []
    while waiting:
        for needed in needs(waiting.pop()):
            if needed in known and needed not in chosen:
                chosen.add(needed)
                waiting.append(needed)
    return frozenset(a for a in chosen if not any(matches(pattern, a) for pattern in excludes))
