"""Whether each declared secret is the one that was last applied, by the digests in the ledger.

Used by `reconcile` before it plans, because the API never returns secrets. It must not know how the ledger stores them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from reconciler.diff import normalize
from reconciler.errors import Problem, SecretMissing
from reconciler.kinds import Kind
from reconciler.kinds.vocabulary import is_value_from
from reconciler.model import Address
from reconciler.plan.copies import copies

if TYPE_CHECKING:
    from reconciler.manifests import Resource
    from reconciler.secrets import Secret


class AppliedSecrets(Protocol):
    """What the ledger knows of secrets that were applied."""

    def secret_status(self, address: Address, path: str, secret: Secret) -> str: ...

    def knows_set(self, address: Address, field: str) -> bool: ...

    def set_statuses(self, address: Address, field: str, secrets: Mapping[str, Secret]) -> dict[str, str]: ...


def secret_statuses(
    kinds: Mapping[str, Kind],
    resources: Sequence[Resource],
    reveal: Callable[[Mapping[str, Any]], Secret],
    ledger: AppliedSecrets | None,
    unavailable: dict[tuple[Address, str], Problem] | None = None,
) -> dict[tuple[Address, str], str]:
    """Return the status of each declared secret, by address and path, compared with the digest in the ledger.

    "same", "changed", "unknown" (never applied) or "missing" (no value); for a set of secrets also "gone" at `name[]`
    where one is no longer declared. *unavailable* gets the reason of each missing one.
    """
    statuses = {}
    for resource in resources:
        kind, old = kinds[resource.address.kind], resource.renamed_from
        sets: dict[str, dict[str, Secret]] = {}
        for path, value in normalize.hidden_values(kind, resource.spec):
            if not is_value_from(value):
                continue
            try:
                secret = reveal(value["valueFrom"])
            except SecretMissing as error:
                statuses[resource.address, path] = "missing"
                if unavailable is not None:
                    unavailable[resource.address, path] = error.problems[0]
                continue
            name = path.partition("[")[0]
            if name in kind.fields and kind.fields[name].lists_secrets:
                sets.setdefault(name, {})[path] = secret
                continue
            status = ledger.secret_status(resource.address, path, secret) if ledger else "unknown"
            if ledger and status == "unknown" and old:
                status = ledger.secret_status(resource.address._replace(name=old), path, secret)
            statuses[resource.address, path] = status
        for name, members in sets.items():
            where = resource.address
            if ledger and old and not ledger.knows_set(where, name):
                where = where._replace(name=old)
            found = ledger.set_statuses(where, name, members) if ledger else dict.fromkeys(members, "unknown")
            complete = all((resource.address, path) not in statuses for path in _paths(resource.spec[name], name))
            statuses.update({(resource.address, path): s for path, s in found.items() if complete or s != "gone"})
    statuses.update(_copied(kinds, resources, statuses))
    return statuses


def _copied(
    kinds: Mapping[str, Kind], resources: Sequence[Resource], statuses: Mapping[tuple[Address, str], str]
) -> Iterator[tuple[tuple[Address, str], str]]:
    """Yield the status of each copy of another object's secret that was never recorded: as that secret changed."""
    declared = {resource.address: resource.spec for resource in resources}
    for resource in resources:
        for copy in copies(kinds[resource.address.kind], resource.spec, resource.address.cluster):
            for name, field in copy.reference.copies:
                place, original = (resource.address, f"{copy.path}.{name}"), declared.get(copy.target, {}).get(field)
                if statuses.get(place) == "unknown" and copy.holder.get(name) == original:
                    yield place, "changed" if statuses.get((copy.target, field)) == "changed" else "same"


def _paths(items: Sequence[Any], name: str) -> list[str]:
    return [f"{name}[{index}]" for index in range(len(items))]
