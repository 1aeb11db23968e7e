"""The log: one line per event, as text or as JSON. Never a secret.

`commands.run` makes it an observer of the loop and of the engine. Calls and single steps are logged only with
`--verbose`.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from typing import Any, Final

from reconciler.telemetry import Event

# Too frequent, or covered by the event at the end of the reconciliation.
_VERBOSE_ONLY: Final = frozenset(
    {"call.done", "change.waiting"}
    | {f"{step}.started" for step in ("fetch", "reconciliation", "plan", "apply", "change")}
    | {f"{step}.{end}" for step in ("fetch", "plan", "apply") for end in ("done", "failed")}
)
# The last words of the names of events that are warnings.
_WARNINGS: Final = frozenset(
    {"failed", "shutdown_timeout", "trim_failed", "rejected", "unavailable", "unusable", "opened", "unverified"}
)


class Log:
    """Writes events as lines."""

    def __init__(
        self,
        write: Callable[[str], object],
        *,
        form: str = "text",
        verbose: bool = False,
        redact: Callable[[str], str] = str,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._write = write
        self._form = form
        self._verbose = verbose
        self._redact = redact
        self._now = now
        self._lock = threading.Lock()

    def observe(self, event: Event) -> None:
        """Log *event*, unless it is for `--verbose` only."""
        if not self._verbose and event.name in _VERBOSE_ONLY:
            return
        moment = self._now()
        when = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(moment)) + f".{int(moment * 1000) % 1000:03}Z"
        level = "warning" if event.name.rpartition(".")[2] in _WARNINGS else "info"
        line = self._json(when, level, event) if self._form == "json" else self._text(when, level, event)
        with self._lock:
            self._write(self._redact(line))

    def _json(self, when: str, level: str, event: Event) -> str:
        about = {name: value for name, value in event.attributes.items() if value not in ("", None)}
        return json.dumps({"time": when, "level": level, "event": event.name, **about}, default=str)

    def _text(self, when: str, level: str, event: Event) -> str:
        about = " ".join(
            f"{name}={_shown(value)}" for name, value in event.attributes.items() if value not in ("", None)
        )
        return f"{when} {level:7} {event.name} {about}".rstrip()


def _shown(value: Any) -> str:
    """Return *value* as one word, or quoted: one event stays one line, whatever is in it."""
    text = f"{value:g}" if isinstance(value, float) else str(value)
    plain = text.isprintable() and " " not in text and '"' not in text
    return text if plain else json.dumps(text)
