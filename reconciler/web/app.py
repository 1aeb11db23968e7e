"""The routes: the ASGI application behind `middleware`; made by `server`.

Handlers pass the current status to `pages`; only the webhook handler causes something, a fetch.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Final

from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.routing import Route

from reconciler.agent.status import ClusterStatus, StatusStore
from reconciler.errors import LedgerError
from reconciler.ledger import Run
from reconciler.runtime import Runtime
from reconciler.secrets import Secret
from reconciler.telemetry import Event
from reconciler.web import health
from reconciler.web.formatting import cluster_name
from reconciler.web.metrics import Metrics
from reconciler.web.middleware import failure_event
from reconciler.web.pages import Pages
from reconciler.web.webhooks import MAX_BODY, Deliveries, DeliveryResult, Throttle

_RUNS: Final = 100
_WRITABLE_TTL: Final = 10.0  # seconds for which the check of the ledger is reused
_STATIC: Final = {"/style.css": "text/css; charset=utf-8", "/icon.svg": "image/svg+xml"}
_RESPONSES: Final = {
    DeliveryResult.ACCEPTED: (202, "fetch scheduled"),
    DeliveryResult.DUPLICATE: (200, "duplicate delivery"),
    DeliveryResult.INVALID_SIGNATURE: (403, "missing or invalid signature"),
}


class WebApp:
    """All routes and their handlers."""

    def __init__(
        self,
        status_store: StatusStore,
        metrics: Metrics,
        agent: health.AgentHandle,
        webhooks: Mapping[str, Secret],
        runtime: Runtime,
    ) -> None:
        self._status_store, self._metrics, self._agent = status_store, metrics, agent
        self._webhooks, self._runtime = webhooks, runtime
        self._pages = Pages(runtime.now)
        self._deliveries = Deliveries()
        self._throttle = Throttle(runtime.clock)
        self._writable = (float("-inf"), False)

    def asgi(self) -> Starlette:
        """Return the ASGI application."""
        routes = [
            Route("/", self._fleet),
            Route("/cluster/{name:path}", self._cluster),
            Route("/plan/{name:path}", self._plan),
            Route("/drift/{name:path}", self._drift),
            Route("/history", self._history),
            Route("/run/{run:path}", self._run),
            Route("/metrics", self._show_metrics),
            Route("/healthz", self._healthz),
            Route("/readyz", self._readyz),
        ]
        here = Path(__file__).parent / "static"
        for path, content_type in _STATIC.items():
            content = (here / path[1:]).read_bytes()
            routes.append(Route(path, partial(_static, content, content_type)))
        # One route each, and none for a provider without a secret.
        routes += [Route(f"/hooks/{name}", partial(self._webhook, name), methods=["POST"]) for name in self._webhooks]
        app = Starlette(routes=routes, exception_handlers={404: self._no_route, Exception: self._internal_error})
        app.router.redirect_slashes = False
        return app

    # --- pages -----------------------------------------------------------------------------------------------------

    def _fleet(self, request: Request) -> Response:
        return HTMLResponse(self._pages.fleet(self._status_store.status))

    def _cluster(self, request: Request) -> Response:
        def page(cluster: ClusterStatus) -> str:
            found = self._agent.run(cluster.last_run) if cluster.last_run else None
            return self._pages.cluster(self._status_store.status, cluster, [found] if found else [])

        return self._of_cluster(request, page)

    def _plan(self, request: Request) -> Response:
        return self._of_cluster(request, lambda cluster: self._pages.plan(self._status_store.status, cluster))

    def _drift(self, request: Request) -> Response:
        return self._of_cluster(request, lambda cluster: self._pages.drift(self._status_store.status, cluster))

    def _of_cluster(self, request: Request, page: Callable[[ClusterStatus], str]) -> Response:
        name = request.path_params["name"]
        known = {cluster_name(one.name): one for one in self._status_store.status.clusters.values()}
        if name not in known:
            return self._not_found(f"There is no cluster {name[:200]}.")
        try:
            return HTMLResponse(page(known[name]))
        except LedgerError as error:
            return PlainTextResponse(f"{error}\n", 500)

    def _history(self, request: Request) -> Response:
        try:
            runs: Sequence[Run] = self._agent.runs(_RUNS)
        except LedgerError as error:
            return PlainTextResponse(f"{error}\n", 500)
        return HTMLResponse(self._pages.history(self._status_store.status, runs))

    def _run(self, request: Request) -> Response:
        name = request.path_params["run"]
        try:
            run = self._agent.run(name)
        except LedgerError as error:
            return PlainTextResponse(f"{error}\n", 500)
        if run is None:
            return self._not_found(f"There is no run {name[:200]}.")
        return HTMLResponse(self._pages.run(self._status_store.status, run))

    def _no_route(self, request: Request, error: Exception) -> Response:
        return self._not_found("There is no page at this address.")

    def _internal_error(self, request: Request, error: Exception) -> Response:
        self._runtime.observe(failure_event(request.url.path, error))
        return PlainTextResponse("internal error; see the log of the agent\n", 500)

    def _not_found(self, what: str) -> Response:
        return HTMLResponse(self._pages.missing(self._status_store.status, what), 404)

    # --- probes, metrics and webhooks -------------------------------------------------------------------------------

    def _show_metrics(self, request: Request) -> Response:
        body, content_type = self._metrics.text(request.headers.get("accept", ""))
        return Response(body, headers={"content-type": content_type})

    def _healthz(self, request: Request) -> Response:
        return _checked(request, health.alive(self._agent.since_tick(), self._agent.tick_timeout))

    def _readyz(self, request: Request) -> Response:
        now = self._runtime.clock()
        if now - self._writable[0] >= _WRITABLE_TTL:  # the check writes to the disk, and needs no token
            self._writable = (now, self._agent.writable())
        checks = health.ready(self._status_store.status, self._runtime.now(), self._agent, writable=self._writable[1])
        return _checked(request, checks)

    async def _webhook(self, name: str, request: Request) -> Response:
        body = await _body(request)
        if body is None:
            self._runtime.observe(
                Event("webhook.received", {"provider": name, "result": DeliveryResult.TOO_LARGE.value})
            )
            return PlainTextResponse("larger than 256 KiB\n", 413, {"connection": "close"})
        result = self._deliveries.check(name, self._webhooks[name], request.headers, body, self._runtime.now())
        self._runtime.observe(Event("webhook.received", {"provider": name, "result": result.value}))
        if result is DeliveryResult.ACCEPTED and (delay := self._throttle.ask()) is not None:
            asyncio.get_running_loop().call_later(delay, self._agent.fetch_now)
        status, text = _RESPONSES[result]
        return PlainTextResponse(f"{text}\n", status)


def _static(content: bytes, content_type: str, request: Request) -> Response:
    return Response(content, headers={"content-type": content_type})


def _checked(request: Request, checks: Sequence[health.HealthCheck]) -> Response:
    """Return the response to a probe; details only for authenticated clients."""
    ok = all(check.ok for check in checks)
    content: dict[str, object] = {"status": "ok" if ok else "failing"}
    if request.scope["state"]["authenticated"]:
        content["checks"] = [check._asdict() for check in checks]
    return Response(json.dumps(content) + "\n", 200 if ok else 503, media_type="application/json")


async def _body(request: Request) -> bytes | None:
    """Return the body; None as soon as it exceeds the limit."""
    length = request.headers.get("content-length", "0")
    if not length.isdecimal() or len(length) > 9 or int(length) > MAX_BODY:
        return None
    parts, size = [], 0
    try:
        async for part in request.stream():
            size += len(part)
            if size > MAX_BODY:
                return None
            parts.append(part)
    except ClientDisconnect:
        return b""
    return b"".join(parts)
