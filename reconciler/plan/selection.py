"""Options that name resources: what they name, and the selection by `--target` and `--exclude`.

An option names one object as `cluster:Kind/name`, or as `Kind/name` that object on every cluster of the run. The
planner selects with this, and the commands check all options of a run at once; it knows names only.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from difflib import get_close_matches
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, NamedTuple

from reconciler.errors import Problem
from reconciler.model import Address
from reconciler.plan.view import names_of

if TYPE_CHECKING:
    from reconciler.plan.plan import Options

CONSENT_OPTIONS = ("--allow-destroy", "--allow-impact", "--ignore-freeze")
_MOST_COMPARED = 5_000  # names; more would take seconds


class Named(NamedTuple):
    """An option, and what it names."""

    option: str  # as it is written
    name: str  # an address, or for `--target` and `--exclude` a pattern
    found: tuple[Address, ...]


def matches(pattern: str, address: Address) -> bool:
    """Return whether *pattern* matches *address*: `[cluster:]Kind/name`, each part may hold `*`, `?` and `[…]`."""
    before, slash, name = pattern.partition("/")
    cluster, colon, kind = before.rpartition(":")
    if not slash:
        return False
    if colon and not fnmatchcase(address.cluster, cluster):
        return False
    return fnmatchcase(address.kind, kind) and fnmatchcase(address.name, name)


def named(options: Options, known: Iterable[Address]) -> Iterator[Named]:
    """Yield what each option that names resources names among the *known* ones."""
    known = sorted(known)
    by_name: dict[str, list[Address]] = {}
    for address in known:
        for name in names_of(address):
            by_name.setdefault(name, []).append(address)
    for option, patterns in (("--target", options.targets), ("--exclude", options.excludes)):
        for pattern in patterns:
            yield Named(option, pattern, tuple(address for address in known if matches(pattern, address)))
    exact = {
        CONSENT_OPTIONS[0]: options.allow_destroy,
        CONSENT_OPTIONS[1]: {name for name, _ in options.allow_impact},
        CONSENT_OPTIONS[2]: options.ignore_freeze,
        "--replace": options.replace,
        "--adopt": options.adopt,
        "--resend-secret": options.resend_secrets,
    }
    for option, names in exact.items():
        for name in sorted(names):
            yield Named(option, name, tuple(by_name.get(name, ())))


def unknown_names(options: Options, known: Collection[Address]) -> list[Problem]:
    """Return a problem for each option that names nothing: a typing error must not result in "nothing to do"."""
    return [
        Problem(one.option, 0, 0, "", f"{one.name} matches no resource", _hint(one.name, known))
        for one in named(options, known)
        if not one.found
    ]


def on_several_clusters(options: Options, known: Iterable[Address]) -> Iterator[Named]:
    """Yield the options that name an object without its cluster, where several clusters have it."""
    for one in named(options, known):
        with_cluster = ":" in one.name.partition("/")[0]
        if not with_cluster and len({address.cluster for address in one.found}) > 1:
            yield one


def _hint(name: str, known: Collection[Address]) -> str:
    if "/" in name and len(known) <= _MOST_COMPARED:
        forms = sorted({form for address in known for form in names_of(address)})
        if near := get_close_matches(name, forms, 1):
            return f"did you mean {near[0]}?"
    return "write it as Kind/name, such as Database/sessions"


def select(
    addresses: Iterable[Address],
    targets: Sequence[str],
    excludes: Sequence[str],
    needs: Callable[[Address], Iterable[Address]],
) -> frozenset[Address] | None:
    """Return the addresses to work on, None for all of them.

    A target brings what it *needs*, and what that needs; an exclude wins over both.
    """
    if not targets and not excludes:
        return None
    known = frozenset(addresses)
    chosen = {address for address in known if not targets or any(matches(pattern, address) for pattern in targets)}
    waiting = sorted(chosen) if targets else []
    while waiting:
        for needed in needs(waiting.pop()):
            if needed in known and needed not in chosen:
                chosen.add(needed)
                waiting.append(needed)
    return frozenset(a for a in chosen if not any(matches(pattern, a) for pattern in excludes))
