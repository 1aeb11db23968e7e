"""Plans and reports as they read: a file a scenario in `golden/`, rewritten by `python -m tests.plan.update_golden`."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from reconciler.apply.recorder import PlannedCall, PlannedCalls
from reconciler.render.markdown import plan_markdown
from reconciler.render.text import plan_text
from tests.plan.reports import REPORTS
from tests.plan.scenarios import SCENARIOS

GOLDEN = Path(__file__).parent / "golden"
FIELDS = ("avoid_nodes", "backup_interval", "eviction_policy", "memory_size", "proxy_policy", "roles_permissions")
CALLS = {
    1: PlannedCalls((PlannedCall("PUT", "/v1/bdbs/5", FIELDS), PlannedCall("POST", "/v1/x", (), "west"))),
    2: PlannedCalls((), "not known in advance: it depends on the response to GET /v1/nodes\x1b[2J"),
}


def texts() -> dict[str, str]:
    """Return every golden text by file name."""
    found = {f"{name}.txt": plan_text(make(), 100) for name, make in SCENARIOS.items()}
    found |= {f"report_{name}.txt": make() for name, make in REPORTS.items()}
    found["calls.txt"] = plan_text(SCENARIOS["updates"](), 100, calls=CALLS)
    found["calls.md"] = plan_markdown(SCENARIOS["updates"](), CALLS)
    found["updates.md"] = plan_markdown(SCENARIOS["updates"]())
    found["two_clusters.md"] = plan_markdown(SCENARIOS["two_clusters"]())
    found["destruction.md"] = plan_markdown(SCENARIOS["destruction"]())
    return found


def test_there_is_a_golden_file_for_each_text_and_no_other() -> None:
    assert sorted(path.name for path in GOLDEN.iterdir()) == sorted(texts())


@pytest.mark.parametrize("name", sorted(texts()))
def test_it_reads_as_it_did(name: str) -> None:
    assert texts()[name] == (GOLDEN / name).read_text(encoding="utf-8")


@pytest.mark.parametrize("name", sorted(SCENARIOS))
@pytest.mark.parametrize("width", [60, 100, 140])
def test_no_line_is_wider_than_the_terminal_and_nothing_moves_the_cursor(name: str, width: int) -> None:
    text = plan_text(SCENARIOS[name](), width).removesuffix("\n")
    details = text.rpartition("\n\n")[0]  # the summary stays as it is: bots look for it
    assert [line for line in details.split("\n") if len(line) > width] == []
    assert [line for line in text.split("\n") if not line.isprintable()] == []


@pytest.mark.parametrize("name", sorted(SCENARIOS))
def test_a_narrow_terminal_gets_no_empty_lines_and_a_tiny_one_what_a_narrow_one_gets(name: str) -> None:
    text = plan_text(SCENARIOS[name](), 40)
    assert [line for line in text.split("\n") if line and not line.strip()] == []
    assert plan_text(SCENARIOS[name](), 10) == text


@pytest.mark.parametrize("name", sorted(SCENARIOS))
def test_colour_changes_nothing_but_colour(name: str) -> None:
    plan = SCENARIOS[name]()
    assert re.sub(r"\x1b\[\d+m", "", plan_text(plan, 100, color=True)) == plan_text(plan, 100)
