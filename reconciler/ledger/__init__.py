"""What is owned, what was started, what was done: the durable record of every run. Home of sqlite3."""

from reconciler.ledger.ledger import Ledger
from reconciler.ledger.memory import Fact, Memory
from reconciler.ledger.records import Intent, Record, Run

__all__ = ["Fact", "Intent", "Ledger", "Memory", "Record", "Run"]
