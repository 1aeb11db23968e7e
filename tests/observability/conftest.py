"""Which of these tests need what not every machine has."""

from __future__ import annotations

from tests.support.programs import without

collect_ignore = without({"test_promtool.py": ("promtool",)})
