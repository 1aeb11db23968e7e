"""Everything that can go wrong, each with its exit code and a text that says what to do."""

from __future__ import annotations

import json
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from reconciler.simulator.http.tls import make
from reconciler.simulator.testing import Caller, Running, running
from tests.cli import canary
from tests.cli.rig import PROJECT, SHOP, Cli, environment
from tests.cli.test_story import by_hand, live, writes


def point_at(cli: Cli, url: str) -> None:
    cli.write("reconciler.yaml", PROJECT.format(urls=url))


@pytest.fixture
def lost(tmp_path: Path) -> Iterator[Cli]:
    """A project whose cluster is somewhere else; tests say where."""
    cli = Cli(tmp_path / "lost", environment())
    cli.folder.mkdir()
    cli.write("manifests/shop.yaml", SHOP)
    (cli.folder / "ca.pem").write_bytes(make(tmp_path / "tls", ("localhost",), days=1).ca.read_bytes())
    yield cli
    cli.stop()


# --- 1: error --------------------------------------------------------------------------------------------------------


def test_a_broken_ledger_is_an_error(applied: Cli) -> None:
    (applied.folder / ".reconciler" / "ledger.sqlite").write_bytes(b"this is no database, and it is long enough" * 40)
    done = applied("history", code=1)
    assert done.err.startswith("error: ")
    assert "ledger" in done.err


def test_a_ledger_that_fills_up_at_the_very_end_does_not_hide_what_was_done(cli: Cli) -> None:
    lines = [
        "from reconciler.errors import LedgerUnwritable",
        "from reconciler.ledger import Ledger",
        "def full(self, cluster, state_id):",
        "    if self.runs():",
        "        raise LedgerUnwritable('full')",
        "Ledger.saw_state_id = full",
    ]
    cli.write("sitecustomize.py", "\n".join(lines))
    done = cli("apply", "--yes", PYTHONPATH=f"{cli.folder}:{cli.env['PYTHONPATH']}")
    assert done.out.endswith("Apply complete! 4 created, 0 updated, 0 deleted.\n")


def test_a_ledger_that_cannot_be_written_is_read_and_stops_an_apply(applied: Cli, server: Running) -> None:
    lines = ["import os", "access = os.access", "os.access = lambda path, mode: mode != os.W_OK and access(path, mode)"]
    applied.write("sitecustomize.py", "\n".join(lines))
    applied.env["PYTHONPATH"] = f"{applied.folder}:{applied.env['PYTHONPATH']}"
    folder = applied.folder / ".reconciler"
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert applied("plan").out == "No changes.\n"
    applied("drift")
    assert "4 done" in applied("history").out
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    applied.edit("manifests/shop.yaml", "memory_size: 1GiB", "memory_size: 2GiB")
    done = writes(server)
    assert "cannot be written" in applied("apply", "--yes", code=1).err
    assert writes(server) == done


def test_a_plan_says_that_the_state_folder_cannot_be_used(cli: Cli) -> None:
    cli.write("state", "a file")
    done = cli("plan", "--state-dir", "state")
    assert "warning: the state folder state is not a folder; an apply with it is refused" in done.err
    assert "warning: the state folder" not in cli("plan").err
    cli.write(
        "sitecustomize.py", "import os\naccess = os.access\nos.access = lambda p, m: not m & os.W_OK and access(p, m)"
    )
    done = cli("plan", PYTHONPATH=f"{cli.folder}:{cli.env['PYTHONPATH']}")
    assert "cannot be created" in done.err


# --- 3: invalid input ------------------------------------------------------------------------------------------------


def test_every_problem_has_its_own_line(cli: Cli) -> None:
    cli.edit("manifests/shop.yaml", "memory_size: 1GiB", "memory_sise: 1GiB")
    cli.edit("manifests/shop.yaml", "management: none", "management: nobody")
    for command in ("validate", "plan", "apply", "drift"):
        done = cli(command, code=3)
        lines = done.err.splitlines()
        assert lines[0].startswith("error: manifests/shop.yaml:9:8: spec.management: ")
        assert lines[1] == (
            'error: manifests/shop.yaml:23:3: spec.memory_sise: unknown field (did you mean "memory_size"?)'
        )
        assert lines[2] == "2 problems; nothing was sent to a cluster."


