"""What is raised when a call cannot be done, and its text: where, what, and what helps. Pure."""

from __future__ import annotations

from reconciler.api.protocol import Call
from reconciler.client.retry import ErrorDetails, RequestOutcome
from reconciler.errors import (
    Ambiguous,
    Busy,
    ClusterError,
    Forbidden,
    ReadIncomplete,
    Rejected,
    Unreachable,
    VersionUnsupported,
)


def request_text(call: Call) -> str:
    """Return the method and the path without its query, which lists field names by the dozen."""
    return f"{call.method} {call.path.partition('?')[0]}"


def refusal(where: str, outcome: RequestOutcome, why: str, status: int, details: ErrorDetails) -> ClusterError:
    """Return the error for an answer that ends a call at once; *where* names the cluster, the request and the node."""
    if outcome is RequestOutcome.FORBIDDEN:
        return Forbidden(f"{where}: {_forbidden(why)}")
    if outcome is RequestOutcome.VERSION_UNSUPPORTED:
        return VersionUnsupported(f"{where}: {why}; this server does not speak the API version that we need")
    if outcome in (RequestOutcome.REJECTED, RequestOutcome.NOT_FOUND, RequestOutcome.BUSY):
        kind = Busy if outcome is RequestOutcome.BUSY else Rejected
        return kind(f"{where}: {why}", status=status, error_code=details.error_code, description=details.text)
    return Ambiguous(f"{where}: the outcome is unknown ({why}); it may have taken effect")


def given_up(what: str, outcome: RequestOutcome, failures: str) -> ClusterError:
    """Return the error for a call that no node served; *failures* has the reason of each node."""
    if outcome in (RequestOutcome.MALFORMED, RequestOutcome.STALE):
        return ReadIncomplete(f"{what}: no node gave an answer that can be used: {failures}")
    return Unreachable(f"{what}: no node could serve it: {failures}")


def unauthorized(where: str, details: ErrorDetails) -> str:
    """Return the text for a refused login."""
    words = ": ".join(filter(None, details))
    return (
        f"{where} refused the user name or the password (401{' ' + words if words else ''}); "
        "tried once only, since five failures lock the account"
    )


def _forbidden(why: str) -> str:
    if "licen" in why.lower():
        return f"{why}; the cluster's licence has lapsed: it takes no change until a valid one is installed"
    return f"{why}; the account lacks the permission for this"
