"""Polls the status, decides which notifications are due, and sends them; in threads of its own.

Each recipient has a short queue: one that does not respond delays neither the loop nor another recipient, and what it
misses is dropped and counted, the oldest first.
"""

from __future__ import annotations

import contextlib
import re
import ssl
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final, Protocol

from reconciler import telemetry
from reconciler.agent.status import StatusStore
from reconciler.errors import InputError, Problem
from reconciler.notify import payloads
from reconciler.notify.payloads import Message
from reconciler.notify.transitions import NotificationState, NotifyPolicy, advance, advance_commit_status
from reconciler.runtime import Runtime
from reconciler.secrets import Secret
from reconciler.settings.listen import Notify, Recipient

if TYPE_CHECKING:
    from pathlib import Path

    from reconciler.client.webhook import Delivery

_POLL_INTERVAL: Final = 2.0  # seconds
_QUEUE_SIZE: Final = 20  # messages for one recipient
_MAX_ATTEMPTS: Final = 6
_RETRY_DELAY: Final = 5.0  # seconds before the second attempt; doubled for each further one
_COMMIT = re.compile(r"[0-9a-f]{40}([0-9a-f]{24})?")

Reveal = Callable[[Mapping[str, Any], str], Secret]


class Sender(Protocol):
    """Sends messages; implemented by `client.webhook.WebhookClient`."""

    def post(self, url: Secret, body: bytes, headers: Mapping[str, str]) -> Delivery: ...

    def close(self) -> None: ...


def _poster(ca_cert: Path | None) -> Sender:
    from reconciler.client.webhook import WebhookClient

    return WebhookClient(ca_cert)


class Outbox:
    """The queue of one recipient."""

    def __init__(
        self, to: Recipient, secrets: Mapping[str, Secret], sender: Sender, observe: telemetry.Observer
    ) -> None:
        self.to, self.secrets = to, secrets
        self._sender, self._observe = sender, observe
        self._messages: deque[Message] = deque()
        self._attempts = 0
        self._next = float("-inf")

    def put(self, message: Message) -> None:
        """Queue *message*; a full queue drops its oldest."""
        if len(self._messages) >= _QUEUE_SIZE:
            self._messages.popleft()
            self._attempts = 0
            self._emit("dropped", "queue full")
        self._messages.append(message)

    def send(self, clock: Callable[[], float]) -> None:
        """Send the oldest message, if it is due."""
        if not self._messages or clock() < self._next:
            return
        message = self._messages[0]
        delivery = self._sender.post(message.url, message.body, message.headers)
        self._attempts += 1
        if not delivery.ok and delivery.again and self._attempts < _MAX_ATTEMPTS:
            self._next = clock() + _RETRY_DELAY * 2 ** (self._attempts - 1)
            self._emit("retried", delivery.why)
            return
        self._messages.popleft()
        self._attempts, self._next = 0, float("-inf")
        self._emit("sent" if delivery.ok else "failed", delivery.why)

    def close(self) -> None:
        """Close the connection."""
        self._sender.close()

    def _emit(self, result: str, why: str) -> None:
        self._observe(telemetry.Event("notification.sent", {"recipient": self.to.kind, "result": result, "why": why}))


class Notifier:
    """Decides which notifications are due; its thread calls `tick` periodically."""

    def __init__(
        self,
        status_store: StatusStore,
        settings: Notify,
        outboxes: list[Outbox],
        now: Callable[[], float] = time.time,
        redact: Callable[[str], str] = str,
    ) -> None:
        self._redact = redact
        self._status_store, self._settings, self._outboxes, self._now = status_store, settings, outboxes, now
        self._policy = NotifyPolicy(settings.settle, settings.every, settings.quiet)
        self._state = NotificationState()

    def tick(self, at: float) -> None:
        """Queue what is due at the monotonic time *at*."""
        status = self._status_store.status
        self._state, transitions = advance(self._state, status, at, self._policy)
        self._state, commit = advance_commit_status(self._state, status, at, self._policy)
        transitions = tuple(one._replace(text=self._redact(one.text)) for one in transitions)
        commit = commit._replace(text=self._redact(commit.text)) if commit is not None else None
        for outbox in self._outboxes:
            to, secrets = outbox.to, outbox.secrets
            if transitions and to.kind == "slack":
                outbox.put(payloads.slack(secrets["url"], transitions, self._settings))
            elif transitions and to.kind == "webhook":
                outbox.put(
                    payloads.webhook(secrets["url"], secrets["secret"], transitions, self._settings, self._now())
                )
            elif commit is not None and to.kind in _STATUSES and _COMMIT.fullmatch(commit.revision):
                outbox.put(_STATUSES[to.kind](to, secrets["token"], commit, self._settings))


_STATUSES = {"github": payloads.github, "gitlab": payloads.gitlab}


@contextlib.contextmanager
def notifying(
    status_store: StatusStore,
    settings: Notify,
    *,
    reveal: Reveal,
    runtime: Runtime,
    poll_interval: float = _POLL_INTERVAL,
    sender: Callable[[Path | None], Sender] = _poster,
) -> Iterator[None]:
    """Notify the recipients in *settings* of changes in *status_store*, until the block ends.

    *poll_interval* is in seconds; *sender* returns the client for the CA file of a recipient.
    Raises SecretMissing, and InputError where a CA file cannot be used.
    """
    observe = runtime.observe
    outboxes = [_open_outbox(place, to, reveal, observe, sender) for place, to in enumerate(settings.to)]
    if not outboxes:
        yield
        return
    notifier, stop = Notifier(status_store, settings, outboxes, runtime.now, runtime.redact), threading.Event()

    def deliver(outbox: Outbox) -> None:
        while not stop.wait(poll_interval):
            _without_raising(lambda: outbox.send(runtime.clock), observe)

    def decide() -> None:
        while not stop.wait(poll_interval):
            _without_raising(lambda: notifier.tick(runtime.clock()), observe)

    threads = [threading.Thread(target=decide, name="notifier", daemon=True)]
    threads += [threading.Thread(target=deliver, args=(outbox,), name="sender", daemon=True) for outbox in outboxes]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join(1.0)  # one that is sending is abandoned: it ends with the process
        for outbox in outboxes:
            outbox.close()


def _without_raising(do: Callable[[], None], observe: telemetry.Observer) -> None:
    try:
        do()
    except Exception as bug:  # of ours; the next attempt may succeed, and the loop must not be affected
        observe(
            telemetry.Event("notification.sent", {"recipient": "all", "result": "failed", "why": type(bug).__name__})
        )


def _open_outbox(
    place: int, to: Recipient, reveal: Reveal, observe: telemetry.Observer, sender: Callable[[Path | None], Sender]
) -> Outbox:
    where = f"agent.notify.to[{place}]"
    given = {"url": to.url, "secret": to.secret, "token": to.token}
    secrets = {name: reveal(reference, f"{where}.{name}") for name, reference in given.items() if reference is not None}
    try:
        return Outbox(to, secrets, sender(to.ca_cert), observe)
    except (OSError, ValueError, ssl.SSLError) as error:
        raise InputError([Problem(where, 0, 0, "caCert", f"{to.ca_cert} cannot be used")]) from error
