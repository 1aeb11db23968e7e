"""The demo is the first thing that a newcomer sees: it works, fits the terminal, and leaves nothing behind."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.rig import Cli, plain


@pytest.fixture
def told(bare: Cli, tmp_path: Path) -> list[str]:
    """Play the demo; return the lines of both streams, and leave its folder for temporary files in `tmp`."""
    (bare.folder / "tmp").mkdir()
    done = bare("demo", TMPDIR=str(bare.folder / "tmp"), PYTHONWARNINGS="")
    assert list((bare.folder / "tmp").iterdir()) == []
    return plain(done.out).splitlines() + plain(done.err).splitlines()


def test_the_demo_tells_the_whole_story_within_100_columns(told: list[str]) -> None:
    assert [line for line in told if len(line) > 100 and "reconciler-demo-" not in line] == []
    assert "Plan: 22 to create, 0 to update, 0 to delete." in told
    assert "Apply complete! 22 created, 0 updated, 0 deleted." in told
    assert "Drift: 2 on the cluster, 0 in the manifests, 0 on both sides." in told
    assert "Apply complete! 0 created, 2 updated, 0 deleted." in told
    assert told.count("No changes.") == 3
    assert any("is no member of the cluster (503); asking another node" in line for line in told)


def test_a_step_that_does_not_give_what_it_should_ends_the_demo(bare: Cli) -> None:
    # The story as a newcomer with a broken installation would see it: the simulator cannot start.
    bare.write("uvicorn.py", "raise ImportError('broken')\n")
    path = f"{bare.folder}:{bare.env['PYTHONPATH']}"
    done = bare("demo", code=1, PYTHONPATH=path, PYTHONWARNINGS="")
    assert "error: the simulator did not start" in done.err
