"""Construction of changes, for `decide` and `update`: the body, the consents, the problems."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from reconciler.diff.normalize import hidden_values
from reconciler.errors import Problem
from reconciler.kinds import Kind
from reconciler.kinds.vocabulary import is_value_from
from reconciler.model import Address, LiveObject, Note, Reason
from reconciler.plan.bodies import create_body, top, warnings_of
from reconciler.plan.consent import Consent, ConsentSource
from reconciler.plan.plan import Action, Change, SourceLocation
from reconciler.plan.view import Decision, Invalid, View, problem, warning

if TYPE_CHECKING:
    from reconciler.manifests import Resource


class CreateBody(NamedTuple):
    """The body of a create or a replacement, with its problems and warnings."""

    body: Mapping[str, Any]
    problems: tuple[Problem, ...]
    missing_secrets: tuple[Problem, ...]
    warnings: tuple[Note, ...]


def full_body(view: View, resource: Resource, port: int | None = None) -> CreateBody:
    """Return what a create of *resource* sends; a replacement keeps the *port* of the object that it replaces."""
    address, kind, spec = resource.address, view.kind(resource.address), view.spec(resource)
    problems = tuple(
        problem(resource, ("spec",), f"{name} is required to create a {kind.name}", f"add spec.{name}")
        for name in kind.missing_on_create(spec)
    )
    missing = tuple(missing_secrets(view, resource, spec))
    body = create_body(kind, spec, port if needs_port(kind, spec) else None)
    warnings = tuple(warning(address, Reason.UNUSUALLY_SMALL, *details) for details in warnings_of(kind, body))
    return CreateBody(body, problems, missing, warnings)


def needs_port(kind: Kind, spec: Mapping[str, Any]) -> bool:
    """Return whether the planner has to choose a port: a server rejects a second create with the same one."""
    return "port" in kind.policy.guard and "port" in kind.fields and "port" not in spec


def missing_secrets(view: View, resource: Resource, body: Mapping[str, Any]) -> Iterator[Problem]:
    """Yield a problem for each secret that *body* sends and whose source gives no value."""
    for path, value in hidden_values(view.kind(resource.address), body):
        if is_value_from(value) and view.observed.secrets.get((resource.address, path)) == "missing":
            source = ", ".join(f"{kind} {name}" for kind, name in sorted(value["valueFrom"].items()))
            why = view.observed.unavailable.get((resource.address, path))
            what, hint = (
                (f"{why.path} {why.message}", why.hint) if why else (f"{source} has no value", "set it where this runs")
            )
            message = f"{path} is required to apply this, and {what}"
            yield problem(resource, ("spec", top(path)), message, hint)


def without_value(view: View, address: Address, path: str) -> Note:
    """Return a note that the secret at *path* has no value here, and why."""
    why = view.observed.unavailable.get((address, path))
    text = f"{why.path} {why.message}" if why else "its source has no value here"
    return warning(address, Reason.SECRET_MISSING, path, text)


def change_of(resource: Resource, action: Action, live: LiveObject | None = None, **parts: Any) -> Change:
    """Return a change of what *resource* declares, with its consents, its freeze windows and its source."""
    return Change(
        action,
        resource.address,
        uid=live.uid if live is not None else None,
        created=live.created if live is not None else "",
        consents=tuple(Consent(name, ConsentSource.MANIFEST) for name in resource.allow),
        freeze=resource.freeze if action is not Action.FORGET else (),
        source=SourceLocation(*resource.source),
        **parts,
    )


def checked(
    change: Change, problems: Iterable[Problem], missing: Iterable[Problem], warnings: Iterable[Note] = ()
) -> Decision:
    """Return the decision for *change*, invalid where it has problems."""
    invalid = Invalid(change.address, tuple(problems), tuple(missing), change)
    return Decision(invalid if invalid.problems or invalid.missing_secrets else change, tuple(warnings))
