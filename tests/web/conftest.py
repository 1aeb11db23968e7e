"""Which of these tests need what not every machine has."""

from __future__ import annotations

import os

from tests.web.browser import executable

collect_ignore = []
if executable() is None and "chromium" not in os.environ.get("RECONCILER_NEEDS", ""):
    collect_ignore.append("test_browser.py")
