"""What a manifest may make a cluster connect to, however it is spelt."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from reconciler import manifests
from reconciler.errors import InputError
from reconciler.kinds import load_kinds
from reconciler.kinds.kind_files import kind_source
from reconciler.manifests.hosts import denied, denied_reason
from reconciler.secrets import Secret
from reconciler.settings import Target

ITSELF = "the node itself"
LINK_LOCAL = "link-local, the range of cloud metadata services"
METADATA = "a cloud metadata service"
NO_NAME = "is not a host name"

HOSTS = {
    "source.example.com": "",
    "source.example.com.": "",
    "SOURCE.example.com": "",
    "redis-12000.cluster_1.local": "",
    "10.0.0.1": "",
    "172.16.5.4": "",
    "192.168.1.1": "",
    "203.0.113.7": "",
    "[2001:db8::1]": "",
    "[fd12:3456::1]": "",
    "127.0.0.1.example.com": "",
    "localhost.example.com": "",
    "münchen.example": NO_NAME,
    "127.0.0.1": ITSELF,
    "127.0.0.1.": ITSELF,
    "127.8.9.10": ITSELF,
    "127.1": ITSELF,
    "127.0.1": ITSELF,
    "2130706433": ITSELF,
    "0x7f000001": ITSELF,
    "0X7F.1": ITSELF,
    "0177.0.0.1": ITSELF,
    "017700000001": ITSELF,
    "0x7f.0x0.0x0.0x1": ITSELF,
    "１２７.0.0.1": ITSELF,
    "127。0。0。1": NO_NAME,
    "0": ITSELF,
    "0.0.0.0": ITSELF,
    "[::]": ITSELF,
    "[::1]": ITSELF,
    "[0:0:0:0:0:0:0:1]": ITSELF,
    "[::ffff:127.0.0.1]": ITSELF,
    "[::ffff:7f00:1]": ITSELF,
    "[::127.0.0.1]": ITSELF,
    "[64:ff9b::7f00:1]": ITSELF,
    "[2002:7f00:1::]": ITSELF,
    "localhost": ITSELF,
    "LOCALHOST": ITSELF,
    "localhost.": ITSELF,
    "a.localhost": ITSELF,
    "localhost.localdomain": ITSELF,
    "ｌocalhost": ITSELF,
    "169.254.169.254": LINK_LOCAL,
    "169.254.1.1": LINK_LOCAL,
    "2852039166": LINK_LOCAL,
    "0xa9fea9fe": LINK_LOCAL,
    "0251.0376.0251.0376": LINK_LOCAL,
    "[fe80::1]": LINK_LOCAL,
    "[::ffff:169.254.169.254]": LINK_LOCAL,
    "[64:ff9b::a9fe:a9fe]": LINK_LOCAL,
    "100.100.100.200": METADATA,
    "192.0.0.192": METADATA,
    "[fd00:ec2::254]": METADATA,
    "metadata.google.internal": METADATA,
    "metadata.google.internal.": METADATA,
    "metadata": METADATA,
    "224.0.0.1": "a multicast or broadcast address",
    "255.255.255.255": "a multicast or broadcast address",
    "[ff02::1]": "a multicast or broadcast address",
    "127.0.0.1\\.example.com": NO_NAME,
    "%31%32%37.0.0.1": NO_NAME,
    "exa mple": NO_NAME,
    "[::1": NO_NAME,
    "": NO_NAME,
}


@pytest.mark.parametrize("host", HOSTS)
def test_a_host_in_any_spelling(host: str) -> None:
    said = denied_reason(f"redis://{host}:6379", None)
    assert said.endswith(HOSTS[host])
    assert bool(said) == bool(HOSTS[host])


@pytest.mark.parametrize(
    ("host", "allowed", "fits"),
    [
        ("a.example.com", ("*.example.com",), True),
        ("a.example.com.", ("*.example.com",), True),
        ("example.com.evil.example", ("*.example.com",), False),
        ("127.0.0.1", ("127.0.0.1",), True),
        ("2130706433", ("127.0.0.1",), True),
        ("127.0.0.1", ("10.*",), False),
        ("10.1.2.3", ("10.*",), True),
        ("10.evil.example", ("10.*",), False),
        ("anything", (), False),
    ],
)
def test_the_project_file_says_which_hosts_are_allowed(host: str, allowed: tuple[str, ...], fits: bool) -> None:
    assert (denied_reason(f"ftp://{host}/x", allowed) == "") == fits


MANIFEST = """\
apiVersion: reconciler/v1
kind: Database
metadata: {name: x}
spec:
  backup_location: {type: sftp, sftp_url: "sftp://169.254.169.254/x"}
  replica_sources:
    - uri: redis://source.example.com:12000
    - uri: redis://localhost:12000
    - uri: {valueFrom: {env: SOURCE}}
