"""TLS: contexts, certificate pins, and the texts for failed connections.

Used by `transport`, which opens connections, and `attempt` and `webhook`, which report failures. Also the one place
that imports httpx, which it keeps from loading its command line.
"""

from __future__ import annotations

import hashlib
import re
import socket
import ssl
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final, Protocol

from reconciler.errors import Problem

# httpx imports its own command line, with rich, click and pygments, whenever those are installed: 40 ms.
_unwanted = "httpx._main"
if "httpx" not in sys.modules and _unwanted not in sys.modules:
    sys.modules[_unwanted] = None  # type: ignore[assignment]
import httpx  # noqa: E402

if sys.modules.get(_unwanted, httpx) is None:
    del sys.modules[_unwanted]

__all__ = [
    "PinMismatch",
    "Trust",
    "cause_text",
    "fingerprint",
    "httpx",
    "load_identity",
    "normal_pin",
    "peer_fingerprint",
    "ssl_context",
    "tls_failure",
    "untrusted_text",
    "unusable",
]

# X509_V_ERR_… numbers of OpenSSL; stable since OpenSSL 1.0.2.
_EXPIRED, _NOT_YET, _NAME, _ADDRESS = 10, 9, 62, 64
HTTPS: Final = 443


class Trust(Protocol):
    """How the certificate of a target is verified; `settings.Target` fits."""

    @property
    def ca_cert(self) -> Path | None: ...
    @property
    def pin(self) -> str | None: ...
    @property
    def insecure(self) -> bool: ...


class PinMismatch(httpx.ConnectError):
    """The certificate of the peer does not match the pinned fingerprint."""

    def __init__(self, fingerprint: str) -> None:
        super().__init__("the certificate does not match the pinned fingerprint")
        self.fingerprint = fingerprint


def normal_pin(pin: str) -> str:
    """Return *pin* as 64 lower-case hex digits; raises ValueError when it is not a SHA-256 fingerprint."""
    digits = re.sub(r"^sha-?256[:=]", "", pin.strip().lower()).replace(":", "").replace(" ", "")
    if not re.fullmatch(r"[0-9a-f]{64}", digits):
        raise ValueError("a pin is the SHA-256 fingerprint of the certificate: 64 hex digits")
    return digits


def ssl_context(trust: Trust) -> ssl.SSLContext:
    """Return the context for *trust*: the system's CAs, a CA file, a pin, or no verification.

    Raises OSError (ssl.SSLError included) for an unusable CA file.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    if trust.pin or trust.insecure:  # a pin identifies one certificate; its issuer and names do not matter
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    elif trust.ca_cert is not None:
        context.load_verify_locations(cafile=str(trust.ca_cert))
        # The file may contain the certificate of the node itself, as it does for self-signed ones.
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    else:
        context.load_default_certs(ssl.Purpose.SERVER_AUTH)
    return context


class UnusableIdentity(OSError):
    """The client certificate or its key cannot be used."""


def load_identity(context: ssl.SSLContext, certificate: Path, key: Path) -> None:
    """Present *certificate* to servers. Raises UnusableIdentity, for a key with a passphrase too."""
    try:
        context.load_cert_chain(certificate, key, password=lambda: "")
    except ssl.SSLError as error:
        mismatch = error.reason == "KEY_VALUES_MISMATCH"
        why = "they do not belong together" if mismatch else "one is not PEM, or the key has a passphrase"
        raise UnusableIdentity(f"{certificate} and {key}: {why}") from None
    except OSError as error:
        missing = key if certificate.is_file() else certificate
        raise UnusableIdentity(f"{missing}: {(error.strerror or 'cannot be read').lower()}") from None


def fingerprint(secured: ssl.SSLSocket) -> str:
    """Return the SHA-256 fingerprint of the peer's certificate, in hex."""
    return hashlib.sha256(secured.getpeercert(binary_form=True) or b"").hexdigest()


