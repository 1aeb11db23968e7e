"""Values of metric labels: bounded sets, so that the number of series is bounded. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from reconciler import errors
from reconciler.plan import Action
from reconciler.render.escape import clean, shorten
from reconciler.web.webhooks import PROVIDERS, DeliveryResult

OTHER: Final = "other"  # for values that are not known
RECIPIENTS: Final = ("webhook", "slack", "github", "gitlab")
SEND_RESULTS: Final = ("sent", "retried", "failed", "dropped")
DELIVERY_RESULTS: Final = tuple(result.value for result in DeliveryResult)

_METHODS: Final = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE"})
_ACTIONS: Final = frozenset(action.name.lower() for action in Action)
_KNOWN: Final = frozenset((*PROVIDERS, *DELIVERY_RESULTS, *RECIPIENTS, *SEND_RESULTS))


def _names(root: type[Exception]) -> Iterator[str]:
    yield root.__name__
    for subclass in root.__subclasses__():
        yield from _names(subclass)


_ERROR_CLASSES: Final = frozenset(_names(errors.ReconcilerError))


def label(text: str) -> str:
    """Return *text* as the value of a label: cleaned and shortened."""
    return shorten(clean(text), 100)


def cluster_label(name: str) -> str:
    """Return the label of a cluster; the one configured by the environment has no name."""
    return label(name) or "default"


def known(text: str) -> str:
    """Return a provider, a recipient or a result."""
    return text if text in _KNOWN else OTHER


def error_class(name: str) -> str:
    """Return the name of an error class."""
    return name if name in _ERROR_CLASSES else OTHER


def method(request: str) -> str:
    """Return the method of a request line such as "GET /v1/bdbs"."""
    found = request.partition(" ")[0]
    return found if found in _METHODS else OTHER


def action(name: str) -> str:
    """Return the name of an action."""
    return name if name in _ACTIONS else OTHER


def status(code: object) -> str:
    """Return an HTTP status; "none" where there was no response."""
    return str(code) if isinstance(code, int) and 100 <= code <= 599 else "none"


def cluster_and_kind(address: str) -> tuple[str, str]:
    """Return cluster and kind of an address as text, `cluster:Kind/name`."""
    before = address.partition("/")[0]
    cluster, colon, kind = before.rpartition(":")
    return (cluster, kind) if colon else ("", before)
