"""The topics of what the agent remembers in the ledger: one word each, for those who write and those who read."""

from __future__ import annotations

from typing import Final

PLANNED: Final = "planned"  # digests of plans that wait for an approval
APPROVED: Final = "approved"  # digests that somebody approved
DRIFT: Final = "drift"  # since when something differs
FLIPPED: Final = "flipped"  # when something was put right that others had changed
REFUSED_LOGIN: Final = "refused-login"
