"""The pages in a real browser, with hostile text in every field: no dialog, nothing refused, nothing fetched elsewhere.

Collected where there is a Chromium, and where `RECONCILER_NEEDS` says that there has to be one, as `.ci/run` does.
"""

from __future__ import annotations

import contextlib
import http.server
import threading
from collections.abc import Iterator, Mapping
from urllib.parse import quote

import pytest

from reconciler.agent.status import StatusStore
from reconciler.web import AgentHandle
from reconciler.web.middleware import HEADERS
from tests.web.browser import Browser, browsing, requested, trouble
from tests.web.fake_status import HOSTILE, fleet, hostile, hostile_runs, refused, status_store
from tests.web.rig import Rig, serving


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with browsing() as one:
        yield one


@contextlib.contextmanager
def naked(body: bytes, headers: Mapping[str, str]) -> Iterator[str]:
    """Serve one page as it is."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *values: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def paths(shown: StatusStore, runs: list[str]) -> list[str]:
    names = [quote(name, safe="", errors="replace") for name in shown.status.clusters]
    found = ["/", "/history", "/nothing", *(f"/run/{quote(run, safe='', errors='replace')}" for run in runs)]
    return found + [f"/{kind}/{name}" for name in names for kind in ("cluster", "plan", "drift")]


def check(browser: Browser, rig: Rig, all_paths: list[str]) -> None:
    here = f"http://127.0.0.1:{rig.port}"
    for path in all_paths:
        events = browser.open(here + path)
        missing = browser.evaluate("document.querySelector('h1').textContent") == "Page not found"
        known = [text for text in trouble(events) if not (missing and "status of 404" in text)]
        assert known == [], path
        assert {url.startswith(f"{here}/") for url in requested(events)} == {True}, path
        assert browser.evaluate("document.scripts.length") == 0
        assert browser.evaluate("getComputedStyle(document.querySelector('header')).display") == "flex"  # style is on


def test_the_browser_would_tell() -> None:
    attack = b"<!doctype html><h1>x</h1><script>alert(1)</script><img src=x onerror=alert(2)><p style='color:red'>"
    policy = {
        "content-type": "text/html",
        "content-security-policy": dict(HEADERS)[b"content-security-policy"].decode(),
    }
    with browsing() as browser:
        with naked(attack, {"content-type": "text/html"}) as url:
            assert "dialog: 1" in trouble(browser.open(url))
        with naked(attack, policy) as url:
            found = trouble(browser.open(url))
            assert not any(text.startswith("dialog") for text in found)
            assert any("Content Security Policy" in text or "content security policy" in text for text in found)


def test_hostile_text_in_every_field_does_nothing(browser: Browser) -> None:
    shown = status_store(hostile())
    history = {run.id: run for run in hostile_runs()}
    agent = AgentHandle(runs=lambda limit: hostile_runs(), run=history.get)
    with serving(shown, agent=agent) as rig:
        check(browser, rig, paths(shown, list(HOSTILE)))


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (360, "dark")])
def test_every_page_fits_and_can_be_read(width: int, scheme: str, browser: Browser) -> None:
    browser.look(width, 900, scheme)
    for status in (refused(fleet()), hostile()):
        shown = status_store(status)
        with serving(shown) as rig:
            for path in ("/", "/history", "/run/r2", *(paths(shown, [])[3:12])):
                assert trouble(browser.open(f"http://127.0.0.1:{rig.port}{path}")) in ([], MISSING)
                assert browser.evaluate("document.documentElement.scrollWidth") <= width, path
                dark = browser.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(20, 22, 26)"
                assert dark == (scheme == "dark")
                assert browser.picture().startswith(b"\x89PNG")


MISSING = ["network: Failed to load resource: the server responded with a status of 404 (Not Found)"]


def test_a_token_given_once_to_the_browser_opens_every_page(browser: Browser) -> None:
    from reconciler.settings.listen import Listen
    from tests.web.rig import TOKEN, TOKEN_FROM

    browser.look(1280, 900, "light")
    with serving(listen=Listen(port=0, token=TOKEN_FROM)) as rig:
        browser.open(f"http://me:{TOKEN}@127.0.0.1:{rig.port}/")
        assert browser.evaluate("document.querySelectorAll('tbody tr').length") == 10
        assert trouble(browser.open(f"http://127.0.0.1:{rig.port}/plan/staging")) == []
        assert browser.evaluate("document.querySelectorAll('.terminal .line').length") > 5
