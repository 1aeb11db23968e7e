"""Consent: which changes need it, who gave it, and what is missing. Pure.

A change needs consent to each class of impact of `vocabulary.CONSENT` that it has. A person gives it by a flag for one
plan; a manifest gives it by `metadata.allow`, as far as the operator of the cluster lets manifests consent.
"""

from __future__ import annotations

import enum
from collections.abc import Collection, Iterable
from typing import Final, NamedTuple

from reconciler.kinds.vocabulary import CONSENT
from reconciler.plan.impacts import LOSES, RANK, Impacted

DESTROY: Final = "destroy"  # --allow-destroy: to the loss of the object itself
FREEZE: Final = "freeze"  # --ignore-freeze: to a change in a freeze window of the object's manifest
_COVERS: Final = {LOSES: "may-lose-data"}  # consent to a loss includes consent to the risk of it


class ConsentSource(enum.Enum):
    """Who consents, and whether it counts."""

    FLAG = "flag"
    MANIFEST = "manifest"
    BEYOND_LIMIT = "manifest-beyond-limit"  # does not count: the operator does not let manifests consent to it


class Consent(NamedTuple):
    """A consent to one change."""

    to: str  # a class of `vocabulary.CONSENT`, DESTROY or FREEZE
    source: ConsentSource


def missing(impacts: Iterable[Impacted], given: Iterable[str], *, protected: bool = False) -> tuple[str, ...]:
    """Return what of a change needs consent that is not *given*, the worst first.

    DESTROY covers the loss of the object itself, and nothing else; consent to a loss covers the risk of it.
    """
    given, impacts = _with_covered(given), list(impacts)
    if protected or DESTROY in given:
        impacts = [one for one in impacts if not is_destruction(one)]
    asked = {one.impact for one in impacts if one.impact in CONSENT} | ({DESTROY} if protected else set())
    asked -= given
    asked -= {_COVERS[name] for name in asked if name in _COVERS}
    return tuple(sorted(asked, key=_severity))


def is_destruction(one: Impacted) -> bool:
    """Return whether the object itself is lost, and not only what one of its fields keeps."""
    return one.impact == LOSES and not one.field


def concerns(to: str, impacts: Iterable[Impacted], *, protected: bool = False) -> bool:
    """Return whether a consent to *to* is about what a change with these *impacts* does."""
    if to == DESTROY:
        return protected or any(map(is_destruction, impacts))
    return any(one.impact in (to, _COVERS.get(to)) for one in impacts)


def by_manifest(classes: Iterable[str], limit: Collection[str]) -> frozenset[Consent]:
    """Return the consents of a manifest that allows *classes*; those outside *limit* do not count."""
    limit = _with_covered(limit)
    return frozenset(
        Consent(name, ConsentSource.MANIFEST if name in limit else ConsentSource.BEYOND_LIMIT)
        for name in _with_covered(classes)
    )


def _with_covered(classes: Iterable[str]) -> frozenset[str]:
    found = frozenset(classes)
    return found | {_COVERS[name] for name in found if name in _COVERS}


def _severity(name: str) -> tuple[int, str]:
    return -RANK.get(name, len(RANK)), name
