"""What is owned, what was started, what was done: the durable record of every run. Home of sqlite3."""

from reconciler.ledger.agent_state import AgentState, Fact
from reconciler.ledger.ledger import Ledger
from reconciler.ledger.records import Intent, Record, Run

__all__ = ["AgentState", "Fact", "Intent", "Ledger", "Record", "Run"]
