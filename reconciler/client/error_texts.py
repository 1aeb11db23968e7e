"""Error texts: what a server said, and the exception that is raised for it. Pure.

Used by `attempt`, which reads error responses, and `retry_loop`, which raises.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from reconciler.api.protocol import Call
from reconciler.client.retry import RequestOutcome
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

if TYPE_CHECKING:
    from reconciler.client.attempt import AttemptResult


WRONG_PORT = "so this may be another port than that of the REST API, which is 9443 by default"
_OTHER_PORTS = (":80", ":443", ":8080", ":8443")  # of web servers, gateways, and the web interface


class ErrorDetails(NamedTuple):
    """The server's text in an error response, truncated and safe for a terminal."""

    error_code: str = ""
    description: str = ""

    @property
    def text(self) -> str:
        """Both on one line."""
        return ": ".join(filter(None, self))


def error_details(body: Any, redact: Callable[[str], str]) -> ErrorDetails:
    """Return `error_code` and `description` (or `message`) of an error *body*; both are optional.

    Secrets are masked first: a part of one would not be recognized.
    """
    if not isinstance(body, Mapping):
        return ErrorDetails()
    description = body.get("description") or body.get("message") or ""
    code = body.get("error_code")
    return ErrorDetails(
        _printable(redact(code), 80) if isinstance(code, str) else "",
        _printable(redact(description), 300) if isinstance(description, str) else "",
    )


def _printable(text: str, limit: int) -> str:
    """Return *text* on one line, without control or direction characters, at most *limit* long."""
    shown = "".join(letter if letter.isprintable() else " " for letter in text[: limit + 1])
    return shown if len(shown) <= limit else shown[: limit - 1] + "…"


def request_text(call: Call) -> str:
    """Return the method and the path without its query, which may list dozens of field names."""
    return f"{call.method} {call.path.partition('?')[0]}"


def rejected(where: str, result: AttemptResult) -> ClusterError:
    """Return the error for a response that ends a call at once; *where* names the cluster, the request and the node."""
    outcome, why = result.outcome, result.why
    if outcome is RequestOutcome.FORBIDDEN:
        return Forbidden(f"{where}: {_forbidden(why)}")
    if outcome is RequestOutcome.VERSION_UNSUPPORTED:
        return VersionUnsupported(f"{where}: {why}; the server does not support the required API version")
    if outcome in (RequestOutcome.REJECTED, RequestOutcome.NOT_FOUND, RequestOutcome.BUSY):
        error = Busy if outcome is RequestOutcome.BUSY else Rejected
        code, description = result.details
        return error(f"{where}: {why}", status=result.status, error_code=code, description=description)
    return Ambiguous(f"{where}: the outcome is unknown ({why}); it may have taken effect")


def exhausted(what: str, outcome: RequestOutcome, failures: str) -> ClusterError:
    """Return the error for a call that no node served; *failures* has the reason of each node."""
    if outcome in (RequestOutcome.MALFORMED, RequestOutcome.STALE):
        return ReadIncomplete(f"{what}: no node returned a usable response: {failures}")
    found = {port for port in _OTHER_PORTS if f"{port}: " in failures} if WRONG_PORT not in failures else set()
    hint = f" (port {', '.join(sorted(found)).replace(':', '')} is unusual for the REST API; the default is 9443)"
    return Unreachable(f"{what}: no node could serve the request: {failures}{hint if found else ''}")


def unauthorized(where: str, details: ErrorDetails, what_follows: str) -> str:
    """Return the text for a 401; *where* names the cluster and the node."""
    text = f" {details.text}" if details.text else ""
    return f"{where} rejected the credentials (401{text}); {what_follows}"


def _forbidden(why: str) -> str:
    if "licen" in why.lower():
        return f"{why}; the cluster's licence has expired; changes are rejected until a valid one is installed"
    return f"{why}; the account lacks the required permission"
