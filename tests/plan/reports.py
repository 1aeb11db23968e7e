"""Reports of applies, as the engine would make them."""

from __future__ import annotations

from collections.abc import Callable

from reconciler.apply.report import ChangeStatus, Outcome, Report
from reconciler.render.report import report_text
from tests.plan.scenarios import destruction, new_shop, updates


def complete() -> str:
    """Everything went well."""
    outcomes = tuple(Outcome(change, ChangeStatus.DONE, seconds=change.number * 1.25) for change in new_shop().changes)
    return report_text(Report(outcomes), go_on="reconciler apply")


def in_part() -> str:
    """One change failed, one was skipped because of it, one was not begun."""
    acl, role, database, user = new_shop().changes
    reason = (
        "POST /v1/roles: 406 name_already_exists: a role of that name exists;\n\x1b[31mrename it, or adopt it by "
        "declaring what it is, and run apply again when that is done"
    )
    outcomes = (
        Outcome(acl, ChangeStatus.DONE, seconds=0.2),
        Outcome(role, ChangeStatus.FAILED, reason),
        Outcome(database, ChangeStatus.SKIPPED, because=(role.number,)),
        Outcome(user, ChangeStatus.NOT_ATTEMPTED, "stopped on request"),
    )
    return report_text(Report(outcomes, interrupted=True), go_on="reconciler apply -f shop.yaml")


def given_up() -> str:
    """A cluster refused the login: nothing was done."""
    outcomes = tuple(Outcome(change, ChangeStatus.NOT_ATTEMPTED) for change in updates().changes)
    return report_text(Report(outcomes, stopped={"": "401: wrong user or password"}), go_on="reconciler apply")


def destroyed() -> str:
    """Replace, delete and forget have words of their own."""
    return report_text(Report(tuple(Outcome(change, ChangeStatus.DONE) for change in destruction().changes)))


REPORTS: dict[str, Callable[[], str]] = {one.__name__: one for one in (complete, in_part, given_up, destroyed)}
