"""The demo is the first thing that a newcomer sees: it works, fits the terminal, and leaves nothing behind."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.rig import Cli, Done, plain
from tests.cli.shop import counts, creates, updates


@pytest.fixture
def told(bare: Cli, tmp_path: Path) -> Done:
    """Play the demo; its temporary files are gone afterwards."""
    (bare.folder / "tmp").mkdir()
    done = bare("demo", TMPDIR=str(bare.folder / "tmp"), PYTHONWARNINGS="")
    assert list((bare.folder / "tmp").iterdir()) == []
    return done


def test_the_demo_tells_the_whole_story_within_100_columns(told: Done) -> None:
    out, err = plain(told.out).splitlines(), plain(told.err).splitlines()
    assert [line for line in out if len(line) > 100 and "reconciler-demo-" not in line] == []
    assert counts("\n".join(out)) == (creates("east"), updates("east", same=("NodeMaintenance",)), 0)
    assert "Drift: 2 on the cluster, 0 in the manifests, 0 on both sides." in out
    assert "Apply complete! 0 created, 2 updated, 0 deleted." in out
    assert out.count("No changes.") == 4
    assert any("is not a cluster member (503); failing over to another node" in line for line in err)
    assert any("which may lose data" in line and "--allow-impact" in line for line in err)
    assert any("change.done" in line and "Database/rate-limiter" in line for line in err)


def test_a_step_that_does_not_give_what_it_should_ends_the_demo(bare: Cli) -> None:
    # The story as a newcomer with a broken installation would see it: the simulator cannot start.
    bare.write("uvicorn.py", "raise ImportError('broken')\n")
    path = f"{bare.folder}:{bare.env['PYTHONPATH']}"
    done = bare("demo", code=1, PYTHONPATH=path, PYTHONWARNINGS="")
    assert "error: the simulator did not start" in done.err
