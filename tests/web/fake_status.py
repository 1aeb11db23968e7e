"""Status stores full of things to show: plans by the real planner, drift, failures, runs; also hostile text."""

from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType
from typing import Any

from reconciler.agent.status import (
    AgentStatus,
    ApplyProgress,
    ClusterStatus,
    DriftEntry,
    Failure,
    Phase,
    SourceStatus,
    StatusStore,
)
from reconciler.ledger import Run
from reconciler.model import Address, Level, Note, Reason
from reconciler.plan import Plan, digest
from reconciler.plan.drift import Ahead, Drift
from tests.plan.scenarios import destruction, held, long_values, new_shop, nothing, updates

NOW = 1_790_000_000.0
REVISION = "8f14e45fceea167a5a36dedd4bea2543c5f3a1d0"
OLDER = "1b6453892473a467d07372d45eb05abc2031647a"

HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "' onmouseover='alert(1)",
    "javascript:alert(1)",
    "</title></style><svg onload=alert(1)>",
    "{{ 7 * 7 }} {% raw %} ${x} #{y}",
    "\u202egnp.exe \u2066hidden\u2069 \u200b\u200f",
    "line\none\r\ntwo\ttab\x00nul\x1b[31mred\x1b]0;title\x07",
    "&lt;b&gt; &amp; &#60;script&#62;",
    "\ud800 lone surrogate",
    "x" * 3000,
    "ünïcödé 数据库 🗄️",
    "../../etc/passwd?x=1#y",
)


def cluster(name: str, **more: Any) -> ClusterStatus:
    """Return a cluster that is as declared, but for *more*."""
    usual: dict[str, Any] = {
        "mode": "apply",
        "revision": REVISION,
        "last_reconciliation": NOW - 40,
        "last_success": NOW - 40,
        "next_reconciliation": NOW + 260,
        "duration": 1.42,
        "plan": nothing(),
        "declared": 24,
    }
    return ClusterStatus(name, **{**usual, **more})


def planned(plan: Plan) -> dict[str, Any]:
    return {"plan": plan, "plan_digest": digest(plan)}


def drifted(cluster: str = "") -> tuple[DriftEntry, ...]:
    orders, anna = Address(cluster, "Database", "orders"), Address(cluster, "User", "anna")
    return (
        DriftEntry(
            Drift(orders, "memory_size", Ahead.CLUSTER, Reason.CHANGED_OUTSIDE, live=2 << 30, declared=4 << 30),
            NOW - 7200,
            "bob@shop.example",
        ),
        DriftEntry(
            Drift(
                orders,
                "eviction_policy",
                Ahead.MANIFESTS,
                Reason.DECLARED_CHANGED,
                live="noeviction",
                declared="allkeys-lru",
            ),
            NOW - 120,
        ),
        DriftEntry(Drift(anna, "", Ahead.CLUSTER, Reason.REMOVED_OUTSIDE), NOW - 90_000, "carol"),
        DriftEntry(
            Drift(
                Address(cluster, "Role", "app"),
                "management",
                Ahead.BOTH,
                Reason.CHANGED_BOTH,
                live="admin",
                declared="none",
            ),
            NOW - 600,
        ),
    )


def failure(kind: str = "Unreachable", count: int = 4) -> Failure:
    text = (
        "prod-us: GET /v1/nodes: no node gave a usable answer\n"
        "https://redis-1.us.shop.example:9443: connection refused\n"
        "https://redis-2.us.shop.example:9443: no answer in time"
    )
    return Failure(kind, text, NOW - 95, count)


def fleet() -> AgentStatus:
    """Return an agent with a cluster in every state."""
    clusters = [
        cluster(
            "prod-eu",
            phase=Phase.APPLYING,
            progress=ApplyProgress(7, 19, "Database/orders"),
            **planned(updates()),
            last_run="r2",
        ),
        cluster(
            "prod-us", phase=Phase.FAILING, failure=failure(), revision=OLDER, last_success=NOW - 5400, plan=updates()
        ),
        cluster("prod-asia", phase=Phase.AWAITING_APPROVAL, mode="plan", **planned(destruction())),
        cluster("staging", drift=drifted("staging"), **planned(updates()), mode="observe"),
        cluster("staging-2", phase=Phase.FROZEN, frozen="window weekend, until Monday 06:00", **planned(new_shop())),
        cluster("dev-1", last_run="r1"),
        cluster("dev-2", plan=held(), held=("Role/twin: 2 live objects are called so", "Role/Admin: built in")),
        cluster("dev-3", phase=Phase.SUSPENDED),
        ClusterStatus("new", "apply", declared=0),
        cluster("analytics", plan=long_values()),
    ]
    return AgentStatus(
        started=NOW - 86400 * 12,
        version="0.1.0",
        source=SourceStatus("git", "https://git.shop.example/ops/redis.git", REVISION, NOW - 33),
        clusters=MappingProxyType({one.name: one for one in clusters}),
    )


