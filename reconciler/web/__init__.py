"""What is seen from outside: the page, metrics, health, and webhooks of forges. Read-only but for "fetch now".

    server    sockets, and uvicorn in a thread of its own
    gate      what every request passes before anything looks at it, and the headers of every answer
    guard     who may ask: host names, tokens, rates (no I/O)
    site      routes
    pages     status, plan, drift and runs as HTML
    views     what the pages show, as plain values (no I/O)
    ansi      what the terminal shows, as HTML
    metrics   Prometheus
    health    alive and ready (no I/O)
    hooks     POST /hooks/PROVIDER

`commands.run` calls `serve` with the board that the loop writes. Must not know how passes are made.
"""

from reconciler.web.health import Means
from reconciler.web.metrics import Metrics
from reconciler.web.server import Serving, serve

__all__ = ["Means", "Metrics", "Serving", "serve"]
