"""A wrong password at the command line: sent once by all commands that share a state folder."""

from __future__ import annotations

from pathlib import Path

from reconciler.simulator.http.tls import make_client
from reconciler.simulator.testing import Caller, Running
from tests.cli import canary
from tests.cli.rig import Cli

WRONG = "canary-not-this-one"
COMMANDS = (("plan",), ("drift",), ("export", "--out", "exported"), ("outputs",), ("apply", "--yes"), ("run", "--once"))


def rejected(server: Running) -> int:
    return sum(entry.status == 401 for entry in server.log)


def test_commands_in_a_row_send_a_wrong_password_once(cli: Cli, server: Running) -> None:
    first = cli("plan", code=4, REDIS_ENTERPRISE_PASSWORD=WRONG)
    assert "rejected the credentials (401 invalid_credentials: login failed); not sent again before 20" in first.err
    for words in COMMANDS:
        done = cli(*words, code=4, REDIS_ENTERPRISE_PASSWORD=WRONG)
        assert "--retry-login" in done.err or words[0] == "run"
    assert rejected(server) == 1
    cli("plan")  # the account is not locked, and another password is sent at once


def test_commands_at_the_same_time_send_a_wrong_password_once(cli: Cli, server: Running) -> None:
    started = [cli.start("plan", REDIS_ENTERPRISE_PASSWORD=WRONG) for _ in range(6)]
    done = [cli.done(process, *process.communicate(timeout=60)) for process in started]
    assert [one.code for one in done] == [4] * 6
    assert rejected(server) == 1


def test_a_rejected_password_is_sent_again_on_request(cli: Cli, server: Running) -> None:
    server.core.state.users[1].hidden["password"] = ""
    cli("plan", code=4)
    server.core.state.users[1].hidden["password"] = canary_digest()
    assert "were rejected before" in cli("plan", code=4).err
    cli("plan", "--retry-login")
    cli("plan")
    assert rejected(server) == 1


def test_a_login_that_works_leaves_no_state_folder_behind(cli: Cli) -> None:
    cli("plan")
    assert not Path(cli.folder, ".reconciler").exists()


NO_PASSWORDS = """\
apiVersion: reconciler/v1
kind: Cluster
metadata: {name: cluster, allow: [may-cut-off]}
spec: {control_plane_basic_authentication: false}
"""


def test_a_client_certificate_logs_in_and_can_switch_passwords_off_but_not_itself(cli: Cli, server: Running) -> None:
    files, call = make_client(cli.folder / "client", "tool"), Caller(server.core)
    trusted = {"certificates": [{"name": "mtls_trusted_ca", "certificate": files.ca.read_text()}]}
    assert call("PUT", "/v1/cluster/certificates", trusted).status == 200
    assert call("PUT", "/v1/cluster", {"mtls_certificate_authentication": True}).status == 200
    account = {"name": "tool", "role_uids": [1], "auth_method": "certificate", "certificate_subject_line": "CN=tool"}
    assert call("POST", "/v1/users", account).status == 200
    cli.write("manifests/cluster.yaml", NO_PASSWORDS)
    held = "it would end the password by which this tool has access"
    assert held in cli("plan").out.replace("\n    ", " ")

    cli.edit(
        "reconciler.yaml",
        "password: {valueFrom: {env: REDIS_ENTERPRISE_PASSWORD}}",
        "clientCert: client/client.pem\n    clientKey: client/client.key",
    )
    consent = ("--allow-impact", "here:Cluster/cluster=may-cut-off")
    cli("apply", "--yes", *consent, REDIS_ENTERPRISE_USER="tool", REDIS_ENTERPRISE_PASSWORD="")
    assert cli("plan", REDIS_ENTERPRISE_USER="tool").out == "No changes.\n"
    cli.edit("manifests/cluster.yaml", "control_plane_basic_authentication", "mtls_certificate_authentication")
    held = "it would end the certificate by which this tool has access"
    assert held in cli("plan", REDIS_ENTERPRISE_USER="tool").out.replace("\n    ", " ")
    assert "PRIVATE KEY" not in "".join(path.read_text("latin-1") for path in cli.folder.glob(".reconciler/*"))


def canary_digest() -> str:
    from reconciler.simulator.state.records import digest

    return digest(canary.LOGIN)
