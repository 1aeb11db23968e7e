"""The everyday path: validate, plan, apply, drift, repair, export; texts as people see them."""

from __future__ import annotations

import json
import re
import stat
from pathlib import Path

from reconciler.plan import FORMAT
from reconciler.simulator.testing import Caller, Running
from tests.cli import canary
from tests.cli.rig import Cli, plain

PLAN = """\
  + RedisACL/app-keys
      acl  "+@read +@write ~app:*"
  + Role/app
      management  none
  + Database/sessions
      backup_location
          type: s3
          bucket_name: backups
          access_key_id: AK1
          secret_access_key: (secret)
      memory_size        1 GiB (1073741824)
      port               12931
      roles_permissions  [{role: app, redis_acl: app-keys}]
  + User/ana
      email     ana@example.com
      password  (secret)
      roles     [app]

Plan: 4 to create, 0 to update, 0 to delete.
"""


def writes(server: Running) -> list[str]:
    return [f"{entry.method} {entry.path}" for entry in server.log if entry.method != "GET"]


def live(server: Running, path: str, name: str) -> dict[str, object]:
    found = Caller(server.core)("GET", path).json()
    return next(one for one in found if one["name"] == name)


def by_hand(server: Running, name: str, **body: object) -> None:
    caller = Caller(server.core)
    assert caller("PUT", f"/v1/bdbs/{live(server, '/v1/bdbs', name)['uid']}", body).status == 200


def test_validate_needs_no_cluster(bare: Cli) -> None:
    bare.write("one.yaml", "apiVersion: reconciler/v1\nkind: Role\nmetadata: {name: a}\nspec: {management: none}\n")
    assert bare("validate", "-f", "one.yaml").out == "Valid: 1 resource.\n"


def test_validate_reads_standard_input(bare: Cli) -> None:
    text = "apiVersion: reconciler/v1\nkind: Role\nmetadata: {name: a}\nspec: {management: none}\n"
    assert bare("validate", "-f", "-", stdin=text).out == "Valid: 1 resource.\n"


def test_validate_uses_no_network_where_clusters_are_configured(cli: Cli, server: Running) -> None:
    assert cli("validate").out == "Valid: 4 resources for here.\n"
    assert server.log == []


def test_validate_warns_of_a_name_that_only_the_cluster_may_know(cli: Cli) -> None:
    cli.edit("manifests/shop.yaml", "redis_acl: app-keys", "redis_acl: elsewhere")
    done = cli("validate")
    assert "warning: manifests/shop.yaml:30:19:" in done.err
    assert "elsewhere" in done.err
    strict = cli("validate", "--strict", code=3)
    assert strict.err.startswith("error: manifests/shop.yaml:30:19:")


def test_a_plan_reads_well_and_writes_nothing(cli: Cli, server: Running) -> None:
    done = cli("plan")
    assert done.out == PLAN
    assert done.err == f"here: {server.urls[-1]} is not a cluster member (503); failing over to another node\n"
    assert writes(server) == []
    assert not (cli.folder / ".reconciler").exists()


def test_a_plan_tells_of_changes_by_its_exit_code_where_asked(cli: Cli) -> None:
    assert cli("plan", "--detailed-exitcode", code=2).out == PLAN
    cli("apply", "--yes")
    assert cli("plan", "--detailed-exitcode").out == "No changes.\n"


def test_a_plan_is_json_too(cli: Cli) -> None:
    plan = json.loads(cli("plan", "-o", "json").out)
    assert plan["format"] == FORMAT
    assert len(plan["changes"]) == 4


def test_a_plan_is_markdown_too(cli: Cli) -> None:
    assert cli("plan", "-o", "markdown").out.startswith("### Plan: 4 to create, 0 to update, 0 to delete.\n")


def test_apply_does_what_the_plan_shows(cli: Cli, server: Running) -> None:
    done = cli("apply", "--yes")
    assert done.out == f"{PLAN}Apply complete! 4 created, 0 updated, 0 deleted.\n"
    assert "[4/4] " in done.err
    assert live(server, "/v1/bdbs", "sessions")["memory_size"] == 1 << 30
    first, second, *rest = writes(server)
    assert {first, second} == {"POST /v1/redis_acls", "POST /v1/roles"}
    assert sorted(rest) == ["POST /v1/bdbs", "POST /v1/users"]


def test_a_second_apply_writes_nothing(applied: Cli, server: Running) -> None:
    before = writes(server)
    assert applied("apply", "--yes").out == "No changes.\n"
    assert writes(server) == before