def peer_fingerprint(host: str, port: int, seconds: float = 5.0) -> str | None:
    """Return the fingerprint of the certificate of *host*, or None; an unverified handshake, without a request."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    try:
        with (
            socket.create_connection((host, port), timeout=seconds) as sock,
            context.wrap_socket(sock, server_hostname=host) as secured,
        ):
            return fingerprint(secured)
    except (OSError, ValueError):
        return None


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Yield *error* and its causes, down to the first one."""
    link: BaseException | None = error
    while link is not None:
        yield link
        link = link.__cause__


def tls_failure(error: BaseException) -> ssl.SSLCertVerificationError | PinMismatch | None:
    """Return the certificate failure that caused *error*, if it was one."""
    for link in _chain(error):
        if isinstance(link, ssl.SSLCertVerificationError | PinMismatch):
            return link
    return None


def untrusted_text(url: str, error: ssl.SSLCertVerificationError | PinMismatch, trust: Trust) -> str:
    """Return why the certificate of *url* is not trusted and what to do; connects to the node for its fingerprint."""
    if isinstance(error, PinMismatch):
        return (
            f"the certificate of {url} does not match the pinned fingerprint; its SHA-256 is {error.fingerprint}; "
            "if it was replaced on purpose, pin the new fingerprint"
        )
    address = httpx.URL(url)
    shown = peer_fingerprint(address.host, address.port or HTTPS)
    digest = f"its SHA-256 is {shown}" if shown else "its fingerprint could not be read"
    if error.verify_code == _EXPIRED:
        return f"the certificate of {url} has expired; {digest}; renew it on the cluster"
    if error.verify_code == _NOT_YET:
        return f"the certificate of {url} is not valid yet; {digest}; check the clocks on both sides"
    if error.verify_code in (_NAME, _ADDRESS):
        return (
            f"the certificate of {url} is not valid for the host name {address.host}; {digest}; "
            "use a host name that it lists, or --pin with that SHA-256"
        )
    signer = f"a CA in {trust.ca_cert}" if trust.ca_cert else "a CA that this system trusts"
    return (
        f"the certificate of {url} is not signed by {signer}; {digest}; "
        "use --ca-cert with the right file, or verify that SHA-256 and use --pin"
    )


def unusable(trust: Trust, label: str, error: Exception) -> Problem:
    """Return the problem with the CA file or the pin of *trust*, for an *error* of `ssl_context` or `normal_pin`."""
    if isinstance(error, UnusableIdentity):
        hint = "set clientCert and clientKey to a certificate and its key, PEM, without a passphrase"
        return Problem("clientCert", 0, 0, "", f"{label}the client certificate cannot be used: {error}", hint)
    if trust.pin or trust.ca_cert is None:
        return Problem("--pin", 0, 0, "", f"{label}the pin cannot be used: {error}")
    why = cause_text(error)
    if isinstance(error, ssl.SSLError):
        empty = error.reason == "NO_CERTIFICATE_OR_CRL_FOUND"
        why = "it contains no certificate" if empty else "it is not a certificate in PEM format"
    hint = "set --ca-cert or caCert to the cluster's CA certificate in PEM format"
    return Problem(str(trust.ca_cert), 0, 0, "", f"{label}the CA file cannot be used: {why}", hint)


def cause_text(error: BaseException) -> str:
    """Return the reason for a failed connection: the innermost cause, never any of the data that was transferred."""
    if isinstance(error, httpx.TimeoutException):
        return str(error) or "no connection became free in time"
    *_, innermost = _chain(error)
    if isinstance(innermost, socket.gaierror):
        return "the host name cannot be resolved"
    if isinstance(innermost, ConnectionRefusedError):
        return "connection refused"
    if isinstance(innermost, ssl.SSLError):
        reason = (innermost.reason or "unknown reason").replace("_", " ").lower()
        plain = reason in ("wrong version number", "http request", "record layer failure", "packet length too long")
        hint = "; the server does not speak TLS, so this may be another port than that of the REST API, 9443" * plain
        return f"TLS handshake failed ({reason}){hint}"
    if isinstance(innermost, OSError) and innermost.strerror:
        return innermost.strerror.lower()
    return str(innermost) or type(innermost).__name__
