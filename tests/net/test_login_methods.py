"""Login with a client certificate, over real TLS, and with tokens."""

from __future__ import annotations

import random
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from reconciler.api.protocol import Call, Login
from reconciler.client import Client, ClientOptions
from reconciler.errors import InputError, Unauthorized, Unreachable
from reconciler.runtime import Runtime
from reconciler.secrets import Secret
from reconciler.simulator.http.tls import TlsFiles, make_client
from reconciler.simulator.testing import Caller, Running, running
from tests.support.cluster import Endpoints, SimulatedCluster
from tests.support.inprocess import InProcess

ACL = Call("POST", "/v1/redis_acls", {"name": "app", "acl": "+@read ~*"})


SET_UP = 3  # calls of the fixture below


@pytest.fixture
def identity(tmp_path: Path) -> TlsFiles:
    return make_client(tmp_path / "client", "tool")


@pytest.fixture
def server(identity: TlsFiles) -> Iterator[Running]:
    """A cluster that takes certificates of the authority of *identity*, and has a user for it."""
    with running(nodes=1) as server:
        call = Caller(server.core)
        trusted = {"certificates": [{"name": "mtls_trusted_ca", "certificate": identity.ca.read_text()}]}
        assert call("PUT", "/v1/cluster/certificates", trusted).status == 200
        assert call("PUT", "/v1/cluster", {"mtls_certificate_authentication": True}).status == 200
        user = {"name": "tool", "email": "tool@example.com", "role_uids": [1], "auth_method": "certificate"}
        assert call("POST", "/v1/users", {**user, "certificate_subject_line": "CN=tool"}).status == 200
        yield server


def by_certificate(server: Running, files: TlsFiles) -> Client:
    return Client(
        Endpoints(
            server.urls,
            ca_cert=server.ca_file,
            login="certificate",
            client_cert=files.certificate,
            client_key=files.key,
        ),
        ("tool", Secret("")),
        Runtime(sleep=lambda seconds: None),
    )


def test_a_client_certificate_logs_in_without_a_password(server: Running, identity: TlsFiles) -> None:
    client = by_certificate(server, identity)
    assert client.open().status == 200
    assert client.send(ACL).status == 200
    assert {entry.user for entry in server.log[SET_UP:]} == {"tool@example.com"}
    assert client.login_method == "certificate"
    client.close()


def test_it_still_logs_in_where_passwords_are_switched_off(server: Running, identity: TlsFiles) -> None:
    Caller(server.core)("PUT", "/v1/cluster", {"control_plane_basic_authentication": False})
    client = by_certificate(server, identity)
    assert client.get("/v1/bdbs").body == []
    client.close()


def test_a_certificate_that_belongs_to_no_user_is_rejected_with_advice(server: Running, identity: TlsFiles) -> None:
    server.core.state.users[max(server.core.state.users)].fields["certificate_subject_line"] = "CN=another"
    client = by_certificate(server, identity)
    with pytest.raises(
        Unauthorized, match=r"\(401 .*belongs to no user\); login with a client certificate needs .*7.8.4"
    ):
        client.open()
    client.close()


@pytest.mark.parametrize("days", [365, -1])
def test_a_certificate_of_another_authority_or_an_expired_one_ends_the_handshake(
    server: Running, tmp_path: Path, days: int
) -> None:
    client = by_certificate(server, make_client(tmp_path / "other", "tool", days=days))
    with pytest.raises(Unreachable, match=r"may not accept the client certificate \(another authority, or expired\)"):
        client.open()
    assert server.log[SET_UP:] == []
    client.close()


def test_the_certificate_is_not_presented_where_another_account_is_tried(server: Running, identity: TlsFiles) -> None:
    client = by_certificate(server, identity)
    assert client.accepts(Login(server.username, server.password)) is True
    assert client.accepts(Login(server.username, "wrong")) is False
    client.close()


def test_files_that_cannot_be_used_are_a_problem_of_the_input(tmp_path: Path, identity: TlsFiles) -> None:
    other = make_client(tmp_path / "other", "tool")
    for certificate, key, why in (
        (identity.certificate, other.key, "do not belong together"),
        (tmp_path / "absent", identity.key, "absent: no such file or directory"),
        (identity.key, identity.key, "one is not PEM"),
    ):
        where = Endpoints(("https://a:9443",), login="certificate", client_cert=certificate, client_key=key)
        with pytest.raises(InputError, match=f"the client certificate cannot be used: .*{why}"):
            Client(where, ("tool", Secret("")))


# --- tokens -----------------------------------------------------------------------------------------------------------


class Tokens(SimulatedCluster):
    """A cluster, and a client that logs in with tokens."""

    def by_token(self, password: str = "simulator") -> Client:
        where = Endpoints(self.endpoints().urls, login="jwt")
        runtime = Runtime(self.clock, self.clock, self.sleep, random.Random(1), observe=self.events.append)
        options = ClientOptions(InProcess(self.core, self.clock))
        return Client(where, (self.core.settings.username, Secret(password)), runtime, options)

    @property
    def calls(self) -> list[str]:
        return [entry.path for entry in self.log]


def test_the_password_is_sent_once_and_then_the_token() -> None:
    cluster = Tokens()
    client = cluster.by_token()
    client.open()
    with ThreadPoolExecutor(8) as pool:
        assert {one.status for one in pool.map(client.get, ["/v1/bdbs"] * 8)} == {200}
    assert cluster.calls.count("/v1/users/authorize") == 1
    assert client.login_method == "password"


def test_a_token_is_refreshed_before_it_expires_and_replaced_after() -> None:
    cluster = Tokens()
    client = cluster.by_token()
    for seconds in (0, 500, 500, 2000):
        cluster.clock.sleep(seconds)
        assert client.get("/v1/bdbs").status == 200
    login, refresh = "/v1/users/authorize", "/v1/users/refresh_jwt"
    assert [one for one in cluster.calls if one != "/v1/bdbs"] == [login, refresh, refresh, login]
    assert {entry.status for entry in cluster.log} == {200}


def test_a_token_that_became_void_is_replaced_once() -> None:
    cluster = Tokens()
    client = cluster.by_token()
    client.open()
    cluster.core.state.tokens.clear()  # as an upgrade does
    assert client.send(ACL).status == 200
    assert cluster.calls.count("/v1/users/authorize") == 2
    assert sum(entry.effect for entry in cluster.log) == 1


@pytest.mark.parametrize("scheme", ["bearer", "jwt"])
def test_the_scheme_that_the_build_takes_is_found_and_kept(scheme: str) -> None:
    cluster = Tokens(switches={"jwt_scheme": scheme})
    client = cluster.by_token()
    client.open()
    before = len(cluster.log)
    client.get("/v1/bdbs")
    assert len(cluster.log) == before + 1
    assert sum(entry.status == 401 for entry in cluster.log) <= 1


def test_a_wrong_password_is_sent_once_for_a_token() -> None:
    cluster = Tokens()
    client = cluster.by_token("wrong")
    for _ in range(3):
        with pytest.raises(Unauthorized, match=r"rejected the credentials|were rejected before"):
            client.open()
    assert cluster.calls == ["/v1/users/authorize"]


def test_a_password_that_is_changed_during_a_run_is_not_needed_until_the_token_expires() -> None:
    cluster = Tokens()
    client = cluster.by_token()
    client.open()
    (user,) = cluster.core.state.users.values()
    user.hidden["password"] = "changed"
    assert client.get("/v1/bdbs").status == 200
