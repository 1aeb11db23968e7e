"""Looks at the board now and then, decides what is due, and sends it; in a thread of its own.

Each recipient has a short queue: one that does not answer makes neither the loop nor another recipient wait, and what
it misses is dropped and counted, the oldest first.
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
from reconciler.agent.status import Board
from reconciler.errors import InputError, Problem
from reconciler.notify import words
from reconciler.notify.decide import Memory, Pace, step, step_commit
from reconciler.notify.words import Letter
from reconciler.secrets import Secret
from reconciler.settings.listen import Notify, Recipient

if TYPE_CHECKING:
    from pathlib import Path

    from reconciler.client.webhook import Delivery

_LOOK: Final = 2.0  # seconds between two looks at the board
_QUEUE: Final = 20  # letters that wait for one recipient
_TRIES: Final = 6
_PAUSE: Final = 5.0  # seconds before the second try; doubled for each one after
_COMMIT = re.compile(r"[0-9a-f]{40}([0-9a-f]{24})?")

Reveal = Callable[[Mapping[str, Any], str], Secret]


class Sender(Protocol):
    """What sends a letter; `client.webhook.WebhookClient` fits."""

    def post(self, url: Secret, body: bytes, headers: Mapping[str, str]) -> Delivery: ...

    def close(self) -> None: ...


def _poster(ca_cert: Path | None) -> Sender:
    from reconciler.client.webhook import WebhookClient

    return WebhookClient(ca_cert)


class Mailbox:
    """What waits for one recipient."""

    def __init__(
        self, to: Recipient, secrets: Mapping[str, Secret], sender: Sender, observe: telemetry.Observer
    ) -> None:
        self.to, self.secrets = to, secrets
        self._sender, self._observe = sender, observe
        self._letters: deque[Letter] = deque()
        self._tries = 0
        self._next = float("-inf")

    def put(self, letter: Letter) -> None:
        """Queue *letter*; where too many wait, the oldest is given up."""
        if len(self._letters) >= _QUEUE:
            self._letters.popleft()
            self._tries = 0
            self._tell("dropped", "too many wait")
        self._letters.append(letter)

    def send(self, clock: Callable[[], float]) -> None:
        """Try the oldest letter, if its time has come."""
        if not self._letters or clock() < self._next:
            return
        letter = self._letters[0]
        came = self._sender.post(letter.url, letter.body, letter.headers)
        self._tries += 1
        if not came.ok and came.again and self._tries < _TRIES:
            self._next = clock() + _PAUSE * 2 ** (self._tries - 1)
            self._tell("retried", came.why)
            return
        self._letters.popleft()
        self._tries, self._next = 0, float("-inf")
        self._tell("sent" if came.ok else "failed", came.why)

    def close(self) -> None:
        """Let go of what is open."""
        self._sender.close()

    def _tell(self, result: str, why: str) -> None:
        self._observe(telemetry.Event("notification.sent", {"recipient": self.to.kind, "result": result, "why": why}))


class Herald:
    """Decides and sends; the thread calls `turn` again and again."""

    def __init__(
        self, board: Board, settings: Notify, boxes: list[Mailbox], now: Callable[[], float] = time.time
    ) -> None:
        self._board, self._settings, self._boxes, self._now = board, settings, boxes, now
        self._pace = Pace(settings.settle, settings.every, settings.quiet)
        self._memory = Memory()

    def turn(self, at: float) -> None:
        """Queue what is due at the monotonic time *at*."""
        status = self._board.status
        self._memory, news = step(self._memory, status, at, self._pace)
        self._memory, state = step_commit(self._memory, status, at, self._pace)
        for box in self._boxes:
            to, secrets = box.to, box.secrets
            if news and to.kind == "slack":
                box.put(words.slack(secrets["url"], news, self._settings))
            elif news and to.kind == "webhook":
                box.put(words.webhook(secrets["url"], secrets["secret"], news, self._settings, self._now()))
            elif state is not None and to.kind in _STATUSES and _COMMIT.fullmatch(state.revision):
                box.put(_STATUSES[to.kind](to, secrets["token"], state, self._settings))


_STATUSES = {"github": words.github, "gitlab": words.gitlab}


@contextlib.contextmanager
def telling(
    board: Board,
    settings: Notify,
    *,
    reveal: Reveal,
    observe: telemetry.Observer = telemetry.ignore,
    clock: Callable[[], float] = time.monotonic,
    look: float = _LOOK,
    sender: Callable[[Path | None], Sender] = _poster,
) -> Iterator[None]:
    """Tell whom *settings* name what becomes of *board*, until the block ends.

    Raises SecretMissing, and InputError where a CA file cannot be used.
    """
    boxes = [_mailbox(place, to, reveal, observe, sender) for place, to in enumerate(settings.to)]
    if not boxes:
        yield
        return
    herald, stop = Herald(board, settings, boxes), threading.Event()

    def deliver(box: Mailbox) -> None:
        while not stop.wait(look):
            _carefully(lambda: box.send(clock), observe)

    def decide() -> None:
        while not stop.wait(look):
            _carefully(lambda: herald.turn(clock()), observe)

    threads = [threading.Thread(target=decide, name="herald", daemon=True)]
    threads += [threading.Thread(target=deliver, args=(box,), name="post", daemon=True) for box in boxes]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join(1.0)  # one that is sending is left behind: it ends with the process
        for box in boxes:
            box.close()


def _carefully(do: Callable[[], None], observe: telemetry.Observer) -> None:
    try:
        do()
    except Exception as bug:  # of ours; the next turn may go well, and the loop must not notice
        observe(
            telemetry.Event("notification.sent", {"recipient": "all", "result": "failed", "why": type(bug).__name__})
        )


def _mailbox(
    place: int, to: Recipient, reveal: Reveal, observe: telemetry.Observer, sender: Callable[[Path | None], Sender]
) -> Mailbox:
    where = f"agent.notify.to[{place}]"
    given = {"url": to.url, "secret": to.secret, "token": to.token}
    secrets = {name: reveal(reference, f"{where}.{name}") for name, reference in given.items() if reference is not None}
    try:
        return Mailbox(to, secrets, sender(to.ca_cert), observe)
    except (OSError, ValueError, ssl.SSLError) as error:
        raise InputError([Problem(where, 0, 0, "caCert", f"{to.ca_cert} cannot be used")]) from error
