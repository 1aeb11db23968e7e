"""A wrong password at the command line: sent once by all commands that share a state folder."""

from __future__ import annotations

from pathlib import Path

from reconciler.simulator.testing import Running
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


def canary_digest() -> str:
    from reconciler.simulator.state.records import digest

    return digest(canary.LOGIN)
