"""The ledger: owned resources, intents and runs, durable across restarts. Home of sqlite3.

ledger       Ledger: the interface for everything else
records      the values in it
agent_state  what the agent keeps across restarts
logins       Logins: which credentials were rejected and must not be sent again
login_table  the rows of rejected logins, and the locks for verifying one
sqlite       the SQLite file
state_dir    the private folder around it: checks, key, locks
"""

from reconciler.ledger.agent_state import AgentState, Fact
from reconciler.ledger.ledger import Ledger
from reconciler.ledger.logins import LoginRecord, Logins
from reconciler.ledger.records import Intent, Record, Run

__all__ = ["AgentState", "Fact", "Intent", "Ledger", "LoginRecord", "Logins", "Record", "Run"]
