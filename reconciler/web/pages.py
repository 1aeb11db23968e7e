"""The pages as HTML: templates filled with the values of the views. Called by `app`.

Every value goes through `clean` and is then escaped, so that a name can neither be markup nor change the reading
direction. No script, no inline style, no external link: the content security policy would block them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from reconciler.agent.status import AgentStatus, ClusterStatus, Phase
from reconciler.ledger import Run
from reconciler.render.escape import clean, shorten
from reconciler.web import fleet_view, formatting, plan_view, run_view
from reconciler.web.plan_view import terminal

HERE: Final = Path(__file__).parent
_MAX_HELD: Final = 100  # resources
_REFRESH_APPLYING, _REFRESH = 2, 15  # seconds until a page reloads itself


def _finalize(value: Any) -> Any:
    return clean(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def path_of(kind: str, name: str) -> str:
    """Return the path of a page about *name*."""
    return f"/{kind}/{quote(formatting.cluster_name(name), safe='', errors='replace')}"


class Pages:
    """Renders pages; *now* returns the time of day."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._environment = Environment(
            loader=FileSystemLoader(HERE / "templates"),
            autoescape=True,
            undefined=StrictUndefined,
            finalize=_finalize,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._environment.filters["short"] = lambda text: shorten(text, 200)
        self._environment.globals.update(path_of=path_of, terminal=terminal)

    def fleet(self, status: AgentStatus) -> str:
        """Return the page of all clusters."""
        tiles, rows = fleet_view.fleet(status, self._now())
        busy = any(row.progress for row in rows)
        return self._page("fleet.html", status, refresh=_REFRESH_APPLYING if busy else _REFRESH, tiles=tiles, rows=rows)

    def cluster(self, status: AgentStatus, cluster: ClusterStatus, runs: Sequence[Run]) -> str:
        """Return the page of one cluster; *runs* has its last run, if there is one."""
        now = self._now()
        return self._page(
            "cluster.html",
            status,
            refresh=_REFRESH_APPLYING if cluster.progress else _REFRESH,
            runs=[run_view.run_row(run, now) for run in runs],
            drifted=len(cluster.drift),
            phase=cluster.phase.value.replace("_", " "),
            awaiting_approval=cluster.phase is Phase.AWAITING_APPROVAL,
            frozen=shorten(cluster.frozen, formatting.MAX_TEXT),
            why=shorten(cluster.why, formatting.MAX_TEXT),
            held=[shorten(one, formatting.MAX_TEXT) for one in cluster.held[:_MAX_HELD]],
            held_more=max(0, len(cluster.held) - _MAX_HELD),
            **self._of(cluster, now),
        )

    def plan(self, status: AgentStatus, cluster: ClusterStatus) -> str:
        """Return the page of a cluster's plan."""
        now = self._now()
        return self._page("plan.html", status, planned=plan_view.plan_view(cluster.plan), **self._of(cluster, now))

    def drift(self, status: AgentStatus, cluster: ClusterStatus) -> str:
        """Return the page of the drift between a cluster and git."""
        now = self._now()
        found = plan_view.drift_view(cluster.drift, now)
        omitted = max(0, len(cluster.drift) - plan_view.MAX_DRIFT)
        return self._page("drift.html", status, objects=found, omitted=omitted, **self._of(cluster, now))

    def history(self, status: AgentStatus, runs: Sequence[Run]) -> str:
        """Return the page of the latest runs."""
        now = self._now()
        return self._page("history.html", status, runs=[run_view.run_row(run, now) for run in runs])

    def run(self, status: AgentStatus, run: Run) -> str:
        """Return the page of one run."""
        omitted = max(0, len(run.outcomes) - run_view.MAX_OUTCOMES)
        row = run_view.run_row(run, self._now())
        return self._page(
            "run.html", status, run=row, revision=run.revision, changes=list(run_view.run_changes(run)), omitted=omitted
        )

    def missing(self, status: AgentStatus, what: str) -> str:
        """Return the page for an unknown path."""
        return self._page("missing.html", status, what=what)

    def _of(self, cluster: ClusterStatus, now: float) -> dict[str, Any]:
        return {
            "cluster": cluster,
            "title": formatting.cluster_title(cluster.name),
            "badge": fleet_view.badge(cluster),
            "failure": formatting.failure(cluster.failure, now),
            "times": [
                ("last success", formatting.display_time(cluster.last_success, now)),
                ("last reconciliation", formatting.display_time(cluster.last_reconciliation, now)),
                ("next reconciliation", formatting.display_time(cluster.next_reconciliation, now)),
            ],
            "took": f"{cluster.duration:.1f} s" if cluster.last_reconciliation is not None else "",
            "revision": formatting.short_revision(cluster.revision),
            "summary": plan_view.summary_line(cluster.plan).removeprefix("Plan: ") if cluster.plan is not None else "",
        }

    def _page(self, template: str, status: AgentStatus, refresh: int = 0, **more: Any) -> str:
        now = self._now()
        source = status.source
        return self._environment.get_template(template).render(
            status=status,
            refresh=refresh,
            location=shorten(source.location, 120),
            revision_in_force=formatting.short_revision(source.revision),
            fetched=formatting.display_time(source.fetched, now),
            rejected=formatting.short_revision(source.rejected),
            source_failure=formatting.failure(source.failure, now),
            uptime=formatting.duration(now - status.started),
            **more,
        )
