"""Which of these tests need what not every machine has."""

from __future__ import annotations

import os
import shutil

collect_ignore = []
if shutil.which("promtool") is None and "promtool" not in os.environ.get("RECONCILER_NEEDS", ""):
    collect_ignore.append("test_promtool.py")
