"""Files that commands write are private, whatever the umask."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.rig import Cli

OWN = ("plan.json", "mine", "snapshot.json", ".reconciler")


@pytest.fixture(params=[0o000, 0o022, 0o277])
def umask(request: pytest.FixtureRequest) -> Iterator[int]:
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


def modes(folder: Path) -> dict[str, str]:
    """Return the mode of everything that the commands wrote."""
    tops = [folder / name for name in OWN]
    found = [*tops, *(path for top in tops if top.is_dir() for path in top.rglob("*"))]
    return {str(path.relative_to(folder)): oct(stat.S_IMODE(path.lstat().st_mode)) for path in found}


def test_what_commands_write_is_readable_by_its_owner_only(cli: Cli, umask: int) -> None:
    (cli.folder / "snapshot.json").write_text("older")
    (cli.folder / "snapshot.json").chmod(0o666)
    cli("plan", "--out", "plan.json")
    cli("apply", "plan.json", "--yes")
    cli("export", "--out", "mine/deep")
    cli("snapshot", "--out", "snapshot.json")
    found = modes(cli.folder)
    assert {"plan.json", "mine", "mine/deep", "mine/deep/user.yaml", "snapshot.json", ".reconciler"} <= found.keys()
    folders = {str(path.relative_to(cli.folder)) for path in cli.folder.rglob("*") if path.is_dir()}
    assert found == {name: "0o700" if name in folders else "0o600" for name in found}


def test_a_file_that_is_not_regular_is_not_replaced(cli: Cli) -> None:
    os.mkfifo(cli.folder / "pipe")
    for words in (("plan", "--out", "pipe"), ("snapshot", "--out", "pipe")):
        assert "pipe: is not a regular file (name a regular file)" in cli(*words, code=3).err
    assert (cli.folder / "pipe").is_fifo()
