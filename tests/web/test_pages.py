"""The pages: what they say, and that no text on them can be anything but text."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser
from types import MappingProxyType
from urllib.parse import quote

import pytest

from reconciler.agent.status import AgentStatus
from reconciler.ledger import Run
from reconciler.model import Level, Note, Reason
from reconciler.plan.drift import Ahead
from reconciler.render.text import plan_text, summary
from reconciler.web import fleet_view, formatting, plan_view, run_view
from reconciler.web.pages import Pages, path_of
from reconciler.web.plan_view import terminal
from tests.plan.scenarios import SCENARIOS, new_shop
from tests.web.fake_status import HOSTILE, NOW, OLDER, REVISION, cluster, fleet, hostile, hostile_runs, refused, runs

PAGES = Pages(lambda: NOW)
_VOID = {"meta", "link", "br", "img"}
_TAGS = {
    *("html", "head", "meta", "title", "link", "body", "header", "nav", "a", "p", "span", "code", "time", "main"),
    *("div", "strong", "h1", "h2", "ul", "ol", "li", "table", "thead", "tbody", "tr", "th", "td", "dl", "dt", "dd"),
    *("section", "progress", "pre", "footer"),
}
_ATTRIBUTES = {
    *("lang", "charset", "name", "content", "http-equiv", "rel", "href", "type", "class", "title", "aria-label"),
    *("aria-current", "data-label", "value", "max"),
}


class _Reader(HTMLParser):
    """Reads a page as a browser does, and notes all that is not plain."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.faults: list[str] = []
        self.text: list[str] = []
        self.links: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in _TAGS:
            self.faults.append(f"<{tag}>")
        for name, value in attrs:
            if name not in _ATTRIBUTES:
                self.faults.append(f"<{tag} {name}>")
            if name == "href":
                self.links.append(value or "")
        if tag not in _VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            self.faults.append(f"</{tag}> where it is not open")

    def handle_data(self, data: str) -> None:
        self.text.append(data)

    def handle_comment(self, data: str) -> None:
        self.faults.append("a comment")


def read(page: str) -> _Reader:
    reader = _Reader()
    reader.feed(page)
    reader.close()
    return reader


def every_page(status: AgentStatus, history: tuple[Run, ...]) -> list[str]:
    return [
        PAGES.fleet(status),
        PAGES.history(status, history),
        PAGES.missing(status, "x" if not history else history[0].id),
        *(PAGES.run(status, run) for run in history),
        *(PAGES.cluster(status, one, history) for one in status.clusters.values()),
        *(PAGES.plan(status, one) for one in status.clusters.values()),
        *(PAGES.drift(status, one) for one in status.clusters.values()),
    ]


@pytest.mark.parametrize(
    ("status", "history"),
    [(fleet(), runs()), (refused(fleet()), ()), (hostile(), hostile_runs()), (AgentStatus(NOW, "0"), ())],
    ids=["fleet", "refused", "hostile", "empty"],
)
def test_every_page_is_well_formed_and_made_of_known_parts_only(status: AgentStatus, history: tuple[Run, ...]) -> None:
    for page in every_page(status, history):
        page.encode("utf-8")
        reader = read(page)
        assert reader.faults == []
        assert reader.open == []
        assert [link for link in reader.links if not re.fullmatch(r"/[A-Za-z0-9_.~%/-]*", link)] == []


def test_no_text_turns_the_reading_direction_or_hides() -> None:
    for page in every_page(hostile(), hostile_runs()):
        shown = "".join(read(page).text)
        assert [char for char in shown if char in "\u202e\u2066\u2069\u200b\u200f\x00\x07\x1b"] == []


def test_what_is_hostile_is_shown_as_it_is() -> None:
    shown = "".join(read(PAGES.fleet(hostile())).text)
    for text in ("<script>alert(1)</script>", "{{ 7 * 7 }} {% raw %} ${x} #{y}", "&lt;b&gt; &amp; &#60;script&#62;"):
        assert text in shown
    assert "\\u202egnp.exe" in shown


def test_very_long_texts_are_cut() -> None:
    status = hostile()
    pages = [PAGES.fleet(status), *(PAGES.run(status, run) for run in hostile_runs())]
    for one in status.clusters.values():
        pages += [PAGES.cluster(status, one, hostile_runs()), PAGES.drift(status, one)]
    assert max(map(len, HOSTILE)) == 3000
    assert max(len(text) for page in pages for text in read(page).text) < 2000


def test_a_name_of_a_cluster_leads_to_its_page_whatever_is_in_it() -> None:
    assert path_of("plan", "dc1") == "/plan/dc1"
    assert path_of("plan", "") == "/plan/default"
    assert path_of("plan", "a/../b?c#d\"'<") == "/plan/" + quote("a/../b?c#d\"'<", safe="")


def test_the_fleet_names_each_cluster_with_those_in_trouble_first() -> None:
    tiles, rows = fleet_view.fleet(fleet(), NOW)
    assert [(tile.number, tile.word) for tile in tiles] == [
        (10, "clusters"),
        (1, "in sync"),
        (3, "out of sync"),
        (1, "failing"),
        (1, "in progress"),
        (1, "awaiting approval"),
        (3, "paused"),
    ]
    assert [row.name for row in rows][:3] == ["prod-us", "prod-eu", "prod-asia"]
    assert rows[1].changes == "~2"
    assert rows[0].success == formatting.Moment("1.5 h ago", formatting.moment(NOW - 5400, NOW).exact)  # type: ignore[union-attr]