def test_validate_reports_as_json(cli: Cli) -> None:
    cli.edit("manifests/shop.yaml", "memory_size: 1GiB", "memory_sise: 1GiB")
    done = cli("validate", "-o", "json", code=3)
    assert '"valid": false' in done.out
    assert '"line": 23' in done.out


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (("aply",), "unknown command 'aply'; did you mean apply?"),
        (("plan", "--targe", "x"), "--targe"),
        (("plan", "-o", "yaml"), "'yaml' is not one of"),
        (("apply", "plan.json", "-f", "x"), "use either a saved plan or manifests (-f), not both"),
        (("apply", "--parallelism", "0"), "0 is not in the range"),
        (("plan", "--cluster", "her"), 'did you mean "here"?'),
        (("plan", "--target", "Role/nobody"), "Role/nobody matches no resource"),
        (("plan", "-f", "missing.yaml"), "missing.yaml"),
        (("plan", "--project", "missing.yaml"), "missing.yaml"),
        (("plan", "--insecure"), "--insecure: is not enabled in the configuration of cluster here"),
        (("plan", "--pin", "12"), "--pin: is not a SHA-256 fingerprint"),
        (("export", "Datbase"), "unknown kind Datbase"),
        (("kinds", "Datbase"), "did you mean Database?"),
        (("kinds", "Database.memory_sise"), "did you mean memory_size?"),
        (("explain", "Datbase"), "did you mean Database?"),
        (("explain", "Database.tags.kee"), "did you mean key?"),
        (("apply", "missing.json"), "missing.json: cannot be read: no such file or directory"),
        (("apply", ".", "--yes"), ".: is not a regular file"),
        (("apply", "", "--yes"), ".: is not a regular file"),
        (("plan", "--out", "."), ".: is a folder"),
        (("plan", "--out", ""), ".: is a folder"),
        (("plan", "--out", "/"), "/: is a folder"),
        (("plan", "--out", "manifests"), "manifests: is a folder"),
        (("plan", "--out", "x" * 300), "cannot be written: file name too long"),
        (("outputs", "--passwords"), "--passwords requires -o json or -o dotenv"),
    ],
)
def test_wrong_flags_are_invalid_input(cli: Cli, server: Running, words: tuple[str, ...], text: str) -> None:
    done = cli(*words, code=3)
    assert text in done.err
    assert "error: " in done.err
    assert writes(server) == []


def test_no_cluster_at_all_says_what_to_configure(bare: Cli) -> None:
    bare.write("one.yaml", "apiVersion: reconciler/v1\nkind: Role\nmetadata: {name: a}\nspec: {management: none}\n")
    done = bare("plan", "-f", "one.yaml", code=3)
    assert done.err == (
        "error: settings: no cluster is configured (write reconciler.yaml, or set REDIS_ENTERPRISE_URL, "
        "REDIS_ENTERPRISE_USER and REDIS_ENTERPRISE_PASSWORD)\n"
    )


def test_a_login_that_is_not_set_is_named(cli: Cli, server: Running) -> None:
    del cli.env["REDIS_ENTERPRISE_PASSWORD"]
    done = cli("plan", code=3)
    assert "environment variable REDIS_ENTERPRISE_PASSWORD: is not set" in done.err
    assert server.log == []


def test_a_secret_that_is_not_set_is_named_before_anything_is_written(cli: Cli, server: Running) -> None:
    del cli.env["ANA_PASSWORD"]
    done = cli("apply", "--yes", code=3)
    assert "ANA_PASSWORD" in done.err
    assert writes(server) == []


def test_a_file_that_is_no_plan_is_refused(cli: Cli) -> None:
    cli.write("odd.json", "{}")
    assert "this is not a plan file" in cli("apply", "odd.json", code=3).err


def test_a_ca_file_that_is_not_there_is_invalid_input(cli: Cli, server: Running) -> None:
    done = cli("plan", "--ca-cert", "nothing.pem", code=3)
    assert "nothing.pem: here: the CA file cannot be used: no such file or directory (set --ca-cert" in done.err
    cli.edit("reconciler.yaml", "ca.pem", "reconciler.yaml")
    assert "reconciler.yaml: here: the CA file cannot be used: it contains no certificate" in cli("plan", code=3).err
    assert server.log == []


def test_an_edited_plan_is_refused(cli: Cli, server: Running) -> None:
    cli("plan", "--out", "plan.json")
    cli.edit("plan.json", "1073741824", "1073741825")
    assert "digest" in cli("apply", "plan.json", "--yes", code=3).err
    assert writes(server) == []


