"""Notifies people and forges when the state of a cluster or the source gets worse or better; once, and rate-limited.

    transitions  which notifications are due, given the status and what was sent before (pure)
    payloads     notifications as bytes for each kind of recipient (pure)
    notifier     polls the status, decides, sends; threads of its own

`commands.run` enters `notifying` around the loop. It knows nothing of how clusters are reconciled, and no recipient
ever delays a reconciliation.
"""

from reconciler.notify.notifier import notifying

__all__ = ["notifying"]
