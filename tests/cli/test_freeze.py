"""Freeze windows of manifests and people at a terminal: told by every plan, kept by every apply, overruled by name."""

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
def test_an_apply_in_the_window_is_refused_and_says_what_one_can_do(applied: Cli, server: Running, saved: bool) -> None:
    change(applied, ALWAYS)
    shown = applied("plan", *(["--out", "plan.json"] if saved else []))
    assert "! waits in freeze window always" in shown.out
    assert f"warning: {WORDS}" in shown.err
    before = writes(server)
    refused = applied("apply", "--yes", *(["plan.json"] if saved else []), code=5)
    assert f"error: {WORDS}" in refused.err
    assert "--exclude here:Database/sessions" in refused.err
    assert IGNORE in refused.err
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
