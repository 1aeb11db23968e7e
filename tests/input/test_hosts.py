"""What a manifest may make a cluster connect to, however it is spelt."""

from __future__ import annotations

import io

import pytest

from reconciler import manifests
from reconciler.errors import InputError
from reconciler.kinds import load_kinds
from reconciler.manifests.hosts import denied_reason
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
