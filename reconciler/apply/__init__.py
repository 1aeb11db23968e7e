"""Executes a plan: the only place that writes to clusters."""

from reconciler.apply.driver import Connection
from reconciler.apply.executor import SETTLE_WINDOW, apply
from reconciler.apply.recovery import recover, unfinished_creates

__all__ = ["SETTLE_WINDOW", "Connection", "apply", "recover", "unfinished_creates"]
