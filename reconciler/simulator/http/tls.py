"""Generates a certificate authority and a server certificate for loopback."""

from __future__ import annotations

import datetime
import ipaddress
import os
import ssl
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_DAY = datetime.timedelta(days=1)


class ServerContext(ssl.SSLContext):
    """The server's TLS context, which can replace its certificate."""

    pair: tuple[str, str] | None = None  # certificate and key as PEM text
    authority: Callable[[], str] = staticmethod(
        lambda: ""
    )  # PEM of the CA of client certificates; "": none is asked for
    _asking: tuple[str, ServerContext] | None = None

    def wrap_bio(self, *args: Any, **options: Any) -> ssl.SSLObject:
        """Wrap a new connection, and ask for a client certificate where there is an authority for it."""
        authority = self.authority()
        if not authority:
            return super().wrap_bio(*args, **options)
        if self._asking is None or self._asking[0] != authority:
            context = ServerContext(ssl.PROTOCOL_TLS_SERVER)
            context.minimum_version = ssl.TLSVersion.TLSv1_2
            context.verify_mode = ssl.CERT_OPTIONAL
            context.load_verify_locations(cadata=authority)
            if self.pair is not None:
                context.present(*self.pair)
            self._asking = authority, context
        return super(ServerContext, self._asking[1]).wrap_bio(*args, **options)

    def present(self, certificate: str, key: str) -> None:
        """Use another certificate (PEM texts) for new connections."""
        self.pair, self._asking = (certificate, key), None
        with tempfile.TemporaryDirectory(prefix="simulator-") as folder:
            paths = (Path(folder) / "server.pem", Path(folder) / "server.key")
            for path, text in zip(paths, (certificate, key), strict=True):
                _write(path, text.encode(), 0o600)
            self.load_cert_chain(*paths)


class TlsFiles(NamedTuple):
    """The paths of the PEM files."""

    ca: Path
    certificate: Path
    key: Path

    def context(self) -> ServerContext:
        """Return the server's TLS context."""
        context = ServerContext(ssl.PROTOCOL_TLS_SERVER)
        context.pair = self.certificate.read_text("ascii"), self.key.read_text("ascii")
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.load_cert_chain(self.certificate, self.key)
        return context


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _builder(subject: str, issuer: str, key: ec.EllipticCurvePublicKey, days: int) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(_name(subject))
        .issuer_name(_name(issuer))
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - (_DAY if days > 0 else _DAY * 30))
        .not_valid_after(now + _DAY * days)
    )


def _subject_names(hosts: Sequence[str]) -> x509.SubjectAlternativeName:
    names: list[x509.GeneralName] = []
    for host in hosts:
        try:
            names.append(x509.IPAddress(ipaddress.ip_address(host)))
        except ValueError:
            names.append(x509.DNSName(host))
    return x509.SubjectAlternativeName(names)


def _usage(*, authority: bool) -> x509.KeyUsage:
    unused = {"content_commitment": False, "data_encipherment": False, "encipher_only": False, "decipher_only": False}
    return x509.KeyUsage(
        digital_signature=True,
        key_encipherment=False,
        key_agreement=False,
        key_cert_sign=authority,
        crl_sign=authority,
        **unused,
    )


def _write(path: Path, data: bytes, mode: int) -> None:
    path.unlink(missing_ok=True)
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
        file.write(data)


HOSTS = ("127.0.0.1", "localhost", "::1")


def make(folder: Path, hosts: Sequence[str] = HOSTS, *, days: int = 365) -> TlsFiles:
    """Write a new CA and a server certificate for *hosts* to *folder*; negative *days* make it expired already."""
    folder.mkdir(parents=True, exist_ok=True)
    files = TlsFiles(folder / "ca.pem", folder / "server.pem", folder / "server.key")
    ca_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    authority = x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key())
    ca = (
        _builder("Simulator CA", "Simulator CA", ca_key.public_key(), 3650)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(authority=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(ca_key.public_key()), critical=False)
        .sign(ca_key, hashes.SHA256())
    )
    server = (
        _builder("simulator", "Simulator CA", key.public_key(), days)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(authority=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(_subject_names(hosts), critical=False)
        .add_extension(authority, critical=False)
        .sign(ca_key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    secret = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    _write(files.key, secret, 0o600)
    _write(files.certificate, server.public_bytes(pem), 0o644)
    _write(files.ca, ca.public_bytes(pem), 0o644)
    return files


def make_client(folder: Path, name: str, *, days: int = 365, issuer: str = "Client CA") -> TlsFiles:
    """Write a new CA and a client certificate of the common name *name* to *folder*; negative *days*: expired."""
    folder.mkdir(parents=True, exist_ok=True)
    files = TlsFiles(folder / "client-ca.pem", folder / "client.pem", folder / "client.key")
    ca_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    ca = (
        _builder(issuer, issuer, ca_key.public_key(), 3650)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(authority=True), critical=True)
        .sign(ca_key, hashes.SHA256())
    )
    client = (
        _builder(name, issuer, key.public_key(), days)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
        .sign(ca_key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    secret = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    _write(files.key, secret, 0o600)
    _write(files.certificate, client.public_bytes(pem), 0o644)
    _write(files.ca, ca.public_bytes(pem), 0o644)
    return files


def load_or_make(folder: Path, hosts: Sequence[str] = HOSTS) -> TlsFiles:
    """Return the files of *folder*, generated if one is missing, so that a CA can be reused."""
    files = TlsFiles(folder / "ca.pem", folder / "server.pem", folder / "server.key")
    return files if all(path.is_file() for path in files) else make(folder, hosts)