# --- 4: the cluster cannot be reached, or refuses --------------------------------------------------------------------


def test_a_wrong_password_is_tried_once(cli: Cli, server: Running) -> None:
    cli.env["REDIS_ENTERPRISE_PASSWORD"] = canary.BOB
    done = cli("plan", code=4)
    assert done.err.splitlines()[-1].startswith("error: ")
    assert "401" in done.err
    assert [entry.status for entry in server.log if entry.status != 503] == [401]


def test_an_unknown_authority_gets_no_password(lost: Cli, server: Running) -> None:
    point_at(lost, server.urls[0])
    done = lost("plan", code=4)
    assert "certificate" in done.err
    assert server.log == []


def test_a_certificate_for_another_host_gets_no_password(lost: Cli) -> None:
    with running(password=canary.LOGIN, hosts=("elsewhere.example",)) as server:
        point_at(lost, server.urls[0])
        (lost.folder / "ca.pem").write_bytes(server.ca_file.read_bytes())
        assert "certificate" in lost("plan", code=4).err
        assert server.log == []


def test_an_expired_certificate_gets_no_password(lost: Cli) -> None:
    with running(password=canary.LOGIN, certificate_days=-1) as server:
        point_at(lost, server.urls[0])
        (lost.folder / "ca.pem").write_bytes(server.ca_file.read_bytes())
        assert "expired" in lost("plan", code=4).err
        assert server.log == []


def test_a_pin_that_differs_gets_no_password(cli: Cli, server: Running) -> None:
    done = cli("plan", "--pin", "ab" * 32, code=4)
    assert "pin" in done.err
    assert server.log == []


def test_nobody_listening_is_said_with_the_address(lost: Cli) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"https://127.0.0.1:{unused.getsockname()[1]}"
    point_at(lost, url)
    done = lost("plan", code=4)
    assert url in done.err
    assert "refused" in done.err


@contextmanager
def talker(folder: Path, answer: bytes) -> Iterator[tuple[str, Path]]:
    """A TLS server that gives the same bytes to everybody."""
    files = make(folder, ("127.0.0.1", "localhost"), days=1)
    context = files.context()
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(0.2)
    stop = threading.Event()

    def serve() -> None:
        while not stop.is_set():
            try:
                plain, _ = listener.accept()
            except OSError:
                continue
            try:
                plain.settimeout(5)
                with context.wrap_socket(plain, server_side=True) as secured:
                    secured.recv(65536)
                    secured.sendall(answer)
            except (OSError, ssl.SSLError):
                plain.close()

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield f"https://127.0.0.1:{listener.getsockname()[1]}", files.ca
    finally:
        stop.set()
        thread.join()
        listener.close()


HTML = b"<html>welcome to the proxy</html>"


