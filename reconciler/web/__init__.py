"""The web server: page, metrics, health checks, and webhooks of forges. Read-only except for "fetch now".

    server           the socket, and uvicorn in a thread of its own
    middleware       checks every request, and sets the headers of every response
    auth             host names, tokens, rate limits (no I/O)
    app              routes
    pages            status, plan, drift and runs as HTML
    fleet_view       what the page of all clusters shows (no I/O)
    plan_view        what the pages of plan and drift show (no I/O)
    run_view         what the pages of runs show (no I/O)
    formatting       times, names and errors for people (no I/O)
    metrics          counters for Prometheus
    status_metrics   the current status as gauges
    metric_labels    values of labels
    health           liveness and readiness (no I/O)
    webhooks         POST /hooks/PROVIDER

`commands.run` calls `serve` with the status store that the loop writes. It knows nothing of how clusters are
reconciled.
"""

from reconciler.web.health import AgentHandle
from reconciler.web.metrics import Metrics
from reconciler.web.server import RunningServer, serve

__all__ = ["AgentHandle", "Metrics", "RunningServer", "serve"]