def test_a_running_apply_is_shown_and_the_page_loads_itself_again_soon() -> None:
    status = fleet()
    page = PAGES.cluster(status, status.clusters["prod-eu"], ())
    assert '<progress value="7" max="19">' in page
    assert "Database/orders" in page
    assert '<meta http-equiv="refresh" content="2">' in page
    assert '<meta http-equiv="refresh" content="2">' in PAGES.fleet(status)
    assert 'content="15"' in PAGES.cluster(status, status.clusters["dev-1"], ())
    assert "refresh" not in PAGES.plan(status, status.clusters["prod-eu"])  # whoever reads is not disturbed


@pytest.mark.parametrize("name", sorted(SCENARIOS))
def test_a_plan_reads_as_in_the_terminal(name: str) -> None:
    plan = SCENARIOS[name]()
    one = cluster("dc1", plan=plan)
    status = AgentStatus(NOW, "1", clusters=MappingProxyType({"dc1": one}))
    page = PAGES.plan(status, one)
    inside = re.search(r'<pre class="terminal">(.*?)</pre>', page, re.DOTALL)
    shown = "".join(read(inside[1]).text) if inside else ""
    assert shown == plan_text(plan, width=100).removesuffix(summary(plan) + "\n").rstrip("\n")
    assert f"<strong>{plan_view.summary_line(plan)}</strong>" in page


def test_colours_become_classes_and_nothing_else() -> None:
    made = terminal("\x1b[32m  +\x1b[0m <b>\n    \x1b[31mgone & away\x1b[0m\x1b[0m")
    assert made == (
        '<span class="line i2"><span class="c32">  +</span> &lt;b&gt;</span>\n'
        '<span class="line i4">    <span class="c31">gone &amp; away</span>\ufffd[0m</span>'
    )


def test_of_a_very_long_plan_the_start_is_shown_and_the_rest_counted() -> None:
    plan = new_shop()
    note = Note(Level.WARNING, plan.changes[0].address, Reason.ABSENT_ESSENTIAL)
    long = replace(plan, changes=plan.changes * 200, notes=(note,) * 501)
    shown = plan_view.plan_view(long)
    assert shown is not None
    assert (shown.summary, shown.omitted) == ("Plan: 800 to create, 0 to update, 0 to delete.", 301)
    assert "and hold" not in shown.text
    assert len(shown.text) < 1_000_000


def test_drift_says_who_when_and_in_which_direction() -> None:
    status = fleet()
    shown = " ".join(" ".join(read(PAGES.drift(status, status.clusters["staging"])).text).split())
    for text in (
        "Database/orders memory_size cluster is ahead cluster 2 GiB (2147483648) git 4 GiB (4294967296)",
        "first seen 2 h ago",
        "bob@shop.example",
        "eviction_policy git is ahead",
        "management diverged",
        "User/anna cluster is ahead applied before, and no longer on the cluster",
    ):
        assert text in shown
    assert {entry.drift.ahead for entry in status.clusters["staging"].drift} == set(Ahead)


def test_what_is_left_alone_and_why_nothing_is_written_is_told() -> None:
    status = fleet()
    assert "Role/Admin: built in" in PAGES.cluster(status, status.clusters["dev-2"], ())
    frozen = PAGES.cluster(status, status.clusters["staging-2"], ())
    assert "Frozen, no changes are applied: window weekend, until Monday 06:00" in frozen


def test_a_cluster_that_was_never_reconciled_is_not_said_to_be_in_sync() -> None:
    new = cluster("new", plan=None, last_success=None)
    status = replace(fleet(), clusters=MappingProxyType({"new": new}))
    assert "Drift is not known yet" in PAGES.drift(status, new)
    assert "not known yet" in PAGES.cluster(status, new, ())
    known = cluster("known")
    assert "No drift: the cluster is in sync with git." in PAGES.drift(status, known)


@pytest.mark.parametrize(
    ("revision", "short"),
    [
        (REVISION, REVISION[:10]),
        (f"sha256:{REVISION}", f"sha256:{REVISION[:10]}"),
        ("v1.4.0", "v1.4.0"),
        ("other:" + "a" * 50, "other:" + "a" * 33 + "…"),
    ],
)
def test_revisions_are_abbreviated(revision: str, short: str) -> None:
    assert formatting.short_revision(revision) == short


def test_the_history_says_who_what_and_which_revision() -> None:
    rows = [run_view.run_row(run, NOW) for run in runs()]
    assert [(row.who, row.revision, row.tone) for row in rows] == [
        ("agent@reconciler-0", REVISION[:10], "busy"),
        ("agent@reconciler-0", REVISION[:10], "bad"),
        ("anna@laptop", OLDER[:10], "good"),
    ]
    page = " ".join(" ".join(read(PAGES.run(fleet(), runs()[1])).text).split())
    assert "+ prod-eu:Role/app failed POST /v1/roles: 406 name_already_exists: rename it, or adopt it" in page
    assert "-/+ prod-eu:Database/orders skipped" in page


def test_a_refused_revision_is_told_on_every_page() -> None:
    status = refused(fleet())
    for page in every_page(status, runs()):
        shown = " ".join("".join(read(page).text).split())
        assert f"Revision {OLDER[:10]} is rejected as a whole; the last accepted revision stays in force." in shown
        assert "base/users.yaml:7:12: spec.roles[1]: there is no Role/ghost" in shown


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(-5, "0 s"), (59, "59 s"), (60, "1 min"), (90, "1.5 min"), (36_000, "10 h"), (86_400 * 40.4, "40 d")],
)
def test_lengths_of_time_read_well(seconds: float, text: str) -> None:
    assert formatting.duration(seconds) == text


def test_times_that_make_no_sense_are_no_error() -> None:
    assert [formatting.moment(at, NOW) is not None for at in (1e300, -1e300, 0.0)] == [True, True, True]
    assert len(HOSTILE) == len(hostile().clusters)