"""


def test_a_manifest_that_names_a_dangerous_host_is_refused_with_places() -> None:
    with pytest.raises(InputError) as caught:
        manifests.load(["-"], load_kinds(), stdin=io.BytesIO(MANIFEST.encode()))
    hint = "(allow it in clusters[].hosts of the project file)"
    assert str(caught.value).split("\n") == [
        f'<stdin>:5:33: spec.backup_location.sftp_url: the host "169.254.169.254" is {LINK_LOCAL} {hint}',
        f'<stdin>:8:7: spec.replica_sources[1].uri: the host "localhost" is the node itself {hint}',
    ]


def test_each_cluster_has_hosts_of_its_own() -> None:
    clusters = [Target("a", (), "", {}, hosts=("*",)), Target("b", (), "", {}, hosts=("*.example.com", "localhost"))]
    with pytest.raises(InputError) as caught:
        manifests.load(["-"], load_kinds(), clusters=clusters, stdin=io.BytesIO(MANIFEST.encode()))
    assert [problem.path for problem in caught.value.problems] == ["spec.backup_location.sftp_url"]


# --- every field that takes an address -----------------------------------------------------------------------------

# Fields that look like one. Whatever is none says why.
NO_ADDRESS = {
    "ActiveActiveDatabase.instances[].cluster": "a name in the project file",
    "ActiveActiveDatabase.instances[].replication_tls_sni": "a name that is asked for in TLS, not connected to",
    "ActiveActiveDatabase.instances[].credentials.username": "a user name",
    "Cluster.email_from": "an e-mail address",
    "Cluster.mtls_authorized_subjects[].CN": "a name in a certificate",
    "Cluster.smtp_username": "a user name",
    "Cluster.s3_ca_cert": "a path",
    "ClusterBootstrap.name": "the name of the cluster",
    "ClusterBootstrap.dns_suffixes[].name": "a domain that the cluster answers for",
    "ClusterBootstrap.machines[].address": "one of the urls of the project file; no other is accepted",
    "Database.audit_settings.source_ip_filter.ip_addresses[]": "a filter of clients",
    "Database.audit_settings.source_ip_filter.cidr_ranges[]": "a filter of clients",
    "Database.authorized_names[]": "a name in a certificate",
    "Database.authorized_subjects[].CN": "a name in a certificate",
    "Database.backup_location.client_email": "an e-mail address",
    "Database.dataset_import_sources[].client_email": "an e-mail address",
    "Database.replica_sources[].cluster": "a name in the project file",
    "Database.replica_sources[].database": "a name; its address comes from its cluster",
    "Database.replica_sources[].replication_tls_sni": "a name that is asked for in TLS, not connected to",
    "Database.replica_sources[].username": "a user name",
    "Database.backup_location.container": "in the account of account_name",
    "Database.dataset_import_sources[].container": "in the account of account_name",
    "JobScheduler.rotate_ccs_job_settings.file_suffix": "a part of a file name",
    "LDAP.cba_identity_oid": "an object identifier",
    "LDAPMapping.email": "an e-mail address",
    "SSO.issuer.id": "an identifier that is compared, not connected to",
    "User.email": "an e-mail address",
}
NAMES = re.compile(
    r"(^|_)(ur[il]s?|hosts?|host_?name|address|addr|endpoints?|servers?|peers?|sni|slaves|fqdn|domain|suffix"
    r"|bucket(_name)?|container|account_name|remote|proxy_url|location)$"
)
TEXT = re.compile(r"://|\bhosts?\b|\baddress(es)?\b|\burls?\b|\buris?\b|\bmetadata\b|name servers", re.IGNORECASE)
HOST = re.compile(r"^(\w+://|[\w-]+(\.[\w-]+)*\.(com|org|net|io)(:\d+)?$|\d+\.\d+\.\d+\.\d+)")


def strings(schema: Mapping[str, Any], path: str) -> Iterator[tuple[str, Mapping[str, Any], str]]:
    """Yield (path, schema, description) of each text below *schema*."""
    if schema.get("type") == "string" and "enum" not in schema and "const" not in schema:
        yield path, schema, schema.get("description", "")
    for shape in (schema, *schema.get("oneOf", ())):
        for name, child in shape.get("properties", {}).items():
            yield from strings(child, f"{path}.{name}")
    if "items" in schema:
        for below, items, text in strings(schema["items"], f"{path}[]"):
            more = schema if below == f"{path}[]" else {}
            examples = [one for example in more.get("examples", ()) for one in example]
            shown = text or more.get("description", "")
            yield below, {**items, "examples": [*items.get("examples", ()), *examples]}, shown


STRINGS = [
    found
    for kind in load_kinds()
    for name, schema in kind_source(kind)["properties"].items()
    for found in strings(schema, f"{kind}.{name}")
]
ADDRESSES = {path: schema for path, schema, _ in STRINGS if "x-address" in schema}


def looks_like_an_address(path: str, schema: Mapping[str, Any], text: str) -> bool:
    if "x-ref" in schema or schema.get("format") == "pem" or schema.get("x-secret") is True:
        return False
    examples = [one for one in schema.get("examples", ()) if isinstance(one, str)]
    return bool(
        NAMES.search(path.rpartition(".")[2].removesuffix("[]"))
        or TEXT.search(text)
        or "://" in schema.get("pattern", "")
        or any(map(HOST.match, examples))
    )


def test_every_field_that_takes_an_address_is_marked() -> None:
    unmarked = {
        path
        for path, schema, text in STRINGS
        if path not in ADDRESSES and path not in NO_ADDRESS and looks_like_an_address(path, schema, text)
    }
    assert unmarked == set()
    assert NO_ADDRESS.keys() & ADDRESSES.keys() == set()
    assert NO_ADDRESS.keys() - {path for path, _, _ in STRINGS} == set()


# Spelling of a host → whether it is denied without a list, and with a list that has allowed.example.com only.
SPELLINGS = {
    "allowed.example.com": (False, False),
    "ALLOWED.example.com": (False, False),
    "allowed.example.com.": (False, False),
    "other.example.com": (False, True),
    "allowed.example.com.evil.example": (False, True),
    "203.0.113.7": (False, True),
    "127.0.0.1": (True, True),
    "localhost": (True, True),
    "localhost.": (True, True),
    "169.254.169.254": (True, True),
    "metadata.google.internal": (True, True),
    "2852039166": (True, True),
    "0x7f000001": (True, True),
    "017700000001": (True, True),
    "[::1]": (True, True),
    "[::ffff:169.254.169.254]": (True, True),
    "[fe80::1]": (True, True),
    "user:word@allowed.example.com": (True, True),
    "allowed.example.com@other.example.com": (True, True),
    r"allowed.example.com\@127.0.0.1": (True, True),
}
METADATA = '<E entityID="x"><md:SingleSignOnService Location="https://{}/sso"/></E>'


def texts_of(schema: Mapping[str, Any], host: str) -> Iterator[str]:
    """Yield texts with *host* that the field could get."""
    kind = schema["x-address"]
    if kind == "metadata":
        yield METADATA.format(host)
        yield METADATA.format(host).replace("https", "&#104;ttps").replace('"', "'")
    elif kind == "url":
        yield f"https://{host}/x"
        yield f"ldap://{host}:389"
    else:
        yield host
        yield f"{host}:636"


def spec_of(path: str, value: Any, shape: str = "") -> dict[str, Any]:
    """Return a spec with *value* at *path*."""
    _, *steps = path.split(".")
    for step in reversed(steps):
        name, listed = step.removesuffix("[]"), step.endswith("[]")
        value = {name: [value] if listed else value}
        if shape:
            value |= {"type": shape}
    return {name: item for name, item in value.items() if name != "type"}


def why(path: str, value: Any, hosts: tuple[str, ...] | None, secret: str = "", shape: str = "") -> list[str]:
    kind = load_kinds()[path.partition(".")[0]]
    return [why for _, why, _ in denied(kind, spec_of(path, value, shape), hosts, lambda value_from: Secret(secret))]


@pytest.mark.parametrize("path", [path for path, schema in ADDRESSES.items() if schema["x-address"] != "bucket"])
@pytest.mark.parametrize("host", SPELLINGS)
def test_every_address_is_checked_however_its_host_is_spelt(path: str, host: str) -> None:
    schema = ADDRESSES[path]
    without, listed = SPELLINGS[host]
    for text in texts_of(schema, host):
        assert bool(why(path, text, None)) == without, text
        own = schema["x-address"] == "node"  # the cluster itself: the list is about others
        assert bool(why(path, text, ("allowed.example.com",))) == (without if own else listed), text


@pytest.mark.parametrize("path", [path for path, schema in ADDRESSES.items() if schema.get("x-secret") == "embedded"])
@pytest.mark.parametrize("host", [host for host in SPELLINGS if "@" not in host])
@pytest.mark.parametrize("login", ["", "user:word@", "user:p%40ss%2F@"])
def test_an_address_from_a_file_or_a_variable_is_checked_and_not_shown(path: str, host: str, login: str) -> None:
    value = {"valueFrom": {"env": "URI"}}
    without, listed = SPELLINGS[host]
    for hosts, expected in ((None, without), (("allowed.example.com",), listed)):
        found = why(path, value, hosts, f"redis://{login}{host}:6379")
        assert bool(found) == expected
        assert host not in "".join(found)


@pytest.mark.parametrize("path", [path for path, schema in ADDRESSES.items() if schema.get("x-secret") == "embedded"])
@pytest.mark.parametrize(
    "uri", ["ftp://u:p@ss@allowed.example.com", "ftp://u:p/@allowed.example.com", "ftp://allowed.example.com/@x"]
)
def test_an_address_that_two_programs_may_read_differently_is_refused(path: str, uri: str) -> None:
    assert why(path, {"valueFrom": {"env": "URI"}}, None, uri)


@pytest.mark.parametrize("path", [path for path, schema in ADDRESSES.items() if schema["x-address"] == "bucket"])
def test_a_bucket_is_a_host_of_its_provider(path: str) -> None:
    shape, host = ("abs", "mine.blob.core.windows.net") if "account" in path else ("s3", "mine.s3.amazonaws.com")
    assert why(path, "mine", None, shape=shape) == []
    assert why(path, "mine", (host,), shape=shape) == []
    assert why(path, "mine", (f"*.{host.partition('.')[2]}",), shape=shape) == []
    assert why(path, "other", (host,), shape=shape)
    assert why(path, "mine", ("allowed.example.com",), shape=shape)
    for text in ("evil.example/#", "u@evil.example", "mine:1/x", "127.0.0.1\\"):
        assert why(path, text, None, shape=shape), text


def test_metadata_with_a_document_type_is_refused() -> None:
    assert why("SSO.idp_metadata", '<!DOCTYPE x [<!ENTITY h "https://127.0.0.1">]><E Location="&h;"/>', None)