def refused(status: AgentStatus) -> AgentStatus:
    """Return *status* with a newer commit that is refused."""
    text = (
        "base/databases.yaml:14:3: spec.memory_sise: unknown field (did you mean memory_size?)\n"
        "base/users.yaml:7:12: spec.roles[1]: there is no Role/ghost"
    )
    source = replace(status.source, failure=Failure("InputError", text, NOW - 300, 3), rejected=OLDER)
    return replace(status, source=source)


def hostile() -> AgentStatus:
    """Return an agent in which every text is an attack."""
    everything = " ".join(HOSTILE)
    clusters = {}
    for number, text in enumerate(HOSTILE):
        address = Address(text, "Database", text)
        plan = long_values()
        plan = replace(
            plan,
            changes=tuple(
                replace(one, address=address, reason=Reason.CANNOT_DELETE, details=(text,), renamed_from=text)
                for one in plan.changes
            ),
            notes=(
                Note(Level.HELD, address, Reason.MANAGED, (text,)),
                Note(Level.WARNING, address, Reason.RENAME_SOURCE_EXISTS, (everything,)),
            ),
        )
        drift = Drift(address, f"{text}.{text}", Ahead.BOTH, Reason.MANAGED, (text,), {text: [text]}, text)
        clusters[text] = ClusterStatus(
            name=text,
            mode=text,
            phase=list(Phase)[number % len(Phase)],
            revision=text,
            last_reconciliation=NOW,
            last_success=1e300,
            failure=Failure(text, everything, NOW, 2),
            plan=plan,
            plan_digest=text,
            drift=(DriftEntry(drift, NOW, text), DriftEntry(drift._replace(path=""), -1e300, everything)),
            progress=ApplyProgress(1, 0, text),
            last_run=text,
            held=(text, everything),
            frozen=everything,
            why=text,
        )
    source = SourceStatus(everything, everything, everything, NOW, Failure(everything, everything, NOW), everything)
    return AgentStatus(NOW, everything, source, MappingProxyType(clusters), leader=False, stopping=True)


def status_store(status: AgentStatus | None = None) -> StatusStore:
    return StatusStore(status or fleet())


def runs() -> tuple[Run, ...]:
    """Return a history: one under way, one in part, one complete."""

    def step(number: int, address: str, status: str, action: str = "update", why: str = "") -> dict[str, Any]:
        return {"number": number, "action": action, "address": address, "status": status, "why": why}

    in_part = (
        step(1, "prod-eu:RedisACL/app-keys", "done", "create"),
        step(
            2, "prod-eu:Role/app", "failed", "create", "POST /v1/roles: 406 name_already_exists: rename it, or adopt it"
        ),
        step(3, "prod-eu:Database/orders", "skipped", "replace"),
        step(4, "prod-eu:User/anna", "not attempted", "delete", "stopped on request"),
    )
    counts = {"done": 1, "failed": 1, "skipped": 1, "not attempted": 1}
    return (
        Run("r3" + "a" * 30, NOW - 20, None, REVISION, "sha256:" + "d" * 64, {}, (), "agent@reconciler-0"),
        Run("r2", NOW - 4000, NOW - 3950, REVISION, "sha256:" + "c" * 64, counts, in_part, "agent@reconciler-0"),
        Run("r1", NOW - 90000, NOW - 89998.6, OLDER, "b" * 64, {"done": 12, "failed": 0}, (), "anna@laptop"),
    )


def hostile_runs() -> tuple[Run, ...]:
    outcomes = tuple({"number": 1, "action": t, "address": t, "status": t, "why": t} for t in HOSTILE)
    return tuple(Run(text, NOW, 1e300, text, text, {text: 3}, outcomes, text) for text in HOSTILE)
