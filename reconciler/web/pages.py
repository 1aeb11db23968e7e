"""The pages as HTML: templates filled with what `views` made. Called by `site`.

Everything printed goes through `clean` and is then escaped, so that a name can neither be markup nor turn the reading
direction. No script, no inline style, no link to elsewhere: the content security policy would stop them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from reconciler.agent.status import ClusterStatus, Status
from reconciler.ledger import Run
from reconciler.render.escape import clean, shorten
from reconciler.web import views
from reconciler.web.ansi import terminal

HERE: Final = Path(__file__).parent
_SOON, _LATER = 2, 15  # seconds until a page loads itself again


def _finalize(value: Any) -> Any:
    return clean(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def path_of(kind: str, name: str) -> str:
    """Return the address of a page about *name*."""
    return f"/{kind}/{quote(views.title(name), safe='', errors='replace')}"


class Pages:
    """Makes pages of what *now* says is the time."""

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

    def fleet(self, status: Status) -> str:
        """Return the page of all clusters."""
        tiles, rows = views.fleet(status, self._now())
        busy = any(row.progress for row in rows)
        return self._page("fleet.html", status, refresh=_SOON if busy else _LATER, tiles=tiles, rows=rows)

    def cluster(self, status: Status, cluster: ClusterStatus, runs: Sequence[Run]) -> str:
        """Return the page of one cluster; *runs* are the latest, of whichever cluster."""
        now = self._now()
        return self._page(
            "cluster.html",
            status,
            refresh=_SOON if cluster.progress else _LATER,
            runs=[views.run_row(run, now) for run in runs],
            drifting=len(cluster.drift),
            frozen=shorten(cluster.frozen, 400),
            why=shorten(cluster.why, 400),
            held=[shorten(one, 400) for one in cluster.held[: views.LONGEST_HELD]],
            held_more=max(0, len(cluster.held) - views.LONGEST_HELD),
            **self._of(cluster, now),
        )

    def plan(self, status: Status, cluster: ClusterStatus) -> str:
        """Return the page of a cluster's plan."""
        now = self._now()
        return self._page("plan.html", status, planned=views.planned(cluster.plan), **self._of(cluster, now))

    def drift(self, status: Status, cluster: ClusterStatus) -> str:
        """Return the page of what differs between a cluster and git."""
        now = self._now()
        found = views.drifts(cluster.drift, now)
        left_out = max(0, len(cluster.drift) - views.LONGEST_DRIFT)
        return self._page("drift.html", status, objects=found, left_out=left_out, **self._of(cluster, now))

    def history(self, status: Status, runs: Sequence[Run]) -> str:
        """Return the page of the latest runs."""
        now = self._now()
        return self._page("history.html", status, runs=[views.run_row(run, now) for run in runs])

    def run(self, status: Status, run: Run) -> str:
        """Return the page of one run."""
        left_out = max(0, len(run.outcomes) - views.LONGEST_RUN)
        row = views.run_row(run, self._now())
        return self._page(
            "run.html", status, run=row, revision=run.revision, steps=list(views.steps(run)), left_out=left_out
        )

    def missing(self, status: Status, what: str) -> str:
        """Return the page that says that there is nothing here."""
        return self._page("missing.html", status, what=what)

    def _of(self, cluster: ClusterStatus, now: float) -> dict[str, Any]:
        return {
            "cluster": cluster,
            "title": views.heading(cluster.name),
            "badge": views.badge(cluster),
            "failure": views.failure(cluster.failure, now),
            "times": [
                ("last success", views.moment(cluster.last_success, now)),
                ("last pass", views.moment(cluster.last_pass, now)),
                ("next pass", views.moment(cluster.next_pass, now)),
            ],
            "took": f"{cluster.seconds:.1f} s" if cluster.last_pass is not None else "",
            "revision": views.short_revision(cluster.revision),
            "summary": views.in_a_line(cluster.plan) if cluster.plan is not None else "",
        }

    def _page(self, template: str, status: Status, refresh: int = 0, **more: Any) -> str:
        now = self._now()
        source = status.source
        return self._environment.get_template(template).render(
            status=status,
            refresh=refresh,
            place=shorten(source.place, 120),
            enforced=views.short_revision(source.revision),
            fetched=views.moment(source.fetched, now),
            rejected=views.short_revision(source.rejected),
            source_failure=views.failure(source.failure, now),
            up=views.span(now - status.started),
            **more,
        )