def test_quiet_leaves_the_results_only(cli: Cli) -> None:
    done = cli("apply", "--yes", "--quiet")
    assert done.err == ""
    assert "  + User/ana: created" in done.out


def test_apply_reports_as_json(cli: Cli) -> None:
    report = json.loads(cli("apply", "--yes", "-o", "json").out)
    assert (report["complete"], report["counts"]["done"]) == (True, 4)
    again = json.loads(cli("apply", "--yes", "-o", "json").out)
    assert (again["complete"], again["outcomes"]) == (True, [])


def test_drift_says_who_moved_and_apply_repairs(applied: Cli, server: Running) -> None:
    assert applied("drift").out == "No drift on here.\n"
    by_hand(server, "sessions", memory_size=2 << 30)
    done = applied("drift", code=2)
    assert re.sub(r", since .* UTC", "", done.out) == (
        "  here:Database/sessions\n"
        "      memory_size\n"
        "          cluster   2 GiB (2147483648)\n"
        "          declared  1 GiB (1073741824)\n"
        "          changed on the cluster since the last apply\n"
        "\n"
        "Drift: 1 on the cluster, 0 in the manifests, 0 on both sides.\n"
    )
    assert re.search(r"^Last apply on here: \S+ \S+ UTC by \w+@\S+ \(reconciler history \w+\)$", done.err, re.MULTILINE)
    applied("apply", "--yes")
    assert applied("drift").out == "No drift on here.\n"


def test_drift_knows_that_the_manifests_moved(applied: Cli) -> None:
    applied.edit("manifests/shop.yaml", "memory_size: 1GiB", "memory_size: 3GiB")
    (one,) = json.loads(applied("drift", "-o", "json", code=2).out)
    assert (one["address"], one["path"], one["ahead"]) == ("here:Database/sessions", "memory_size", "ours")


def test_drift_knows_that_both_moved(applied: Cli, server: Running) -> None:
    applied.edit("manifests/shop.yaml", "memory_size: 1GiB", "memory_size: 3GiB")
    by_hand(server, "sessions", memory_size=2 << 30)
    (one,) = json.loads(applied("drift", "-o", "json", code=2).out)
    assert (one["ahead"], one["live"], one["declared"]) == ("both", 2 << 30, 3 << 30)


def test_drift_knows_what_was_deleted_by_hand(applied: Cli, server: Running) -> None:
    caller = Caller(server.core)
    assert caller("DELETE", f"/v1/users/{live(server, '/v1/users', 'ana')['uid']}").status == 200
    (one,) = json.loads(applied("drift", "-o", "json", code=2).out)
    assert (one["address"], one["ahead"], one["why"]) == (
        "here:User/ana",
        "theirs",
        "applied before, and no longer on the cluster",
    )


def test_a_changed_secret_is_sent_and_never_shown(applied: Cli) -> None:
    done = applied("apply", "--yes", ANA_PASSWORD=canary.BOB)
    assert "~ password  (secret)" in done.out
    assert "Apply complete! 0 created, 1 updated, 0 deleted." in done.out
    assert applied("plan", ANA_PASSWORD=canary.BOB).out == "No changes.\n"


def test_export_gives_manifests_whose_plan_is_empty(applied: Cli) -> None:
    done = applied("export", "--out", "mine")
    assert {f"mine/{kind}.yaml" for kind in ("database", "redisacl", "role", "user", "node")} <= set(done.out.split())
    done = applied("plan", "-f", "mine", "--detailed-exitcode")
    assert done.out.splitlines()[-1] == "No changes."
    assert re.search(r"! User/ana: password cannot be compared \(environment variable \w+ is not set\)", done.out)


def test_export_prints_chosen_kinds(applied: Cli) -> None:
    done = applied("export", "Role")
    assert "metadata: {name: app}\n" in done.out
    assert "kind: Database" not in done.out


def test_export_does_not_write_over_anything(applied: Cli) -> None:
    applied("export", "--out", "mine")
    assert "exists already" in applied("export", "--out", "mine", code=3).err


def test_outputs_as_table_json_and_dotenv(applied: Cli) -> None:
    assert applied("outputs").out.splitlines()[0].split() == ["DATABASE", "HOST", "PORT", "TLS", "ADDRESSES", "ROLES"]
    (row,) = json.loads(applied("outputs", "-o", "json").out)
    assert (row["database"], row["port"], row["roles"], "password" in row) == ("sessions", 12931, ["app"], False)
    assert "SESSIONS_PORT=12931\n" in applied("outputs", "-o", "dotenv").out


