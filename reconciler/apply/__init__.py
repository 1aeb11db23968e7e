"""Executes plans: the only place that writes to clusters."""

from reconciler.apply.execution import ExecutionContext
from reconciler.apply.executor import execute
from reconciler.apply.recovery import recover, unfinished

__all__ = ["ExecutionContext", "execute", "recover", "unfinished"]
