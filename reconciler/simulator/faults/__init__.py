"""Injected faults: rules that match calls, and incidents that affect a whole cluster."""
