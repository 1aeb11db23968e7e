"""Generates and parses certificates in PEM. Only this and `http.tls` use `cryptography`."""

from __future__ import annotations

import datetime
from typing import NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import AuthorityInformationAccessOID, NameOID

_PUBLIC = (serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


class CertificatePair(NamedTuple):
    """A certificate and its private key, both as PEM text."""

    certificate: str
    key: str


class CertificateInfo(NamedTuple):
    """The content of a certificate: validity in epoch seconds, the OCSP responder ("" for none), the public key."""

    not_before: float
    not_after: float
    responder: str
    public_key: bytes


def make(name: str, now: float, days: int = 365, responder: str = "") -> CertificatePair:
    """Return a self-signed certificate for *name*, valid from *now* (epoch seconds) for *days*; negative: expired."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name[:64])])
    start = datetime.datetime.fromtimestamp(now, datetime.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start - datetime.timedelta(days=1 if days > 0 else 400))
        .not_valid_after(start + datetime.timedelta(days=days))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
    )
    if responder:
        place = x509.UniformResourceIdentifier(responder)
        about = x509.AccessDescription(AuthorityInformationAccessOID.OCSP, place)
        builder = builder.add_extension(x509.AuthorityInformationAccess([about]), critical=False)
    pem = serialization.Encoding.PEM
    secret = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return CertificatePair(builder.sign(key, hashes.SHA256()).public_bytes(pem).decode(), secret.decode())


def read_certificate(text: str) -> CertificateInfo:
    """Parse the first certificate in *text*; raise `ValueError` if there is none."""
    found = x509.load_pem_x509_certificate(text.encode())
    responder = ""
    try:
        about = found.extensions.get_extension_for_class(x509.AuthorityInformationAccess).value
    except x509.ExtensionNotFound:
        about = x509.AuthorityInformationAccess([])
    for item in about:
        if item.access_method == AuthorityInformationAccessOID.OCSP:
            responder = str(item.access_location.value)
    times = (found.not_valid_before_utc.timestamp(), found.not_valid_after_utc.timestamp())
    return CertificateInfo(*times, responder, found.public_key().public_bytes(*_PUBLIC))


def key_matches(text: str, facts: CertificateInfo) -> bool:
    """Return whether *text* is the private key of the certificate *facts*."""
    try:
        key = serialization.load_pem_private_key(text.encode(), None)
    except (ValueError, TypeError):
        return False
    return key.public_key().public_bytes(*_PUBLIC) == facts.public_key
