"""Desired against live: one form for each value, and what differs. Home of deepdiff.

    normalize  the canonical form of a spec
    forms      which fields need work for that
    compare    field changes between two specs

Pure. Must not know where a spec comes from, nor what is done about a difference.
"""

from reconciler.diff.compare import SECRET, FieldChange, changes, masked

__all__ = ["SECRET", "FieldChange", "changes", "masked"]
