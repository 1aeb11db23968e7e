"""Which address shows what. The ASGI application behind `gate`; made by `server`.

Handlers take the board as it is and hand it to `pages`; the only one that leads to anything is the webhook's, which
asks for a fetch.
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

from reconciler.agent.status import Board, ClusterStatus
from reconciler.errors import LedgerError
from reconciler.ledger import Run
from reconciler.secrets import Secret
from reconciler.telemetry import Event, Observer
from reconciler.web import health
from reconciler.web.gate import failed
from reconciler.web.hooks import LARGEST, Deliveries, Throttle, Verdict
from reconciler.web.metrics import Metrics
from reconciler.web.pages import Pages
from reconciler.web.views import title

_RUNS: Final = 100
_STALE: Final = 10.0  # seconds
_STATIC: Final = {"/style.css": "text/css; charset=utf-8", "/icon.svg": "image/svg+xml"}
_SAID: Final = {
    Verdict.FETCH: (202, "a fetch is due"),
    Verdict.REPLAY: (200, "seen before"),
    Verdict.FORGED: (403, "the signature is missing or wrong"),
}


class Site:
    """Everything that can be asked for."""

    def __init__(
        self,
        board: Board,
        metrics: Metrics,
        means: health.Means,
        hooks: Mapping[str, Secret],
        fetch_now: Callable[[], object],
        *,
        now: Callable[[], float],
        clock: Callable[[], float],
        observe: Observer,
    ) -> None:
        self._board, self._metrics, self._means = board, metrics, means
        self._hooks, self._fetch_now, self._now, self._observe = hooks, fetch_now, now, observe
        self._pages = Pages(now)
        self._deliveries = Deliveries()
        self._throttle = Throttle(clock)
        self._clock = clock
        self._writable = (float("-inf"), False)

    def app(self) -> Starlette:
        """Return the application."""
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
        routes += [Route(f"/hooks/{name}", partial(self._hook, name), methods=["POST"]) for name in self._hooks]
        app = Starlette(routes=routes, exception_handlers={404: self._missing, Exception: self._broken})
        app.router.redirect_slashes = False
        return app

    # --- pages -----------------------------------------------------------------------------------------------------

    def _fleet(self, request: Request) -> Response:
        return HTMLResponse(self._pages.fleet(self._board.status))

    def _cluster(self, request: Request) -> Response:
        def page(cluster: ClusterStatus) -> str:
            found = self._means.run(cluster.last_run) if cluster.last_run else None
            return self._pages.cluster(self._board.status, cluster, [found] if found else [])

        return self._about(request, page)

    def _plan(self, request: Request) -> Response:
        return self._about(request, lambda cluster: self._pages.plan(self._board.status, cluster))

    def _drift(self, request: Request) -> Response:
        return self._about(request, lambda cluster: self._pages.drift(self._board.status, cluster))

    def _about(self, request: Request, page: Callable[[ClusterStatus], str]) -> Response:
        name = request.path_params["name"]
        known = {title(one.name): one for one in self._board.status.clusters.values()}
        if name not in known:
            return self._nothing(f"There is no cluster {name[:200]}.")
        try:
            return HTMLResponse(page(known[name]))
        except LedgerError as error:
            return PlainTextResponse(f"{error}\n", 500)

    def _history(self, request: Request) -> Response:
        try:
            runs: Sequence[Run] = self._means.runs(_RUNS)
        except LedgerError as error:
            return PlainTextResponse(f"{error}\n", 500)
        return HTMLResponse(self._pages.history(self._board.status, runs))

    def _run(self, request: Request) -> Response:
        name = request.path_params["run"]
        try:
            run = self._means.run(name)
        except LedgerError as error:
            return PlainTextResponse(f"{error}\n", 500)
        if run is None:
            return self._nothing(f"There is no run {name[:200]}.")
        return HTMLResponse(self._pages.run(self._board.status, run))

    def _missing(self, request: Request, error: Exception) -> Response:
        return self._nothing("There is nothing at this address.")

    def _broken(self, request: Request, error: Exception) -> Response:
        self._observe(failed(request.url.path, error))
        return PlainTextResponse("internal error; the log of the agent says more\n", 500)

    def _nothing(self, what: str) -> Response:
        return HTMLResponse(self._pages.missing(self._board.status, what), 404)

    # --- machines --------------------------------------------------------------------------------------------------

    def _show_metrics(self, request: Request) -> Response:
        body, content_type = self._metrics.text(request.headers.get("accept", ""))
        return Response(body, headers={"content-type": content_type})

    def _healthz(self, request: Request) -> Response:
        return _checked(request, health.alive(self._means.since_tick(), self._means.stuck_after))

    def _readyz(self, request: Request) -> Response:
        now = self._clock()
        if now - self._writable[0] >= _STALE:  # it costs a write to the disk, and anybody may ask
            self._writable = (now, self._means.writable())
        checks = health.ready(self._board.status, self._now(), self._means, writable=self._writable[1])
        return _checked(request, checks)

    async def _hook(self, name: str, request: Request) -> Response:
        body = await _body(request)
        if body is None:
            self._observe(Event("webhook.received", {"provider": name, "result": "too large"}))
            return PlainTextResponse("larger than 256 KiB\n", 413, {"connection": "close"})
        verdict = self._deliveries.judge(name, self._hooks[name], request.headers, body, self._now())
        self._observe(Event("webhook.received", {"provider": name, "result": verdict.value}))
        if verdict is Verdict.FETCH and (delay := self._throttle.ask()) is not None:
            asyncio.get_running_loop().call_later(delay, self._fetch_now)
        status, said = _SAID[verdict]
        return PlainTextResponse(f"{said}\n", status)


def _static(content: bytes, content_type: str, request: Request) -> Response:
    return Response(content, headers={"content-type": content_type})


def _checked(request: Request, checks: Sequence[health.Check]) -> Response:
    """Return what a probe is told; details only for who may see them."""
    fine = all(check.ok for check in checks)
    said: dict[str, object] = {"status": "ok" if fine else "failing"}
    if request.scope["state"]["known"]:
        said["checks"] = [check._asdict() for check in checks]
    return Response(json.dumps(said) + "\n", 200 if fine else 503, media_type="application/json")


async def _body(request: Request) -> bytes | None:
    """Return the body; None as soon as it is larger than may be."""
    length = request.headers.get("content-length", "0")
    if not length.isdecimal() or len(length) > 9 or int(length) > LARGEST:
        return None
    parts, size = [], 0
    try:
        async for part in request.stream():
            size += len(part)
            if size > LARGEST:
                return None
            parts.append(part)
    except ClientDisconnect:
        return b""
    return b"".join(parts)
