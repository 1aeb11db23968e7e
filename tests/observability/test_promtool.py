"""Prometheus' own tool reads the rules and the dashboard's expressions, and runs the tests of the rules.

Collected where there is a promtool, and where `RECONCILER_NEEDS` says that there has to be one, as `.ci/run` does.
"""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

from tests.observability.test_names import FOLDER, expressions
from tests.web.fake_status import status_store
from tests.web.rig import serving


def promtool(*words: str, text: bytes | None = None) -> str:
    done = subprocess.run(["promtool", *words], input=text, capture_output=True, cwd=FOLDER, check=False, timeout=120)
    assert done.returncode == 0, (done.stdout + done.stderr).decode()
    return done.stdout.decode() + done.stderr.decode()


def test_the_rules_are_rules_and_do_what_their_tests_say() -> None:
    assert "SUCCESS" in promtool("check", "rules", "alerts.yaml")
    assert "SUCCESS" in promtool("test", "rules", "alerts.test.yaml")


def test_the_tests_of_the_rules_can_fail(tmp_path: Path) -> None:
    rules = (FOLDER / "alerts.yaml").read_text()
    (tmp_path / "alerts.yaml").write_text(rules.replace("for: 30m", "for: 3h"))
    (tmp_path / "alerts.test.yaml").write_text((FOLDER / "alerts.test.yaml").read_text())
    command = ["promtool", "test", "rules", "alerts.test.yaml"]
    done = subprocess.run(command, capture_output=True, cwd=tmp_path, check=False, timeout=120)
    assert done.returncode != 0
    assert b"ReconcilerDrift" in done.stdout + done.stderr


def test_every_expression_of_the_dashboard_is_one(tmp_path: Path) -> None:
    rules = [
        {"record": f"panel:{number}", "expr": text.replace("$__rate_interval", "5m").replace("$cluster", ".*")}
        for number, (_, text) in enumerate(expressions())
    ]
    path = tmp_path / "panels.yaml"
    path.write_text(json.dumps({"groups": [{"name": "dashboard", "rules": rules}]}))
    assert f"{len(rules)} rules found" in promtool("check", "rules", str(path))


def test_the_metrics_are_as_prometheus_wants_them() -> None:
    with serving(status_store()) as rig:
        assert promtool("check", "metrics", text=rig.ask("/metrics").body) == ""
