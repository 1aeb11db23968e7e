"""HTTP delivery of notifications: one POST to a webhook, a chat or a forge. Not for clusters.

Used by `notify`. It has the transport of the cluster client: HTTPS with a verified certificate, one deadline for the
whole attempt; no redirects, no proxy, no `.netrc`. URLs can be secrets and never appear in a returned text.
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
_MAX_BYTES: Final = 64 * 1024  # of a response, which is discarded


class Delivery(NamedTuple):
    """The result of one delivery attempt."""

    ok: bool
    again: bool = False  # a retry may succeed
    why: str = ""


class _Trust(NamedTuple):
    ca_cert: Path | None
    pin: str | None = None
    insecure: bool = False


class WebhookClient:
    """Posts over HTTPS; certificates are verified against *ca_cert*, or the CAs of the system."""

    def __init__(self, ca_cert: Path | None = None, *, seconds: float = _SECONDS) -> None:
        """*seconds* limits one attempt. Raises OSError (ssl.SSLError included) for an unusable CA file."""
        self._seconds = seconds
        self._client = httpx.Client(
            transport=Transport(_Trust(ca_cert)), trust_env=False, follow_redirects=False, timeout=seconds
        )

    def post(self, url: Secret, body: bytes, headers: Mapping[str, str]) -> Delivery:
        """Send *body* once. Raises nothing: a failed notification must not stop the run that it reports."""
        try:
            address = httpx.URL(url.reveal())
            if address.scheme != "https" or not address.host or address.userinfo:
                return Delivery(False, why="the URL must be https://HOST/… without credentials")
            given = {"user-agent": f"reconciler/{__version__}", "accept": "*/*", "connection": "close", **headers}
            with (
                attempt_deadline(self._seconds),
                self._client.stream("POST", address, content=body, headers=given) as response,
            ):
                size = 0
                for part in response.iter_raw():
                    size += len(part)
                    if size > _MAX_BYTES:
                        break
                return _delivery(response.status_code)
        except (httpx.InvalidURL, httpx.UnsupportedProtocol, UnicodeError):
            return Delivery(False, why="the address is not a valid URL")
        except (httpx.HTTPError, OSError, ssl.SSLError) as error:
            if tls_failure(error):
                return Delivery(False, again=True, why="the server's certificate is not trusted")
            return Delivery(False, again=True, why=cause_text(error))

    def close(self) -> None:
        """Close all connections."""
        self._client.close()


def _delivery(status: int) -> Delivery:
    if 200 <= status < 300:
        return Delivery(True)
    return Delivery(False, again=status in (408, 425, 429) or status >= 500, why=f"HTTP status {status}")
