"""Runs of the real pipeline, settings and all, on simulated clusters in this process: what commands do without a shell.

runs = Runs(tmp_path, "dc1", "dc2")
planned, options = runs.plan(MANIFESTS, prune=True)
runs.apply_saved(runs.saved(planned, options))
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from reconciler import reconcile
from reconciler import settings as settings_module
from reconciler.apply.report import Report
from reconciler.client import Client, ClientOptions
from reconciler.commands import saved_plan
from reconciler.manifests import load
from reconciler.plan import Options, Plan, saved_from_json
from reconciler.plan.plan_input import plain_input
from reconciler.reconcile import Planned
from reconciler.render.plan_json import plan_json
from reconciler.runtime import Runtime
from reconciler.session import Session, SessionOverrides
from tests.support.inprocess import InProcess
from tests.support.resources import KINDS
from tests.support.simulation import Simulation

ACCOUNT, PASSWORD = "admin@example.com", "canary-Rk27bbTq-login"


class Runs:
    """Sessions on a simulation; *environ* is the environment of each."""

    def __init__(self, folder: Path, *names: str, environ: Mapping[str, str] | None = None, **settings: Any) -> None:
        self.folder = folder
        self.environ = {"LOGIN": PASSWORD, **(environ or {})}
        self.simulation = Simulation(
            folder / "state", names or ("dc1",), username=ACCOUNT, password=PASSWORD, **settings
        )
        (folder / "manifests").mkdir(parents=True, exist_ok=True)
        lines = ["apiVersion: reconciler/v1", "state: state", "clusters:"]
        login = f"username: {ACCOUNT}, password: {{valueFrom: {{env: LOGIN}}}}, manifests: [manifests]"
        for name, cluster in self.simulation.clusters.items():
            lines.append(f"  - {{name: {name}, urls: {list(cluster.endpoints().urls)}, {login}}}")
        (folder / "reconciler.yaml").write_text("\n".join(lines))

    def session(self, **overrides: Any) -> Session:
        """Return a new session on all clusters, with the ledger of the simulation."""
        settings = settings_module.load(self.folder / "reconciler.yaml", self.environ)
        clock = self.simulation.clock
        runtime = Runtime(now=clock, clock=clock, sleep=clock.sleep, random=random.Random(5))
        own = SessionOverrides(ledger=self.simulation.ledger, connect=self.connect, **overrides)
        return Session(settings, settings.selected, runtime=runtime, overrides=own)

    def connect(self, target: Any, credentials: Any, runtime: Runtime, options: ClientOptions) -> Client:
        clock = self.simulation.clock
        transport = InProcess(self.simulation.clusters[target.name].core, clock)
        runtime = replace(runtime, sleep=clock.sleep, clock=clock, random=random.Random(9))
        return Client(target, credentials, runtime, replace(options, transport=transport))

    def plan(self, manifests: str, *, accept: bool = False, **options: Any) -> tuple[Planned, Options]:
        """Plan *manifests*, which replace those of before; *accept*: as with --restored."""
        (self.folder / "manifests" / "all.yaml").write_text(manifests)
        chosen = Options(**options)
        with self.session() as session:
            if accept:
                session.accept_restored()
            found = load([], KINDS, clusters=session.settings.targets)
            return reconcile.plan(session, found, chosen), chosen

    def apply(self, manifests: str, **options: Any) -> Report:
        """Plan *manifests* and apply that."""
        planned, _ = self.plan(manifests, **options)
        with self.session() as session:
            return reconcile.execute(session, planned.plan, planned.observed, parallelism=1)

    def saved(self, planned: Planned, options: Options) -> bytes:
        """Return the plan file of *planned*."""
        return plan_json(planned.plan, plan_input=plain_input(planned.desired, options))

    def decide_again(self, file: bytes, **options: Any) -> Plan:
        """Return what an apply of the plan *file* would execute; raises what refuses it."""
        with self.session() as session:
            saved = saved_from_json(file, KINDS)
            session.only(saved.plan.clusters)
            return saved_plan.decide_again(session, saved, Options(**options)).plan

    def apply_saved(self, file: bytes, **options: Any) -> Report:
        """Apply the plan *file*."""
        with self.session() as session:
            saved = saved_from_json(file, KINDS)
            session.only(saved.plan.clusters)
            planned = saved_plan.decide_again(session, saved, Options(**options))
            return reconcile.execute(session, planned.plan, planned.observed, parallelism=1)