def test_history_lists_the_runs(applied: Cli) -> None:
    line, objects = applied("history").out.splitlines()
    assert line.endswith("4 done")
    assert re.search(r"   \w+@\S+   -   here   ", line)  # actor, revision, clusters
    assert objects == "    + here:RedisACL/app-keys, + here:Role/app, + here:Database/sessions, + here:User/ana"
    (run,) = json.loads(applied("history", "-o", "json").out)
    assert run["counts"]["done"] == 4
    assert (run["clusters"], run["who"] in line) == (["here"], True)


def test_history_of_a_run_shows_each_change_its_fields_and_why_it_failed(applied: Cli, server: Running) -> None:
    server.faults.add("fail", method="PUT", path="/v1/bdbs/")
    applied.edit("manifests/shop.yaml", "memory_size: 1GiB", "memory_size: 2GiB")
    applied("apply", "--yes", code=None)
    run, _ = json.loads(applied("history", "-o", "json").out)
    assert json.loads(applied("history", run["run"], "-o", "json").out) == run
    assert run["outcomes"][0]["fields"] == ["memory_size"]
    shown = applied("history", run["run"][:8]).out.splitlines()
    assert shown[0] == f"Run {run['run']}"
    assert [line for line in shown if "here:Database/sessions" in line] == ["  ~ here:Database/sessions: failed"]
    assert "      fields: memory_size" in shown
    assert shown[-1].startswith("      ")  # why
    assert shown[-1].strip() != "fields: memory_size"


def test_history_of_an_unknown_run_names_known_ones(applied: Cli) -> None:
    known = json.loads(applied("history", "-o", "json").out)[0]["run"]
    assert f"such as {known}" in applied("history", "nonsense", code=3).err


def test_history_before_any_run(cli: Cli) -> None:
    assert cli("history").out == "No runs yet.\n"


def test_what_is_left_behind_is_private(applied: Cli) -> None:
    applied("plan", "--out", "plan.json")

    def mode(path: Path) -> int:
        return stat.S_IMODE(path.stat().st_mode)

    assert mode(applied.folder / ".reconciler") == 0o700
    assert {mode(path) for path in (applied.folder / ".reconciler").iterdir() if path.is_file()} == {0o600}
    assert mode(applied.folder / "plan.json") == 0o600


def test_a_target_leaves_the_rest_alone(cli: Cli) -> None:
    done = cli("apply", "--yes", "--target", "Role/app")
    assert "Apply complete! 1 created, 0 updated, 0 deleted." in done.out


def test_prune_deletes_only_what_we_own(applied: Cli, server: Running) -> None:
    Caller(server.core)("POST", "/v1/roles", {"name": "theirs", "management": "none"})
    applied.write("manifests/shop.yaml", "apiVersion: reconciler/v1\nkind: Role\nmetadata: {name: other}\n"
                  "spec: {management: none}\n")  # fmt: skip
    assert "0 to delete." in applied("plan").out
    done = applied("apply", "--prune", "--yes", "--allow-destroy", "Database/sessions")
    assert "Apply complete! 1 created, 0 updated, 4 deleted." in done.out
    assert live(server, "/v1/roles", "theirs")


def test_a_tombstone_deletes(applied: Cli) -> None:
    text = (applied.folder / "manifests/shop.yaml").read_text()
    applied.write("manifests/shop.yaml", text.replace("{name: sessions}", "{name: sessions, state: absent}"))
    consent = ("--allow-destroy", "Database/sessions")
    assert "Apply complete! 0 created, 0 updated, 1 deleted." in applied("apply", "--yes", *consent).out


def test_a_terminal_gets_colours_and_a_question(cli: Cli) -> None:
    done = cli.terminal("apply", answers="yes")
    assert "\x1b[" in done.out
    assert "Apply these changes? Only 'yes' is accepted: " in plain(done.out)
    assert "Apply complete! 4 created, 0 updated, 0 deleted." in plain(done.out)


def test_no_color_is_respected_on_a_terminal(cli: Cli) -> None:
    assert "\x1b[" not in cli.terminal("plan", NO_COLOR="1").out
    assert "\x1b[" not in cli.terminal("plan", "--no-color").out