@pytest.mark.parametrize(
    "answer",
    [
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: %d\r\n\r\n%s" % (len(HTML), HTML),
        b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 8\r\n\r\n{"a": 1}',
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 6000\r\n\r\n" + b"[" * 6000,
    ],
    ids=["not HTTP", "not JSON", "not a list", "nested"],
)
def test_garbage_is_an_unusable_cluster(lost: Cli, tmp_path: Path, answer: bytes) -> None:
    with talker(tmp_path / "talker", answer) as (url, ca):
        point_at(lost, url)
        (lost.folder / "ca.pem").write_bytes(ca.read_bytes())
        done = lost("plan", code=4)
    assert done.err.splitlines()[-1].startswith("error: ")
    assert "Traceback" not in done.err


def test_a_read_that_is_not_whole_gives_no_plan(cli: Cli, server: Running) -> None:
    server.faults.add("not_json", path="^/v1/roles", times=50)
    done = cli("plan", code=4)
    assert done.out == ""
    assert "/v1/roles" in done.err


# --- 5: refused by us ------------------------------------------------------------------------------------------------


def test_without_a_terminal_and_without_yes_nothing_is_written(cli: Cli, server: Running) -> None:
    done = cli("apply", code=5)
    assert "pass --yes" in done.err
    assert writes(server) == []


@pytest.mark.parametrize("answer", ["y", "no", "YES", " "])
def test_only_yes_is_yes(cli: Cli, server: Running, answer: str) -> None:
    done = cli.terminal("apply", answers=answer, code=5)
    assert "not approved; nothing was written" in done.out
    assert writes(server) == []


def test_a_database_is_not_deleted_without_consent(applied: Cli, server: Running) -> None:
    applied.write("manifests/shop.yaml", "apiVersion: reconciler/v1\nkind: Role\nmetadata: {name: app}\n"
                  "spec: {management: none}\n")  # fmt: skip
    before = writes(server)
    for command in (["plan"], ["apply", "--yes"]):
        done = applied(*command, "--prune", code=5)
        assert "- Database/sessions" in done.out
        assert "--allow-destroy here:Database/sessions" in done.err
    assert writes(server) == before


def test_a_plan_over_the_limit_is_shown_and_refused(cli: Cli, server: Running) -> None:
    role = "---\napiVersion: reconciler/v1\nkind: Role\nmetadata: {{name: r{}}}\nspec: {{management: {}}}\n"
    cli.write("manifests/many.yaml", "".join(role.format(number, "none") for number in range(10)))
    cli("apply", "--yes", "--quiet")
    cli.write("manifests/many.yaml", "".join(role.format(number, "db_viewer") for number in range(10)))
    before = writes(server)
    done = cli("apply", "--yes", code=5)
    assert "10 to update" in done.out
    assert "over the limit of 30 %" in done.err
    assert writes(server) == before
    assert "10 updated" in cli("apply", "--yes", "--max-update-percent", "100").out


def test_a_stale_plan_is_refused_and_shows_what_moved(applied: Cli, server: Running) -> None:
    applied.edit("manifests/shop.yaml", "memory_size: 1GiB", "memory_size: 3GiB")
    applied("plan", "--out", "plan.json")
    by_hand(server, "sessions", memory_size=2 << 30)
    before = writes(server)
    done = applied("apply", "plan.json", "--yes", code=5)
    assert "the cluster changed since this plan was made; nothing was written" in done.err
    assert "here:Database/sessions memory_size: was 1073741824, is 2147483648" in done.err
    assert writes(server) == before


def test_a_stale_plan_says_nothing_where_nothing_was(cli: Cli, server: Running) -> None:
    wanted = "apiVersion: reconciler/v1\nkind: Cluster\nmetadata: {name: cluster}\nspec: {email_from: a@example.com}\n"
    cli.write("manifests/shop.yaml", wanted)
    cli("plan", "--out", "plan.json")
    assert Caller(server.core)("PUT", "/v1/cluster", {"email_from": "b@example.com"}).status == 200
    done = cli("apply", "plan.json", "--yes", code=5)
    assert "here:Cluster/cluster email_from: was nothing, is b@example.com" in done.err


def test_a_plan_to_create_is_stale_once_it_is_there(cli: Cli, server: Running) -> None:
    cli("plan", "--out", "plan.json")
    cli("apply", "--yes")
    before = writes(server)
    assert "here:Role/app" in cli("apply", "plan.json", "--yes", code=5).err
    assert writes(server) == before


def test_a_saved_plan_does_exactly_what_it_says(cli: Cli, server: Running) -> None:
    cli("plan", "--out", "plan.json")
    cli.edit("manifests/shop.yaml", "memory_size: 1GiB", "memory_size: 3GiB")
    cli("apply", "plan.json", "--yes")
    assert live(server, "/v1/bdbs", "sessions")["memory_size"] == 1 << 30


def test_what_moves_while_the_question_stands_is_not_applied(applied: Cli, server: Running) -> None:
    applied.edit("manifests/shop.yaml", "memory_size: 1GiB", "memory_size: 3GiB")
    done = applied.terminal(
        "apply", answers="yes", asked=lambda: by_hand(server, "sessions", memory_size=2 << 30), code=5
    )
    assert "the cluster changed since this plan was made" in done.out
    assert live(server, "/v1/bdbs", "sessions")["memory_size"] == 2 << 30


def test_somebody_else_applying_is_waited_for_not_overrun(cli: Cli, server: Running) -> None:
    from reconciler.ledger import Ledger

    with Ledger.open(cli.folder / ".reconciler") as ledger:
        cli("plan")  # takes note of which cluster is there
        ledger.identities.bind("here", ledger.identities.expected(["here"]), ["here"])
        with ledger.lock("here"):
            done = cli("apply", "--yes", code=5)
    assert "here" in done.err
    assert writes(server) == []


# --- 6: applied in part ----------------------------------------------------------------------------------------------


def test_a_failure_skips_what_needs_it_and_nothing_else(cli: Cli, server: Running) -> None:
    server.faults.add("fail", method="POST", path="^/v1/bdbs")
    cli.write("manifests/scoped.yaml", "apiVersion: reconciler/v1\nkind: Role\nmetadata: {name: scoped}\nspec:\n"
              "  management: db_viewer\n  resources: [{type: db, databases: [sessions]}]\n")  # fmt: skip
    done = cli("apply", "--yes", code=6)
    assert "Apply incomplete: 3 created, 0 updated, 0 deleted; 1 failed, 1 skipped." in done.out
    assert "To go on: reconciler apply --yes" in done.out


def test_a_failure_of_everything_is_the_cluster_refusing(cli: Cli, server: Running) -> None:
    server.faults.add("code", method="POST", path="^/v1/roles", status=400, error_code="missing_field")
    done = cli("apply", "--yes", "--target", "Role/app", code=4)
    assert "Role/app" in done.out
    assert "Apply incomplete: 0 created, 0 updated, 0 deleted; 1 failed." in done.out


def test_what_is_held_is_not_as_declared_so_the_rest_is_done_and_it_is_no_success(cli: Cli, server: Running) -> None:
    cli.write("manifests/builtin.yaml", "apiVersion: reconciler/v1\nkind: Role\nmetadata: {name: Admin}\n"
              "spec: {management: none}\n")  # fmt: skip
    done = cli("apply", "--yes", code=6)
    assert done.out.endswith("Apply complete! 4 created, 0 updated, 0 deleted.\n")
    held = "1 object is held and may differ from the manifests; `reconciler plan` shows the reasons"
    assert done.err.splitlines()[-1] == held
    again = cli("apply", "--yes", "--quiet", "-o", "json", code=6)
    assert json.loads(again.out)["complete"] is True
    assert again.err == f"{held}\n"
    assert "Role/Admin (held): built into the cluster" in cli("plan", "--detailed-exitcode").out


def test_what_a_saved_plan_holds_counts_too(cli: Cli) -> None:
    cli.write("manifests/builtin.yaml", "apiVersion: reconciler/v1\nkind: Role\nmetadata: {name: Admin}\n"
              "spec: {management: none}\n")  # fmt: skip
    cli("plan", "--out", "plan.json")
    assert "1 object is held" in cli("apply", "plan.json", "--yes", code=6).err


# --- loudly ----------------------------------------------------------------------------------------------------------


def test_insecure_needs_both_and_is_said_each_time(cli: Cli, server: Running) -> None:
    cli.edit("reconciler.yaml", "caCert: ca.pem", "insecure: true")
    assert "certificates are verified; insecure only takes effect with --insecure" in cli("plan", code=4).err
    for command in (["plan"], ["apply", "--yes"], ["plan", "--quiet"]):
        assert "certificates are NOT verified" in cli(*command, "--insecure").err


def test_a_bug_is_one_line_and_debug_adds_the_rest_without_secrets(cli: Cli) -> None:
    cli.write("sitecustomize.py", "import reconciler.kinds\n\ndef broken():\n    raise KeyError('odd')\n\n"
              "reconciler.kinds.load_kinds = broken\n")  # fmt: skip
    path = f"{cli.folder}:{cli.env['PYTHONPATH']}"
    done = cli("plan", code=1, PYTHONPATH=path)
    assert done.err.startswith("error: unexpected KeyError. This is a bug in reconciler ")
    assert "Traceback" not in done.err
    assert "Traceback" in cli("plan", "--debug", code=1, PYTHONPATH=path).err


def test_a_reader_that_has_seen_enough_is_no_error(cli: Cli) -> None:
    process = cli.start("kinds", "Database", "-o", "json")
    assert process.stdout is not None
    process.stdout.close()
    assert process.stderr is not None
    assert process.stderr.read() == b""
    assert process.wait(30) == 141


def test_a_cluster_that_went_back_in_time_is_not_believed(applied: Cli) -> None:
    from reconciler.ledger import Ledger

    with Ledger.open(applied.folder / ".reconciler") as ledger:
        ledger.saw_state_id("here", 1_000_000)
    done = applied("plan", code=4)
    assert done.out == ""
    assert "older than 1000000, seen earlier (restored cluster? --restored)" in done.err
    assert applied("plan", "--restored").out == "No changes.\n"
    assert applied("plan").out == "No changes.\n"
