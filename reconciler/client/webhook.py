"""Sends one message to somebody who wants to be told: a webhook, a chat, a forge. Not to clusters.

Used by `notify`. Over the same transport as everything that leaves us: HTTPS with a checked certificate, one deadline
for the whole attempt, no redirect, no proxy and no `.netrc` of the environment. Addresses can be secrets and are in no
text that comes back.
"""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Final, NamedTuple

from reconciler import __version__
from reconciler.client.tls import cause_text, httpx, tls_failure
from reconciler.client.transport import Transport, attempt_deadline
from reconciler.secrets import Secret

_SECONDS: Final = 15.0
_LARGEST: Final = 64 * 1024  # of an answer that nobody reads


class Delivery(NamedTuple):
    """What became of a message."""

    ok: bool
    again: bool = False  # another try may help
    why: str = ""


class _Trust(NamedTuple):
    ca_cert: Path | None
    pin: str | None = None
    insecure: bool = False


class WebhookClient:
    """Sends to whoever a certificate of *ca_cert*, or of an authority of the system, proves to be the one."""

    def __init__(self, ca_cert: Path | None = None, *, seconds: float = _SECONDS) -> None:
        """Raises OSError or ssl.SSLError where the file cannot be used."""
        self._seconds = seconds
        self._client = httpx.Client(
            transport=Transport(_Trust(ca_cert)), trust_env=False, follow_redirects=False, timeout=seconds
        )

    def post(self, url: Secret, body: bytes, headers: Mapping[str, str]) -> Delivery:
        """Send *body* once. Raises nothing: a message that is not delivered must not stop what it is about."""
        try:
            address = httpx.URL(url.reveal())
            if address.scheme != "https" or not address.host or address.userinfo:
                return Delivery(False, why="the address is not https://HOST/…, without a login")
            given = {"user-agent": f"reconciler/{__version__}", "accept": "*/*", "connection": "close", **headers}
            with (
                attempt_deadline(self._seconds),
                self._client.stream("POST", address, content=body, headers=given) as answer,
            ):
                size = 0
                for part in answer.iter_raw():
                    size += len(part)
                    if size > _LARGEST:
                        break
                return _judged(answer.status_code)
        except (httpx.InvalidURL, httpx.UnsupportedProtocol, UnicodeError):
            return Delivery(False, why="the address is no URL")
        except (httpx.HTTPError, OSError, ssl.SSLError) as error:
            if tls_failure(error):
                return Delivery(False, again=True, why="its certificate is not trusted")
            return Delivery(False, again=True, why=cause_text(error))

    def close(self) -> None:
        """Let go of what is open."""
        self._client.close()


def _judged(status: int) -> Delivery:
    if 200 <= status < 300:
        return Delivery(True)
    return Delivery(False, again=status in (408, 425, 429) or status >= 500, why=f"it answers {status}")
