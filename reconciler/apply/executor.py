"""Walks the graph of a plan and does what is ready: the only place that writes to clusters.

`reconcile` calls `apply` under the locks of the clusters, and `recover` before it plans. One change that fails skips
what needs it and nothing else; an error that speaks for a whole cluster ends the work there and nowhere else. Must not
know manifests, files or terminals.
"""

from __future__ import annotations

import os
import random as random_module
import threading
import time
from collections.abc import Callable, Mapping

from reconciler import telemetry
from reconciler.api.codec import Reveal
from reconciler.api.protocol import Neighbour
from reconciler.apply.driver import Connection, Means
from reconciler.apply.perform import Site
from reconciler.apply.recovery import unfinished_creates
from reconciler.apply.report import Report
from reconciler.apply.schedule import Schedule
from reconciler.apply.uid_index import Directory
from reconciler.errors import LedgerError
from reconciler.kinds import Kind
from reconciler.ledger import Ledger
from reconciler.model import LiveState
from reconciler.plan import Plan, digest

SETTLE_WINDOW = 120.0  # seconds: twice the longest request


def apply(
    plan: Plan,
    kinds: Mapping[str, Kind],
    clients: Mapping[str, Connection],
    ledger: Ledger,
    reveal: Reveal,
    *,
    live: Mapping[str, LiveState] | None = None,
    parallelism: int = 4,
    settle_window: float = SETTLE_WINDOW,
    revision: str = "",
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], object] = time.sleep,
    random: random_module.Random | None = None,
    random_bytes: Callable[[int], bytes] = os.urandom,
    observe: telemetry.Observer = telemetry.ignore,
    stop: threading.Event | None = None,
    neighbours: Mapping[str, Neighbour] | None = None,
    load: Callable[[str], bytes] | None = None,
) -> Report:
    """Do what *plan* says, and report on every change of it. A failing change is in the report and raises nothing.

    *live* is what the plan was made from, by cluster: it saves listing the kinds that are referred to. *parallelism*
    is the number of writes at a time for each cluster; with 1 everything happens in the calling thread, in the order
    of the plan. *revision* goes into the record of the run. After *stop* is set, calls in flight are finished and
    none is begun. *neighbours* are the clusters of the project, for what stands in several of them; *load* reads a file
    that goes to a cluster.
    """
    chance, end = random or random_module.Random(), stop or threading.Event()
    means = Means(clock, sleep, chance, observe, end, neighbours=neighbours or {})
    if load is not None:
        means.load = load

    def new_id() -> str:
        return random_bytes(16).hex()

    run = new_id()
    directories = {name: Directory(kinds, client, (live or {}).get(name)) for name, client in clients.items()}
    sites = {}
    for name in sorted({change.address.cluster for change in plan.changes}):
        sites[name] = Site(
            name=name,
            clients=clients,
            directories=directories,
            kinds=kinds,
            ledger=ledger,
            owned=ledger.owned(name),
            unfinished=unfinished_creates(ledger, name),
            reveal=reveal,
            new_id=new_id,
            window=settle_window,
            run=run,
            means=means,
        )
    ledger.start_run(run, revision=revision, digest=digest(plan))
    report = Schedule(plan, sites, means, parallelism).walk(run)
    try:
        ledger.finish_run(run, report.counts, report.to_json())
    except LedgerError as error:  # what was done is in the report all the same
        means.tell("run.unrecorded", {"run": run, "why": str(error)})
    return report
