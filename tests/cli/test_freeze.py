"""Freeze windows and people at a terminal: told by every plan, kept by every apply, overruled by name."""

from __future__ import annotations

import json

import pytest

from reconciler.simulator.testing import Running
from tests.cli.rig import Cli
from tests.cli.test_story import live, writes

ALWAYS = "freeze: [{name: always, cron: 0 0 * * *, duration: 1d}]"
NEVER = "freeze: [{name: leap, cron: 0 0 29 2 *, duration: 1s}]"
WORDS = "here:Database/sessions is frozen: freeze window always, until "
IGNORE = "--ignore-freeze here:Database/sessions"


def change(cli: Cli, window: str) -> None:
    cli.edit("manifests/shop.yaml", "{name: sessions}", f"{{name: sessions, {window}}}")
    cli.edit("manifests/shop.yaml", "memory_size: 1GiB", "memory_size: 2GiB")


@pytest.mark.parametrize("saved", [False, True])
def test_an_apply_in_the_window_holds_the_object_and_says_what_one_can_do(
    applied: Cli, server: Running, saved: bool
) -> None:
    change(applied, ALWAYS)
    shown = applied("plan", *(["--out", "plan.json"] if saved else []))
    assert "! waits in freeze window always" in shown.out
    assert f"warning: {WORDS}" in shown.err
    before = writes(server)
    held = applied("apply", "--yes", *(["plan.json"] if saved else []))
    assert f"warning: {WORDS}" in held.err
    assert f"to change it now: `reconciler apply {IGNORE}`" in held.err
    assert "1 object is held" in held.err
    assert writes(server) == before
    assert "1 updated" in applied("apply", "--yes", *(["plan.json"] if saved else []), *IGNORE.split()).out
    assert live(server, "/v1/bdbs", "sessions")["memory_size"] == 2 << 30


def test_the_rest_can_be_applied_meanwhile(applied: Cli) -> None:
    change(applied, ALWAYS)
    assert "No changes." in applied("apply", "--yes", "--exclude", "here:Database/sessions").out


def test_out_of_the_window_nobody_is_held_up(applied: Cli) -> None:
    change(applied, NEVER)
    shown = applied("plan")
    assert "! waits in freeze window leap" in shown.out
    assert "is frozen" not in shown.err
    assert "1 updated" in applied("apply", "--yes").out


def test_what_is_right_is_nobodys_business_and_drift_is_told_all_the_same(applied: Cli) -> None:
    applied.edit("manifests/shop.yaml", "{name: sessions}", f"{{name: sessions, {ALWAYS}}}")
    assert "No changes." in applied("apply", "--yes").out
    applied.edit("manifests/shop.yaml", "memory_size: 1GiB", "memory_size: 2GiB")
    assert "memory_size" in applied("drift", code=2).out


def test_a_saved_plan_keeps_its_windows_and_the_consent_to_ignore_them(applied: Cli) -> None:
    change(applied, ALWAYS)
    applied("plan", "--out", "one.json")
    assert (
        "! ignores (by --ignore-freeze) freeze window always"
        in applied("plan", "--out", "two.json", *IGNORE.split()).out
    )
    one, two = (json.loads((applied.folder / f"{name}.json").read_text()) for name in ("one", "two"))
    assert (one["changes"][0]["consents"], two["changes"][0]["consents"]) == ([], [{"to": "freeze", "source": "flag"}])
    assert "1 updated" in applied("apply", "two.json", "--yes").out
    (window,) = one["changes"][0]["freeze"]
    assert (window["cron"], window["seconds"]) == ("0 0 * * *", 86400.0)


PROJECT_WINDOW = "    agent: {freeze: [{name: sale, cron: 0 0 * * *, duration: 1d}]}\n"
SALE = "frozen: freeze window sale of cluster here, until "


def in_sale(cli: Cli) -> Cli:
    """Freeze the cluster in the project file, and declare two changes that do not depend on each other."""
    cli.edit("reconciler.yaml", "    manifests: [manifests]\n", f"    manifests: [manifests]\n{PROJECT_WINDOW}")
    cli.edit("manifests/shop.yaml", "memory_size: 1GiB", "memory_size: 2GiB")
    cli.edit("manifests/shop.yaml", "+@read +@write ~app:*", "+@read ~app:*")
    return cli


def test_windows_of_the_project_hold_every_change_of_an_apply(applied: Cli, server: Running) -> None:
    in_sale(applied)("plan", "--out", "plan.json")
    before = writes(server)
    for command in (["apply", "--yes"], ["apply", "plan.json", "--yes"]):
        done = applied(*command)
        (line,) = [line for line in done.err.splitlines() if SALE in line]
        assert "here:Database/sessions, here:RedisACL/app-keys are" in line or "here:RedisACL/app-keys, " in line
        assert line.endswith("to change it now: `reconciler apply --ignore-freeze here`")
        assert "2 objects are held" in done.err
    assert writes(server) == before


def test_the_name_of_the_cluster_ignores_its_windows_and_an_address_does_not(applied: Cli) -> None:
    in_sale(applied)
    assert SALE in applied("apply", "--yes", *IGNORE.split()).err
    assert "2 updated" in applied("apply", "--yes", "--ignore-freeze", "here").out


def test_consent_to_ignore_windows_of_a_cluster_is_part_of_a_saved_plan(applied: Cli) -> None:
    shown = in_sale(applied)("plan", "--out", "plan.json", "--ignore-freeze", "here")
    assert "! ignores (by --ignore-freeze) the freeze windows of the project for cluster here" in shown.out
    assert "2 updated" in applied("apply", "plan.json", "--yes").out


def test_a_cluster_that_is_unknown_is_no_consent(cli: Cli) -> None:
    assert "unknown cluster 'her'" in cli("plan", "--ignore-freeze", "her", code=3).err


def test_json_has_what_is_held_and_why(applied: Cli) -> None:
    change(applied, ALWAYS)
    report = json.loads(applied("apply", "--yes", "-o", "json").out)
    (held,) = report["held"]
    assert (held["address"], held["reason"]) == ("here:Database/sessions", "frozen")
    assert held["message"].startswith("freeze window always, until ")


def test_a_declared_hold_is_no_failure_and_any_other_is(applied: Cli) -> None:
    applied.edit("manifests/shop.yaml", "{name: sessions}", "{name: sessions, suspend: true}")
    applied.edit("manifests/shop.yaml", "memory_size: 1GiB", "memory_size: 2GiB")
    assert "1 object is held" in applied("apply", "--yes").err
    builtin = "apiVersion: reconciler/v1\nkind: RedisACL\nmetadata: {name: Full Access}\nspec: {acl: +@read ~*}\n"
    applied.write("manifests/builtin.yaml", builtin)
    assert "2 objects are held" in applied("apply", "--yes", code=6).err


def test_a_window_that_cannot_be_read_is_refused_with_its_place(cli: Cli) -> None:
    cli.edit("reconciler.yaml", "    manifests: [manifests]\n", f"    manifests: [manifests]\n{PROJECT_WINDOW}")
    cli.edit("reconciler.yaml", "cron: 0 0 * * *", "cron: 0 0 31 2 *")
    assert "reconciler.yaml:" in (refused := cli("plan", code=3)).err
    assert "freeze window sale: 0 0 31 2 * is not a cron expression" in refused.err