def test_simulate_serves_a_cluster_that_can_be_planned(bare: Cli) -> None:
    process = bare.start("simulate", "--port", "0", "--tls-dir", "tls", SIMULATOR_PASSWORD=bare.env["ANA_PASSWORD"])
    assert process.stdout is not None
    about = json.loads(process.stdout.readline())
    env = {
        "REDIS_ENTERPRISE_URL": about["urls"][0],
        "REDIS_ENTERPRISE_USER": about["username"],
        "REDIS_ENTERPRISE_PASSWORD": bare.env["ANA_PASSWORD"],
        "REDIS_ENTERPRISE_CA_CERT": about["ca_file"],
    }
    done = bare("plan", "-f", "-", stdin="apiVersion: reconciler/v1\nkind: Role\nmetadata: {name: a}\n"
                "spec: {management: none}\n", **env)  # fmt: skip
    assert done.out == "  + Role/a\n      management  none\n\nPlan: 1 to create, 0 to update, 0 to delete.\n"
    process.terminate()
    assert process.wait(20) == 0


def test_flags_and_the_environment_are_enough_for_one_cluster(bare: Cli, server: Running) -> None:
    bare.write("one.yaml", "apiVersion: reconciler/v1\nkind: Role\nmetadata: {name: a}\nspec: {management: none}\n")
    where = ("--url", server.urls[0], "--ca-cert", str(server.ca_file))
    assert bare("plan", "-f", "one.yaml", *where).out.endswith("Plan: 1 to create, 0 to update, 0 to delete.\n")
    assert "+ Role/a" in bare("apply", "-f", "one.yaml", "--yes", "-q", *where).out


def test_what_is_right_already_becomes_ours_and_drift_then_knows_who_moved(cli: Cli, server: Running) -> None:
    created = Caller(server.core)("POST", "/v1/bdbs", {"name": "old", "memory_size": 2**30})
    server.core.settings.time_scale = 1e6
    assert created.status == 200
    cli.write(
        "manifests/old.yaml",
        "apiVersion: reconciler/v1\nkind: Database\nmetadata: {name: old}\nspec: {memory_size: 1GiB}\n",
    )
    (cli.folder / "manifests" / "shop.yaml").unlink(missing_ok=True)
    assert json.loads(cli("drift", "-o", "json", code=0).out) == []
    said = "adopted 1 existing resource"
    first, second = cli("apply", "--yes"), cli("apply", "--yes")
    assert (first.out, said in first.err) == ("No changes.\n", True)
    assert (second.out, said in second.err) == ("No changes.\n", False)
    by_hand(server, "old", memory_size=2**29)
    (one,) = json.loads(cli("drift", "-o", "json", code=2).out)
    assert one["ahead"] == "theirs"


def test_a_folder_with_a_project_file_says_how_to_use_it(bare: Cli) -> None:
    bare.write("shop/reconciler.yaml", "apiVersion: reconciler/v1\nclusters: []\n")
    bare.write(
        "shop/one.yaml", "apiVersion: reconciler/v1\nkind: Role\nmetadata: {name: a}\nspec: {management: none}\n"
    )
    done = bare("validate", "-f", "shop")
    assert done.err == (
        "warning: -f shop reads that folder as one layer; for its clusters and layers: --project shop/reconciler.yaml\n"
    )


def test_kinds_tell_what_a_field_takes(bare: Cli) -> None:
    assert bare("kinds", "Database.shards_count").out.splitlines()[0] == (
        "Database.shards_count: integer; 1 to 512; default 1; only grows"
    )
    assert bare("kinds", "Database.memory_size").out.splitlines()[0] == (
        "Database.memory_size: integer; at least 0; in bytes"
    )


def test_a_user_can_be_declared_absent_alone(applied: Cli, server: Running) -> None:
    tombstone = "apiVersion: reconciler/v1\nkind: User\nmetadata: {name: ana, state: absent}\n"
    applied.write("gone.yaml", tombstone)
    assert "1 deleted" in applied("apply", "--yes", "-f", "gone.yaml").out
    assert [user["name"] for user in Caller(server.core)("GET", "/v1/users").json()] == ["Administrator"]


def test_the_account_that_the_tool_logs_in_with_is_left_alone(applied: Cli, server: Running) -> None:
    applied.edit("manifests/shop.yaml", "roles: [app]", "roles: [Admin]")
    applied("apply", "--yes")
    applied.env.update(REDIS_ENTERPRISE_USER="ana@example.com", REDIS_ENTERPRISE_PASSWORD=canary.ANA)
    applied.edit("manifests/shop.yaml", "roles: [Admin]", "roles: [app]")
    done = applied("apply", "--yes", code=6)
    assert "User/ana (held): managed by people alone, since this tool logs in as it; never changed" in done.out
    applied.write("gone.yaml", "apiVersion: reconciler/v1\nkind: User\nmetadata: {name: ana, state: absent}\n")
    applied("apply", "--yes", "-f", "gone.yaml", code=6)
    assert live(server, "/v1/users", "ana")["role_uids"] == [1]
