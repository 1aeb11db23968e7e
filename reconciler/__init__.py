"""Declarative reconciler for Redis Enterprise Software clusters."""

__version__ = "0.1.0"
